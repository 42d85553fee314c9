"""Pictures of one size for all."""

import jax
import numpy as np

#: Pictures that are resized at a time.
_ROWS = 256


def resized(inputs: np.ndarray, size: int) -> np.ndarray:
    """Brings pictures to one size, bilinearly.

    Args:
      inputs: [N, height, width, C].
      size: height and width.

    Returns:
      float32 [N, size, size, C].
    """
    if inputs.shape[1:3] != (size, size):
        resize = jax.jit(lambda part: jax.image.resize(part, (len(part), size, size, part.shape[-1]), "linear"))
        parts = np.split(inputs, range(_ROWS, len(inputs), _ROWS))
        inputs = np.concatenate([np.asarray(resize(part)) for part in parts])
    return np.ascontiguousarray(inputs, np.float32)
