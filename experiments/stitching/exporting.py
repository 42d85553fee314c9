"""The front as ONNX files, compared with what onnxruntime makes of them."""

import pathlib
from collections.abc import Sequence

import numpy as np

from experiments import exporting
from experiments.stitching.pipeline import Outcome
from experiments.stitching.scoring import Entry

#: Batches at which the files are compared.
BATCHES = (1, 3, 16)


def exported(outcome: Outcome, front: Sequence[Entry], pictures: np.ndarray, folder: pathlib.Path) -> list[Entry]:
    """Writes the networks of a front, each with the largest difference between onnxruntime and the network.

    Args:
      outcome: what the run found.
      front: entries of its front.
      pictures: at least as many as the largest of `BATCHES`.
      folder: where the files go.

    Returns:
      The entries with "onnx", the name of the file, and "onnx_difference", as a share of the largest output.
    """
    folder.mkdir(exist_ok=True)
    found = []
    for index, entry in enumerate(front):
        network = outcome.space.decode(outcome.space.params, np.asarray(entry["genome"], np.int32))
        path = folder / f"{index}.onnx"
        difference = exporting.exported(network, pictures, path, BATCHES)
        found.append({**entry, "onnx": path.name, "onnx_difference": difference})
    return found
