"""Pictures of a run: returns of one agent, and an episode that moves."""

import pathlib
from collections.abc import Sequence

import numpy as np

from jaxevo import plots
from jaxevo.plots.look import COLORS, FAINT

#: How long a frame of an episode is shown, in milliseconds, and how many times its size.
_SHOWN, _TIMES = 80, 6


def draw_curve(path: pathlib.Path, steps: Sequence[int], returns: Sequence[float], wanted: float | None) -> None:
    """Draws the returns of one agent over its steps, and the return that is wanted as a line."""
    axes = plots.canvas()
    axes.plot(steps, returns, color=COLORS[0], marker=".")
    if wanted is not None:
        axes.axhline(wanted, color=FAINT, linewidth=1)
    axes.set(xlabel="steps of the environment", ylabel="mean return of episodes without noise")
    axes.figure.savefig(path)


def draw_episode(path: pathlib.Path, frames: Sequence[np.ndarray]) -> None:
    """Writes frames uint8 [S, S, C] as a picture that moves; of more than three channels the brightest is shown."""
    from PIL import Image

    pictures = []
    for frame in frames:
        seen = frame if frame.shape[-1] in (1, 3) else frame.max(-1, keepdims=True)
        picture = Image.fromarray(seen.squeeze(-1) if seen.shape[-1] == 1 else seen)
        pictures.append(picture.resize((seen.shape[1] * _TIMES, seen.shape[0] * _TIMES), Image.Resampling.NEAREST))
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=_SHOWN, loop=0)
