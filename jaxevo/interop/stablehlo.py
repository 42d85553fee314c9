"""`to_stablehlo`: a network leaves as StableHLO, for whatever runs what JAX compiles."""

import os
import pathlib
import tempfile
from collections.abc import Sequence

import jax

from jaxevo.checks import check_path
from jaxevo.interop.doors import came
from jaxevo.network import Network, PyTree

#: Where an exported network runs by default.
PLATFORMS = ("cpu", "cuda", "tpu")


def to_stablehlo(
    network: Network,
    path: str | os.PathLike[str] | None = None,
    *,
    batch: int | None = None,
    platforms: Sequence[str] = PLATFORMS,
) -> jax.export.Exported:
    """Exports a network as StableHLO, a function `(params, inputs) -> outputs` with a batch axis of any length.

    `jax.export.deserialize(bytes).call(params, inputs)` runs it, without jaxevo. Parameters stay arguments;
    `save_state` writes them.

    Args:
      network: the network, such as an offspring that `space.decode` gave.
      path: where the serialised bytes go, if anywhere; a file that lies there is replaced once the new one is whole.
      batch: number of examples to fix, for a network that cannot be traced with a batch of any length; by default any.
      platforms: what it must run on: "cpu", "cuda", "rocm" or "tpu".

    Returns:
      What `jax.export.export` gives.

    Raises:
      TypeError: where network is no `Network`.
      ValueError: where an argument is not as above, or the network cannot be exported so.
    """
    if not isinstance(network, Network):
        raise TypeError(
            f"to_stablehlo: network is {came(network)}, expected a jaxevo.Network, such as space.decode gives"
        )
    if batch is not None and (not isinstance(batch, int) or isinstance(batch, bool) or batch < 1):
        raise ValueError(f"to_stablehlo: batch is {batch!r}, expected a whole number of at least 1, or None for any")
    if path is not None:
        check_path("to_stablehlo", "path", path)
    known = (*PLATFORMS, "rocm")
    if not isinstance(platforms, tuple | list) or not platforms or not set(platforms) <= set(known):
        raise ValueError(f"to_stablehlo: platforms is {platforms!r}, expected a tuple of some of {known}")
    size = jax.export.symbolic_shape("batch")[0] if batch is None else batch
    described = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((size, *leaf.shape), leaf.dtype), network.inputs)
    params = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), network.params)
    try:
        exported = jax.export.export(jax.jit(_Apply(network)), platforms=tuple(platforms))(params, described)
    except Exception as error:
        step = "pass batch= with the number of examples" if batch is None else "check that the network runs"
        reason = str(error).strip().split("\n")[0]
        raise ValueError(
            f"to_stablehlo: network {network.name!r} cannot be exported for platforms {tuple(platforms)} "
            f"({type(error).__name__}: {reason}); {step}"
        ) from error
    if path is not None:
        _save(exported.serialize(), pathlib.Path(path))
    return exported


class _Apply:
    """A network's function under the network's name, which the export carries."""

    def __init__(self, network: Network):
        self.apply, self.__name__ = network.apply, network.name

    def __call__(self, params: PyTree, inputs: PyTree) -> PyTree:
        return self.apply(params, inputs)


def _save(data: bytes | bytearray, path: pathlib.Path) -> None:
    if not path.parent.is_dir():
        raise ValueError(f"to_stablehlo: path is {str(path)!r}, but {str(path.parent)!r} is no folder; make it first")
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        whole = pathlib.Path(folder) / path.name
        whole.write_bytes(data)
        os.replace(whole, path)
