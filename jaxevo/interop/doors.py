"""What every door checks: that a network runs on its example, batch axis first, and that its classes fit."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.network import Convention, Output, PyTree, Trainable, batched, check_key, check_labels, spec

#: Arguments of a call that say "this is training", and those that say the opposite.
TRAINS = ("train", "training", "is_training")
INFERS = ("deterministic", "use_running_average")


class Facts(NamedTuple):
    """What a door found out about a network.

    inputs: the inputs of one example, as `Network.inputs`.
    classes: names of the classes, or None.
    """

    inputs: PyTree
    classes: tuple[str, ...] | None


def describe(
    where: str,
    apply: Callable[[PyTree, PyTree], PyTree],
    params: PyTree,
    example: PyTree,
    output: Output,
    classes: Sequence[str] | None,
) -> Facts:
    """Runs a network abstractly on a batch like `example`, without compiling anything.

    Args:
      where: the door, the start of every message.
      apply: `(params, inputs) -> outputs`.
      params: its parameters.
      example: pytree of arrays or `ShapeDtypeStruct`s [B, ...].
      output: kind of its outputs.
      classes: names of the classes, or None.

    Raises:
      TypeError: where classes is a string or holds anything but names.
      ValueError: where the network does not run, its outputs lack the batch axis, or classes and outputs disagree.
    """
    check_labels(where, "", output, classes, None)
    if not jax.tree.leaves(example) or not all(hasattr(leaf, "shape") for leaf in jax.tree.leaves(example)):
        raise TypeError(f"{where}: example is {example!r}, expected arrays [B, ...], a batch of inputs")
    inputs = spec(example)
    sizes = {int(np.shape(leaf)[0]) for leaf in jax.tree.leaves(example)}
    # Three rows at least, so that a batch axis is not mistaken for an axis of length one.
    size = max(3, *sizes)
    try:
        outputs = jax.eval_shape(apply, params, batched(inputs, size))
    except Exception as error:
        shapes = [list(leaf.shape) for leaf in jax.tree.leaves(batched(inputs, size))]
        raise ValueError(
            f"{where}: the network does not run on inputs of shape {shapes}: {error}; "
            "check the example's shape and dtype, the parameters and the keyword arguments of the call"
        ) from error
    for leaf in jax.tree.leaves(outputs):
        if not leaf.shape or leaf.shape[0] != size:
            raise ValueError(
                f"{where}: outputs have shape {list(leaf.shape)} for a batch of {size}, "
                "expected the batch as leading axis"
            )
    if classes is not None and output != "values":
        widths = {leaf.shape[-1] for leaf in jax.tree.leaves(outputs)}
        if widths != {len(classes)}:
            raise ValueError(
                f"{where}: classes has {len(classes)} names, but the last axis of the outputs has length "
                f"{sorted(widths)}; name every class once"
            )
    return Facts(inputs, None if classes is None else tuple(classes))


def trainable_of(
    where: str,
    init: Callable[[jax.Array, PyTree], tuple[PyTree, PyTree]],
    apply: Callable[[PyTree, PyTree, PyTree, jax.Array | None, bool], tuple[PyTree, PyTree]],
    example: PyTree,
    name: str,
    output: Output,
    classes: Sequence[str] | None,
    convention: Convention | None,
) -> Trainable:
    """Makes a trainable, checked as `describe` checks a network, while it trains and in inference.

    Args:
      where, example, output, classes: as in `describe`.
      init: `(key, inputs) -> (params, state)`, from a batch of inputs.
      apply, name, convention: as in `Trainable`.

    Raises:
      TypeError, ValueError: as `describe`.
    """

    def outputs(train, key, inputs):
        params, state = init(key, inputs)
        return apply(params, state, inputs, key, train)[0]

    check_labels(where, name, output, classes, convention)
    key = jax.random.key(0)
    describe(where, functools.partial(outputs, True), key, example, output, classes)
    facts = describe(where, functools.partial(outputs, False), key, example, output, classes)
    draw = jax.jit(lambda key: init(key, _zeros(facts.inputs)))

    def begin(key):
        return draw(check_key(f"init of {name}", key))

    return Trainable(begin, apply, facts.inputs, name, output, facts.classes, convention)


def came(module: Any) -> str:
    """Says in words what was given in place of a module."""
    return f"the class {module.__name__}" if isinstance(module, type) else f"a {type(module).__name__}"


def _zeros(inputs: PyTree) -> PyTree:
    """Returns a batch of one example that is all zeros, from the description of one."""
    return jax.tree.map(lambda one: jnp.zeros(one.shape, one.dtype), batched(inputs, 1))


def mode_of(
    where: str,
    owner: str,
    parameters: Mapping[str, inspect.Parameter],
    train_argument: str | None,
    apply_kwargs: Mapping[str, Any] | None,
    train: bool,
) -> dict[str, Any]:
    """Returns the keyword arguments that put a call into training or inference, {} where it has none.

    Args:
      where: the door, the start of the message.
      owner: whose call it is.
      parameters: parameters of the call's signature.
      train_argument: the one that says so, or None to look for one of the usual names.
      apply_kwargs: what the user gives the call; what stands there is left alone.
      train: whether this is training.

    Raises:
      ValueError: where the call has no argument of the name `train_argument`.
    """
    given = apply_kwargs or {}
    if train_argument is None:
        found = [word for word in (*TRAINS, *INFERS) if word in parameters and word not in given]
        return {word: train if word in TRAINS else not train for word in found}
    takes_all = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
    if train_argument not in parameters and not takes_all:
        raise ValueError(
            f"{where}: train_argument is {train_argument!r}, but the call of {owner} takes "
            f"{', '.join(word for word in parameters if word != 'self')}; name one of them or leave it out"
        )
    return {train_argument: train != (train_argument in INFERS)}


def is_view(params: PyTree) -> bool:
    """Says whether these are the parameters of a trainable's frozen view, `{"params": params, "state": state}`."""
    return isinstance(params, Mapping) and set(params) == {"params", "state"}


def check_arrays(where: str, params: PyTree, wanted: PyTree) -> None:
    """Raises ValueError, starting with `where`, unless both trees hold arrays of the same names, shapes and dtypes."""
    came, expected = (
        {jax.tree_util.keystr(path): (tuple(leaf.shape), str(leaf.dtype)) for path, leaf in leaves}
        for leaves in (jax.tree_util.tree_leaves_with_path(params), jax.tree_util.tree_leaves_with_path(wanted))
    )
    differ = sorted(path for path in came.keys() | expected.keys() if came.get(path) != expected.get(path))
    if differ:
        raise ValueError(
            f"{where}: the network's parameters do not fit the module at {differ[0]}: the network has "
            f"{came.get(differ[0], 'none')}, the module {expected.get(differ[0], 'none')}; "
            "pass the module that came in, and only a network whose structure is unchanged"
        )
