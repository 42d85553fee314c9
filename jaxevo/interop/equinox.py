"""Equinox networks in and out: a module's arrays become the parameters, the rest of it stays behind.

An Equinox module takes one example; the `Network` maps it over the batch.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxevo.checks import check_network
from jaxevo.interop.doors import came, check_arrays, describe, is_view, trainable_of
from jaxevo.libraries import library
from jaxevo.network import Convention, Network, Output, PyTree, Trainable


def from_equinox(
    module: Any,
    example: PyTree,
    state: Any = None,
    *,
    name: str | None = None,
    output: Output = "logits",
    classes: Sequence[str] | None = None,
    convention: Convention | None = None,
) -> Network:
    """Takes in a trained Equinox network, in inference mode.

    Args:
      module: the module, called as `module(one)` or, with a state, as `module(one, state) -> (output, state)`; with
        `key=None` where its call has an argument `key`.
      example: pytree of arrays or `ShapeDtypeStruct`s [B, ...], a batch of inputs.
      state: its `equinox.nn.State`, where it has one (running statistics), from `equinox.nn.make_with_state`.
      name, output, classes, convention: as in `Network`; the name is by default that of the module's class.

    Returns:
      The network; its parameters are the module's arrays, in the module's own structure, or
      `{"module": ..., "state": ...}` where there is a state.

    Raises:
      ImportError: where equinox is missing.
      TypeError: where `module` is no Equinox module or `state` no state.
      ValueError: where the module does not run on such inputs, or classes and outputs do not fit.
    """
    eqx = library("from_equinox", "equinox", "equinox")
    _check(eqx, "from_equinox", module, state)
    whole = _whole(eqx.nn.inference_mode(module), state)
    params, rest = eqx.partition(whole, eqx.is_array)
    given = {"key": None} if _takes_key(module) else {}

    def apply(params, inputs):
        combined = eqx.combine(params, rest)
        if state is None:
            return jax.vmap(lambda one: combined(one, **given))(inputs)
        return jax.vmap(lambda one: combined["module"](one, combined["state"], **given)[0])(inputs)

    facts = describe("from_equinox", apply, params, example, output, classes)
    return Network(
        apply, params, facts.inputs, type(module).__name__ if name is None else name, output, facts.classes, convention
    )


def trainable_from_equinox(
    module: Any,
    example: PyTree,
    *,
    axis_name: str = "batch",
    name: str | None = None,
    output: Output = "logits",
    classes: Sequence[str] | None = None,
    convention: Convention | None = None,
) -> Trainable:
    """Takes in an Equinox network to be trained.

    Args:
      module: the module from whose arrays training starts, or the pair (module, state) of one with running
        statistics, so that `init` draws nothing; or a function of a key that makes either, whose parameters `init`
        draws. It is called as in `from_equinox`; where its call has an argument `key`, each example gets a key of its
        own in training.
      example: pytree of arrays or `ShapeDtypeStruct`s [B, ...], a batch of inputs.
      axis_name: what the module's `equinox.nn.BatchNorm`s call the batch axis.
      name, output, classes, convention: as in `Trainable`; the name is by default that of the module's class.

    Returns:
      The trainable; params are the module's arrays of floating numbers, in the module's own structure, and state is
      `{"fixed": its other arrays, "state": its state or None}`.

    Raises:
      ImportError: where equinox is missing.
      TypeError: where `module` is none of these.
      ValueError: where the module does not run on such inputs, or classes and outputs do not fit.
    """
    eqx = library("trainable_from_equinox", "equinox", "equinox")
    drawn = callable(module) and not isinstance(module, eqx.Module)
    made, statistics = _pair(eqx.filter_eval_shape(module, jax.random.key(0)) if drawn else module)
    _check(eqx, "trainable_from_equinox", made, statistics)
    takes_key = _takes_key(made)
    rests = {train: _split(eqx, eqx.nn.inference_mode(made, not train))[2] for train in (False, True)}

    def first(key, inputs):
        del inputs
        fresh, state = _pair(module(key) if drawn else module)
        params, fixed, _ = _split(eqx, eqx.nn.inference_mode(fresh, False))
        return jax.tree.map(jnp.asarray, (params, {"fixed": fixed, "state": state}))

    def apply(params, state, inputs, key, train):
        running = eqx.combine(params, state["fixed"], rests[train])
        size = jax.tree.leaves(inputs)[0].shape[0]
        keys = jax.random.split(key, size) if train and takes_key else None

        def one(example, statistics, key):
            given = {"key": key} if takes_key else {}
            if statistics is None:
                return running(example, **given), None
            return running(example, statistics, **given)

        axes = (0, None, None if keys is None else 0)
        outputs, moved = jax.vmap(one, axes, (0, None), axis_name=axis_name)(inputs, state["state"], keys)
        return outputs, {**state, "state": moved} if train else state

    name = type(made).__name__ if name is None else name
    return trainable_of("trainable_from_equinox", first, apply, example, name, output, classes, convention)


def to_equinox(network: Network, module: Any, state: Any = None) -> Any:
    """Puts the parameters of a network whose structure is unchanged into an Equinox module.

    Args:
      network: from `from_equinox`, perhaps with other values, or the frozen view of a trainable from
        `trainable_from_equinox`.
      module: a module of the same structure, such as the one that came in.
      state: the state that came in with it, if any.

    Returns:
      The module with the network's parameters, in the mode that `module` is in; with a state the pair
      (module, state).

    Raises:
      ImportError: where equinox is missing.
      TypeError: where `module` is no Equinox module or `state` no state.
      ValueError: where the parameters do not fit its arrays.
    """
    eqx = library("to_equinox", "equinox", "equinox")
    _check(eqx, "to_equinox", module, state)
    arrays, rest = eqx.partition(_whole(module, state), eqx.is_array)
    check_network("to_equinox", "network", network)
    params = network.params
    if is_view(params):
        params = _whole(eqx.combine(params["params"], params["state"]["fixed"]), params["state"]["state"])
    check_arrays("to_equinox", params, arrays)
    # The module's own tree: that of the parameters says "inference".
    filled = jax.tree.unflatten(jax.tree.structure(arrays), jax.tree.leaves(params))
    combined = eqx.combine(filled, rest)
    return combined if state is None else (combined["module"], combined["state"])


def _whole(module: Any, state: Any) -> Any:
    return module if state is None else {"module": module, "state": state}


def _pair(made: Any) -> tuple[Any, Any]:
    return made if isinstance(made, tuple) and len(made) == 2 else (made, None)


def _split(eqx: Any, module: Any) -> tuple[Any, Any, Any]:
    """Returns a module's arrays of floating numbers, its other arrays, and what is no array."""

    def is_array(leaf):
        return eqx.is_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct)

    arrays, rest = eqx.partition(module, is_array)
    params, fixed = eqx.partition(arrays, lambda leaf: jnp.issubdtype(leaf.dtype, jnp.floating))
    return params, fixed, rest


def _takes_key(module: Any) -> bool:
    return "key" in inspect.signature(type(module).__call__).parameters


def _check(eqx: Any, where: str, module: Any, state: Any) -> None:
    if not isinstance(module, eqx.Module):
        raise TypeError(
            f"{where}: module is {came(module)}, expected an equinox.Module instance; "
            "Linen modules come in by from_flax, NNX modules by from_nnx"
        )
    if state is not None and not isinstance(state, eqx.nn.State):
        raise TypeError(
            f"{where}: state is a {type(state).__name__}, expected an equinox.nn.State as "
            "equinox.nn.make_with_state gives it"
        )
