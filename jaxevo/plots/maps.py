"""Maps laid over the pictures that they are about."""

import numpy as np

from jaxevo.checks import as_numbers
from jaxevo.plots.look import INK, Axes, check_axes


def overlay(axes: Axes, picture: np.ndarray, heat: np.ndarray, title: str = "") -> Axes:
    """Draws a picture, and over it where something looks: bright and red where it looks most.

    Args:
      axes: where to draw.
      picture: [height, width, channels] of 1 or 3 channels or [height, width]; any range, stretched to black and white.
      heat: [rows, columns], not negative, of any resolution, such as one map of `pruning.grad_cam`.
      title: a text above.

    Returns:
      The Axes.

    Raises:
      ValueError: where an array has another shape.
    """
    check_axes("overlay", axes)
    picture, heat = as_numbers("overlay", "picture", picture), as_numbers("overlay", "heat", heat)
    for name, numbers in (("picture", picture), ("heat", heat)):
        if not numbers.size or not np.isfinite(numbers).all() or (name == "heat" and numbers.min() < 0):
            wanted = "finite numbers" + (" of at least 0" if name == "heat" else "")
            raise ValueError(f"overlay: {name} of shape {list(numbers.shape)} holds others, expected {wanted}")
    picture = picture[..., 0] if picture.ndim == 3 and picture.shape[-1] == 1 else picture
    if picture.ndim not in (2, 3) or (picture.ndim == 3 and picture.shape[-1] != 3) or heat.ndim != 2:
        raise ValueError(
            f"overlay: picture and heat have shapes {list(picture.shape)} and {list(heat.shape)}, expected "
            "[height, width, 1 or 3] and [rows, columns]"
        )
    height, width = picture.shape[:2]
    low, high = picture.min(), picture.max()
    axes.imshow((picture - low) / max(high - low, 1e-12), cmap="gray", extent=(0, width, height, 0))
    # Where nothing is found the picture is seen as it is.
    axes.imshow(
        heat, cmap="inferno", alpha=0.75 * heat / max(heat.max(), 1e-12), extent=(0, width, height, 0),
        interpolation="bilinear", vmin=0,
    )  # fmt: skip
    axes.set_axis_off()
    if title:
        axes.set_title(title, fontsize=9, color=INK)
    return axes
