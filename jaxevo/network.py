"""Networks as values: a pure function, its parameters, and what its inputs look like.

`Network` is a network in inference mode, `Trainable` one that can still learn; the frozen view of a `Trainable` is a
`Network`. Both are what `jaxevo.interop` makes of Flax and Equinox networks and what every system takes and returns.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

PyTree = Any
Output = Literal["logits", "probabilities", "values"]


@dataclasses.dataclass(frozen=True)
class Convention:
    """How pictures must be prepared for a network: `(pixels - mean) / scale`, pixels in [0, 255].

    layout: order of the axes of one picture, "HWC" or "CHW".
    mean: what is subtracted from each channel.
    scale: what each channel is divided by.
    """

    layout: Literal["HWC", "CHW"] = "HWC"
    mean: tuple[float, ...] = (0.0,)
    scale: tuple[float, ...] = (1.0,)


@dataclasses.dataclass(frozen=True)
class Network:
    """A network that somebody has trained, in inference mode.

    apply: pure function `(params, inputs) -> outputs`; inputs and outputs have a leading batch axis.
    params: pytree of arrays; everything learned, statistics of normalisations included.
    inputs: pytree of `jax.ShapeDtypeStruct`, the inputs of one example, without the batch axis.
    name: what messages, tables and drawings call it.
    output: what the outputs are: "logits", "probabilities" (both over classes, on the last axis) or "values".
    classes: names of the classes, or None where they are not known.
    convention: how pictures are prepared for it, or None where they come ready.
    """

    apply: Callable[[PyTree, PyTree], PyTree]
    params: PyTree
    inputs: PyTree
    name: str = "network"
    output: Output = "logits"
    classes: tuple[str, ...] | None = None
    convention: Convention | None = None

    def __post_init__(self):
        if not callable(self.apply):
            raise TypeError(f"Network: apply is {self.apply!r}, expected a function (params, inputs) -> outputs")
        check_labels("Network", self.name, self.output, self.classes, self.convention)
        leaves = jax.tree.leaves(self.inputs)
        if not leaves or not all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in leaves):
            raise TypeError(
                f"Network: inputs is {self.inputs!r}, expected a pytree of jax.ShapeDtypeStruct without the batch "
                "axis; make it with jaxevo.spec(batch)"
            )

    def __call__(self, inputs: PyTree) -> PyTree:
        """Runs the network on a batch, compiled.

        Args:
          inputs: pytree of arrays [B, ...] that match `self.inputs`.

        Returns:
          The outputs, with leading axis B.

        Raises:
          TypeError, ValueError: where the inputs do not match.
        """
        check_inputs(f"Network {self.name!r}", self.inputs, inputs)
        return jax.jit(self.apply)(self.params, inputs)


@dataclasses.dataclass(frozen=True)
class Trainable:
    """A network that can be trained.

    init: `key -> (params, state)`; state holds what training updates without a gradient (running statistics).
    apply: `(params, state, inputs, key, train) -> (outputs, state)`; `train` is a Python bool; with `train=False` the
      key is not used and the state comes back unchanged.
    inputs, name, output, classes, convention: as in `Network`.
    """

    init: Callable[[jax.Array], tuple[PyTree, PyTree]]
    apply: Callable[[PyTree, PyTree, PyTree, jax.Array | None, bool], tuple[PyTree, PyTree]]
    inputs: PyTree
    name: str = "network"
    output: Output = "logits"
    classes: tuple[str, ...] | None = None
    convention: Convention | None = None

    def network(self, params: PyTree, state: PyTree) -> Network:
        """Returns the frozen view: a `Network` whose parameters are `{"params": params, "state": state}`."""

        def apply(variables, inputs):
            return self.apply(variables["params"], variables["state"], inputs, None, False)[0]

        return Network(
            apply,
            {"params": params, "state": state},
            self.inputs,
            self.name,
            self.output,
            self.classes,
            self.convention,
        )


class Member(NamedTuple):
    """One trained member of a population.

    genome: its genome, or None where the architecture is fixed.
    params, state: as `Trainable.init` returns them.
    optimizer_state: state of its optax optimiser.
    """

    genome: PyTree
    params: PyTree
    state: PyTree
    optimizer_state: PyTree


def spec(batch: PyTree) -> PyTree:
    """Describes the inputs of one example, from a batch of them.

    Args:
      batch: pytree of arrays [B, ...].

    Returns:
      Pytree of `jax.ShapeDtypeStruct` without the batch axis, as `Network.inputs` wants it.

    Raises:
      ValueError: where an array has no batch axis.
    """

    def one(leaf):
        if not hasattr(leaf, "dtype"):
            raise TypeError(f"spec: batch holds {leaf!r}, expected arrays [B, ...]; make it one with numpy.asarray")
        shape, dtype = np.shape(leaf), jnp.result_type(leaf)
        if not shape:
            raise ValueError(f"spec: an input is a scalar ({leaf!r}), expected arrays [B, ...] with a batch axis")
        return jax.ShapeDtypeStruct(shape[1:], dtype)

    if not jax.tree.leaves(batch):
        raise TypeError(f"spec: batch is {batch!r}, expected a pytree of arrays [B, ...]")
    return jax.tree.map(one, batch)


def batched(inputs: PyTree, batch: int) -> PyTree:
    """Returns the `ShapeDtypeStruct`s of a batch of `batch` examples from those of one example."""
    return jax.tree.map(lambda s: jax.ShapeDtypeStruct((batch, *s.shape), s.dtype), inputs)


def check_inputs(where: str, expected: PyTree, inputs: PyTree) -> int:
    """Checks a batch against the description of one example.

    Args:
      where: whose inputs they are, the start of the message.
      expected: pytree of `ShapeDtypeStruct` without the batch axis.
      inputs: pytree of arrays or `ShapeDtypeStruct`s [B, ...].

    Returns:
      The batch size B.

    Raises:
      TypeError: where the structures or the kinds of dtype differ.
      ValueError: where shapes differ, batch sizes disagree, or whole numbers are out of range.
    """
    wanted, structure = jax.tree.flatten(expected)
    leaves, came = jax.tree.flatten(inputs)
    if came != structure:
        raise TypeError(f"{where}: inputs have structure {came}, expected {structure}")
    sizes = set()
    for leaf, want in zip(leaves, wanted, strict=True):
        shape = tuple(np.shape(leaf))
        if not shape or shape[1:] != tuple(want.shape):
            raise ValueError(
                f"{where}: inputs have shape {list(shape)}, expected [B{''.join(f', {n}' for n in want.shape)}] "
                "with a leading batch axis; reshape or resize them first"
            )
        dtype = np.dtype(leaf.dtype) if hasattr(leaf, "dtype") else np.asarray(leaf).dtype
        if jnp.issubdtype(dtype, jnp.floating) != jnp.issubdtype(want.dtype, jnp.floating):
            raise TypeError(
                f"{where}: inputs have dtype {dtype}, expected {np.dtype(want.dtype)}; "
                "convert them (pictures: divide by 255 or follow the network's convention)"
            )
        _check_range(where, leaf, np.dtype(want.dtype))
        sizes.add(shape[0])
    if len(sizes) != 1 or 0 in sizes:
        raise ValueError(f"{where}: inputs have batch sizes {sorted(sizes)}, expected one size of at least 1")
    return sizes.pop()


def _check_range(where: str, leaf: Any, dtype: np.dtype) -> None:
    """Raises ValueError where whole numbers would wrap around; arrays of JAX have done so before."""
    if not isinstance(leaf, np.ndarray) or leaf.dtype.kind not in "iu" or dtype.kind not in "iu" or not leaf.size:
        return
    limits, least, most = np.iinfo(dtype), int(leaf.min()), int(leaf.max())
    if least < limits.min or most > limits.max:
        raise ValueError(
            f"{where}: inputs hold whole numbers from {least} to {most}, expected {limits.min} to {limits.max}, "
            f"those of {dtype}; for more set jax_enable_x64 before the network is made"
        )


def check_labels(where: str, name: Any, output: Any, classes: Any, convention: Any) -> None:
    """Checks what says of a network what it is called, what its outputs are and how its inputs are prepared.

    Args:
      where: whose arguments they are, the start of the message.
      name, output, classes, convention: as in `Network`.

    Raises:
      TypeError, ValueError: where one is not as there.
    """
    if not isinstance(name, str):
        raise TypeError(f"{where}: name is {name!r}, expected a string, what messages and tables call the network")
    if output not in ("logits", "probabilities", "values"):
        raise ValueError(
            f"{where}: output is {output!r}, expected 'logits', 'probabilities' or 'values'; "
            "say what the network's outputs are"
        )
    several = isinstance(classes, Sequence) and not isinstance(classes, str)
    if classes is not None and not (several and all(isinstance(one, str) for one in classes)):
        raise TypeError(f"{where}: classes is {classes!r}, expected a sequence of names")
    if convention is not None and not isinstance(convention, Convention):
        raise TypeError(f"{where}: convention is {convention!r}, expected a jaxevo.Convention, or None")


def check_key(where: str, key: Any) -> jax.Array:
    """Returns `key` as a typed threefry key.

    Raises:
      TypeError: where it is no key.
      ValueError: where it is a batch of keys or of another generator: with `rbg` a vmapped draw differs from a lone
        one, so that children would depend on how they are laid out.
    """
    if not isinstance(key, jax.Array | np.ndarray):
        raise TypeError(f"{where}: key is {key!r}, expected a key; make one with jax.random.key(seed)")
    if isinstance(key, np.ndarray) or not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        if key.shape != (2,) or key.dtype != np.uint32:
            raise TypeError(
                f"{where}: key is an array {list(key.shape)} of {key.dtype}, expected a key; "
                "make one with jax.random.key(seed)"
            )
        return jax.random.wrap_key_data(jnp.asarray(key), impl="threefry2x32")
    if key.shape != ():
        raise ValueError(f"{where}: key is a batch of keys {list(key.shape)}, expected one key")
    if str(jax.random.key_impl(key)) != "threefry2x32":
        raise ValueError(
            f"{where}: key is of generator {jax.random.key_impl(key)}, expected threefry2x32; "
            "make it with jax.random.key(seed, impl='threefry2x32')"
        )
    return key
