"""One row of the matrix: a file is imported, run, differentiated and compared, and goes out and comes in again."""

import importlib
import pathlib
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxevo
from jaxevo.network import Network

#: Examples that are run.
EXAMPLES = 2


def measure(path: pathlib.Path, seed: int = 0) -> dict[str, Any]:
    """Imports a file and compares it with onnxruntime.

    Args:
      path: the file.
      seed: of the examples, standard normal.

    Returns:
      parameters, operators, seconds (of the clock and of the processor), difference, finite and degenerate: whether the
      reference gives the same for all examples; of the network written as a file again export_seconds, what onnxruntime
      makes of it (exported_difference) and what comes in from it (returned_difference, returned_equal: with the
      parameters that left). Differences are shares of the largest output.
    """
    onnx = importlib.import_module("onnx")
    start, worked = time.perf_counter(), time.process_time()
    network = jaxevo.from_onnx(path)
    seconds, processor = time.perf_counter() - start, time.process_time() - worked
    examples = np.random.default_rng(seed).standard_normal((EXAMPLES, *network.inputs.shape)).astype(np.float32)
    expected = _reference(str(path), examples)
    outputs, finite = _outputs(network, examples)
    return {
        **_again(network, examples, outputs),
        "parameters": sum(int(np.size(leaf)) for leaf in jax.tree.leaves(network.params)),
        "operators": len({node.op_type for node in onnx.load(path, load_external_data=False).graph.node}),
        "seconds": seconds,
        "processor_seconds": processor,
        "difference": _difference(outputs, expected),
        "finite": finite,
        "degenerate": bool((expected == expected[:1]).all()),
    }


def _again(network: Network, examples: np.ndarray, outputs: np.ndarray) -> dict[str, Any]:
    """Writes a network as a file, and reads that."""
    start = time.perf_counter()
    model = jaxevo.to_onnx(network)
    seconds = time.perf_counter() - start
    back = jaxevo.from_onnx(model)
    used = {name: leaf for name, leaf in network.params.items() if name in back.params}
    equal = used.keys() == back.params.keys() and all(np.array_equal(used[n], back.params[n]) for n in used)
    returned = np.asarray(_first(jax.jit(back.apply)(back.params, examples)))
    return {
        "export_seconds": seconds,
        "exported_difference": _difference(_reference(model.SerializeToString(), examples), outputs),
        "returned_difference": _difference(returned, outputs),
        "returned_equal": bool(equal),
    }


def _difference(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def _first(found: Any) -> Any:
    return next(iter(found.values())) if isinstance(found, dict) else found


def _outputs(network: Network, examples: np.ndarray) -> tuple[np.ndarray, bool]:
    """Returns the first output, and whether the gradient is finite, from one program."""

    def loss(params, inputs):
        output = _first(network.apply(params, inputs))
        return (output**2).sum(), output

    gradients, outputs = jax.jit(jax.grad(loss, has_aux=True, allow_int=True))(network.params, examples)
    floating = [g for g in jax.tree.leaves(gradients) if jnp.issubdtype(g.dtype, jnp.floating)]
    return np.asarray(outputs), all(bool(jnp.isfinite(g).all()) for g in floating)


def _reference(model: str | bytes, examples: np.ndarray) -> np.ndarray:
    """Returns what onnxruntime makes of a file, one example at a time where it is written for one."""
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name, shape = session.get_inputs()[0].name, session.get_inputs()[0].shape
    if shape[0] == 1:
        return np.concatenate([session.run(None, {name: row[None]})[0] for row in examples])
    return session.run(None, {name: examples})[0]
