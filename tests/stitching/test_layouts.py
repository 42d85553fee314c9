"""Parents of different layout: channels first beside channels last, through their conventions."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo import stitching
from jaxevo.data import Split
from jaxevo.graph import extract, trace
from jaxevo.network import Convention, Network, spec
from tests.spaces import check_space, relative

DIMENSIONS = {"HWC": ("NHWC", "HWIO", "NHWC"), "CHW": ("NCHW", "OIHW", "NCHW")}
PIXELS = np.random.default_rng(0).uniform(0, 255, (12, 8, 6, 3)).astype(np.float32)
#: Convolutions as (kernel, stride, padding, channels): 1x1, strided and unpadded ones.
A = ((3, 1, "SAME", 7), (3, 2, "SAME", 6), (1, 1, "VALID", 9), (3, 1, "VALID", 8))
B = ((1, 1, "SAME", 6), (3, 1, "SAME", 4), (3, 2, "SAME", 10), (3, 1, "VALID", 5))


def convolutional(seed, layers, layout, name, convention):
    """Convolutions with bias, a global average and two dense layers, in one layout or the other."""
    keys = iter(jax.random.split(jax.random.key(seed), 16))
    params, channels = {}, 3
    for index, (size, _, _, width) in enumerate(layers):
        kernel = jax.random.normal(next(keys), (size, size, channels, width)) / np.sqrt(size * size * channels)
        bias = 0.3 * jax.random.normal(next(keys), (width,))
        if layout == "CHW":
            kernel, bias = kernel.transpose(3, 2, 0, 1), bias[:, None, None]
        params[f"conv{index}"], channels = {"kernel": kernel, "bias": bias}, width
    params["dense"] = {"kernel": jax.random.normal(next(keys), (channels, 16)) / 3, "bias": jnp.ones(16)}
    params["head"] = {"kernel": jax.random.normal(next(keys), (16, 3)) / 4}

    def apply(params, x):
        for index, (_, stride, padding, _) in enumerate(layers):
            layer = params[f"conv{index}"]
            x = jax.lax.conv_general_dilated(
                x, layer["kernel"], (stride, stride), padding, dimension_numbers=DIMENSIONS[layout]
            )
            x = jax.nn.relu(x + layer["bias"])
        x = x.mean((1, 2) if layout == "HWC" else (2, 3))
        return jax.nn.relu(x @ params["dense"]["kernel"] + params["dense"]["bias"]) @ params["head"]["kernel"]

    return Network(apply, params, spec(prepared(convention)), name, convention=convention)


def prepared(convention):
    x = ((PIXELS - np.array(convention.mean)) / np.array(convention.scale)).astype(np.float32)
    return x if convention.layout == "HWC" else np.moveaxis(x, -1, 1)


@pytest.mark.parametrize("layouts", [("HWC", "CHW"), ("CHW", "HWC")])
def test_parents_of_any_layout_are_stitched_and_their_linear_layers_merged(layouts):
    conventions = [
        Convention(layout, mean, scale)
        for layout, mean, scale in zip(
            layouts, ((127.0,), (100.0, 120.0, 90.0)), ((50.0,), (64.0, 60.0, 50.0)), strict=True
        )
    ]
    a = convolutional(1, A, layouts[0], "a", conventions[0])
    b = convolutional(2, B, layouts[1], "b", conventions[1])
    first, second = trace(a), trace(b)
    matching = stitching.match(first, second)
    assert [pair.a.feature.space for pair in matching.pairs] == [(8, 6), (4, 3), (2, 1), (), ()]
    split = Split(prepared(conventions[0]), np.arange(12, dtype=np.int32) % 3)
    merged, _ = stitching.fit(jax.random.key(1), stitching.stitch(jax.random.key(0), matching), split, batch=3)
    space = stitching.switches(merged, probability=0.5)
    check_space(space, split, members=2)

    genes = np.zeros(len(merged.graph.options), np.int32)
    genes[-1] = 1
    expected = np.asarray(b(prepared(conventions[1])))
    assert relative(space.decode(space.params, genes)(split.inputs), expected) <= 1e-5

    assert {merged.graph.nodes[merge.before].name[:2] for merge in merged.graph.merges.values()} >= {"00", "01", "04"}
    for (switch, option), merge in merged.graph.merges.items():
        genes = np.zeros(len(merged.graph.options), np.int32)
        genes[merged.graph.switches.index(switch)] = option
        genes[-1] = 0 if merged.graph.nodes[merge.after].group == "a" else 1
        plain, short = (extract(merged.graph, space.params, genes, a, merge=flag) for flag in (False, True))
        assert relative(short(split.inputs), np.asarray(plain(split.inputs))) <= 1e-5
        assert trace(plain).multiply_adds - trace(short).multiply_adds == merge.saved.multiply_adds > 0


def test_layouts_that_no_convention_explains_are_refused():
    first = convolutional(1, A, "HWC", "a", Convention("HWC"))
    second = dataclasses.replace(convolutional(2, B, "CHW", "b", Convention("CHW")), convention=None)
    graphs = trace(first), trace(second)
    with pytest.raises(ValueError, match=r"'b' takes inputs float32\[3, 8, 6\], but 'a' gives it float32\[8, 6, 3\]"):
        stitching.stitch(jax.random.key(0), stitching.match(*graphs))


def test_a_network_that_does_not_say_how_its_inputs_are_prepared_is_refused_beside_one_that_does():
    first = convolutional(1, A, "HWC", "a", Convention("HWC", (127.0,), (128.0,)))
    second = dataclasses.replace(convolutional(2, B, "HWC", "b", Convention("HWC")), convention=None)
    with pytest.raises(ValueError, match=r"'a' says how its pictures are prepared .* and 'b' does not"):
        stitching.stitch(jax.random.key(0), stitching.match(trace(first), trace(second)))
