"""Resizing and sampling of the ONNX table against other runtimes."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo.interop.onnx.operators import resizing  # noqa: F401
from jaxevo.interop.onnx.table import Call, find
from tests.interop.test_operators_windows import compare, normal

NOTHING = np.zeros(0, np.float32)
ROI = np.array([0, 0, -0.1, 0.2, 1, 1, 0.9, 0.7], np.float32)


def resize(shape, scales=None, sizes=None, *, roi=NOTHING, opset=19, x=None, **attributes):
    scales = NOTHING if scales is None else np.float32(scales)
    inputs = [normal(*shape) if x is None else x, roi, scales, *([] if sizes is None else [np.array(sizes)])]
    if sizes is not None:
        inputs[2] = None
    # Every output is a fixed sum of inputs, so one test looks at gradients for all.
    compare("Resize", inputs, opset=opset, static=(1, 2, 3), **{"grads": False} | attributes)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("coordinates", ["half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners"])
def test_sizes_of_every_mode_agree(mode, coordinates):
    attributes = {"mode": mode, "coordinate_transformation_mode": coordinates, "tolerance": 1e-5}
    resize((1, 2, 5, 7), sizes=[1, 2, 9, 4], **attributes)


@pytest.mark.parametrize("rounding", ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
def test_nearest_elements_are_rounded_as_asked(rounding):
    for scales in ([1, 1, 2, 0.5], [1, 1, 3, 1.5]):
        attributes = {"mode": "nearest", "nearest_mode": rounding, "coordinate_transformation_mode": "asymmetric"}
        resize((1, 1, 6, 8), scales, **attributes)


def test_regions_outside_are_filled():
    for mode in ("nearest", "linear"):
        attributes = {"mode": mode, "coordinate_transformation_mode": "tf_crop_and_resize", "extrapolation_value": 7.0}
        resize((1, 2, 6, 5), sizes=[1, 2, 4, 7], roi=ROI, **attributes)


def test_symmetric_half_pixels_agree():
    attributes = {"mode": "linear", "coordinate_transformation_mode": "half_pixel_symmetric"}
    resize((1, 1, 5, 7), [1, 1, 0.7, 1.3], runtime=False, **attributes)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_filters_against_aliasing_and_weights_inside_agree(mode):
    resize((1, 2, 9, 8), [1, 1, 0.4, 0.6], mode=mode, antialias=1, runtime=False)
    resize((1, 2, 9, 8), [1, 1, 0.4, 1.6], mode=mode, exclude_outside=1, cubic_coeff_a=-0.5, runtime=False, grads=True)


@pytest.mark.parametrize("policy", ["not_larger", "not_smaller"])
def test_the_ratio_of_sides_is_kept(policy):
    attributes = {"axes": [2, 3], "keep_aspect_ratio_policy": policy, "mode": "linear"}
    resize((1, 2, 6, 9), sizes=[7, 8], runtime=False, **attributes)


def test_ten_elements_scaled_by_seven_tenths_are_seven():
    resize((1, 1, 10, 10), [1, 1, 0.7, 1.1], mode="linear")


def test_elements_are_divided_by_the_scale_in_float32():
    nearest = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
    resize((1, 1, 10, 10), [1, 1, 1.6, 1.6], **nearest)
    compare("Resize", [normal(1, 1, 10, 10), np.float32([1, 1, 1.6, 1.6])], opset=10, static=(1,), mode="nearest")


def test_bytes_are_rounded_and_saturated():
    x = np.array([[[[0, 255, 0, 255], [255, 0, 0, 255]]]], np.uint8)
    resize(x.shape, [1, 1, 2, 2], mode="cubic", x=x, runtime=False, tolerance=0)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_upsampling_of_old_files_agrees(mode):
    scales = np.float32([1, 1, 2, 3])
    compare("Upsample", [normal(1, 2, 3, 4), scales], opset=9, static=(1,), mode=mode)
    compare("Resize", [normal(1, 2, 6, 9), np.float32([1, 1, 0.5, 0.4])], opset=10, static=(1,), mode=mode)


def test_scales_that_depend_on_the_network_are_refused():
    call = Call("Resize", "node", 19, {}, (True,))
    with pytest.raises(ValueError, match="scales depends on the network"):
        find("", "Resize")(call, jnp.zeros((1, 1, 4, 4)), None, jnp.ones(4))


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("corners", [0, 1])
def test_sampling_agrees(padding, corners):
    attributes = {"padding_mode": padding, "align_corners": corners, "tolerance": 1e-4}
    x, grid = normal(2, 3, 5, 4), 1.3 * normal(2, 3, 6, 2)
    for mode in ("bilinear", "nearest", "bicubic"):
        compare("GridSample", [x, grid], opset=16, mode=mode, grads=mode == "bicubic", **attributes)
    volume = [normal(1, 2, 3, 4, 5), normal(1, 2, 3, 2, 3)]
    compare("GridSample", volume, opset=20, mode="linear", runtime=False, grads=False, **attributes)


@pytest.mark.parametrize(("corners", "size"), [(0, (2, 1, 3, 4)), (1, (2, 1, 2, 3, 4))])
def test_affine_grids_agree(corners, size):
    n = len(size) - 2
    compare("AffineGrid", [normal(2, n, n + 1), np.array(size)], opset=20, static=(1,), align_corners=corners)


def test_centres_are_cropped_and_padded():
    compare("CenterCropPad", [normal(7, 4, 5), np.array([4, 7])], static=(1,), axes=[-3, 1], runtime=False)
