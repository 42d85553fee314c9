"""One row of the matrix: a file is imported, run, differentiated and compared."""

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
      reference gives the same for all examples.
    """
    onnx = importlib.import_module("onnx")
    start, worked = time.perf_counter(), time.process_time()
    network = jaxevo.from_onnx(path)
    seconds, processor = time.perf_counter() - start, time.process_time() - worked
    examples = np.random.default_rng(seed).standard_normal((EXAMPLES, *network.inputs.shape)).astype(np.float32)
    expected = _reference(path, examples)
    outputs, finite = _outputs(network, examples)
    return {
        "parameters": sum(int(np.size(leaf)) for leaf in jax.tree.leaves(network.params)),
        "operators": len({node.op_type for node in onnx.load(path, load_external_data=False).graph.node}),
        "seconds": seconds,
        "processor_seconds": processor,
        "difference": float(np.abs(outputs - expected).max() / np.abs(expected).max()),
        "finite": finite,
        "degenerate": bool((expected == expected[:1]).all()),
    }


def _outputs(network: Network, examples: np.ndarray) -> tuple[np.ndarray, bool]:
    """Returns the first output, and whether the gradient is finite, from one program."""

    def loss(params, inputs):
        found = network.apply(params, inputs)
        output = next(iter(found.values())) if isinstance(found, dict) else found
        return (output**2).sum(), output

    gradients, outputs = jax.jit(jax.grad(loss, has_aux=True, allow_int=True))(network.params, examples)
    floating = [g for g in jax.tree.leaves(gradients) if jnp.issubdtype(g.dtype, jnp.floating)]
    return np.asarray(outputs), all(bool(jnp.isfinite(g).all()) for g in floating)


def _reference(path: pathlib.Path, examples: np.ndarray) -> np.ndarray:
    """Returns what onnxruntime gives, one example at a time where the file is written for one."""
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name, shape = session.get_inputs()[0].name, session.get_inputs()[0].shape
    if shape[0] == 1:
        return np.concatenate([session.run(None, {name: row[None]})[0] for row in examples])
    return session.run(None, {name: examples})[0]
