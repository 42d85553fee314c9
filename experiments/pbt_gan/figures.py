"""Pictures of what generators make."""

import pathlib

import numpy as np

from jaxevo import plots


def draw_samples(path: pathlib.Path, pictures: np.ndarray, columns: int = 10) -> None:
    """Draws pictures side by side.

    Args:
      path: where the picture goes.
      pictures: [N, height, width, 1 or 3] in [-1, 1].
      columns: in a row.
    """
    rows = -(-len(pictures) // columns)
    height, width, channels = pictures.shape[1:]
    sheet = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1, channels), 1.0)
    for index, picture in enumerate(pictures):
        top, left = index // columns * (height + 1), index % columns * (width + 1)
        sheet[top : top + height, left : left + width] = (picture + 1) / 2
    axes = plots.canvas(columns * 0.6, rows * 0.6)
    axes.imshow(sheet.squeeze(-1) if channels == 1 else sheet, cmap="gray", vmin=0, vmax=1)
    axes.set_axis_off()
    axes.figure.savefig(path)
