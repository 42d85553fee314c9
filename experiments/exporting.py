"""Networks as ONNX files, compared with what onnxruntime makes of them."""

import importlib
import pathlib
from collections.abc import Sequence

import numpy as np

from experiments.modules import absent
from jaxevo import interop
from jaxevo.network import Network

#: What it needs, as it is imported.
PACKAGES = ("onnx", "onnxruntime")


def exported(network: Network, inputs: np.ndarray, path: pathlib.Path, batches: Sequence[int]) -> float | None:
    """Writes a network, and runs the file.

    Args:
      network: any network with one input and one output.
      inputs: at least as many as the largest batch.
      path: of the file.
      batches: numbers of inputs that the file is run with.

    Returns:
      The largest difference between onnxruntime and the network, as a share of the largest output; None where the
      packages are missing, and nothing is written.
    """
    if absent(PACKAGES):
        return None
    interop.to_onnx(network, path)
    session = importlib.import_module("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])
    (described,) = session.get_inputs()
    differences = []
    for batch in batches:
        wanted = np.asarray(network(inputs[:batch]))
        (got,) = session.run(None, {described.name: inputs[:batch]})
        differences.append(float(np.abs(got - wanted).max() / np.abs(wanted).max()))
    return max(differences)
