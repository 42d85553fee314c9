"""Equinox networks in and out: a module's arrays become the parameters, the rest of it stays behind.

An Equinox module takes one example; the `Network` maps it over the batch.
"""

import importlib
from collections.abc import Sequence
from typing import Any

import jax

from jaxevo.interop.doors import check_arrays, describe
from jaxevo.network import Convention, Network, Output, PyTree


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
      module: the module, called as `module(one)` or, with a state, as `module(one, state) -> (output, state)`.
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
    eqx = _equinox("from_equinox")
    _check(eqx, "from_equinox", module, state)
    whole = _whole(eqx.nn.inference_mode(module), state)
    params, rest = eqx.partition(whole, eqx.is_array)

    def apply(params, inputs):
        combined = eqx.combine(params, rest)
        if state is None:
            return jax.vmap(combined)(inputs)
        return jax.vmap(lambda one: combined["module"](one, combined["state"])[0])(inputs)

    facts = describe("from_equinox", apply, params, example, output, classes)
    return Network(apply, params, facts.inputs, name or type(module).__name__, output, facts.classes, convention)


def to_equinox(network: Network, module: Any, state: Any = None) -> Any:
    """Puts the parameters of a network whose structure is unchanged into an Equinox module.

    Args:
      network: from `from_equinox`, perhaps with other values.
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
    eqx = _equinox("to_equinox")
    _check(eqx, "to_equinox", module, state)
    arrays, rest = eqx.partition(_whole(module, state), eqx.is_array)
    check_arrays("to_equinox", network.params, arrays)
    # The module's own tree: that of the parameters says "inference".
    filled = jax.tree.unflatten(jax.tree.structure(arrays), jax.tree.leaves(network.params))
    combined = eqx.combine(filled, rest)
    return combined if state is None else (combined["module"], combined["state"])


def _whole(module: Any, state: Any) -> Any:
    return module if state is None else {"module": module, "state": state}


def _equinox(where: str) -> Any:
    try:
        return importlib.import_module("equinox")
    except ImportError as error:
        raise ImportError(f"{where}: needs equinox, which is not installed; pip install equinox") from error


def _check(eqx: Any, where: str, module: Any, state: Any) -> None:
    if not isinstance(module, eqx.Module):
        came = f"the class {module.__name__}" if isinstance(module, type) else f"a {type(module).__name__}"
        raise TypeError(
            f"{where}: module is {came}, expected an equinox.Module instance; "
            "Linen modules come in by from_flax, NNX modules by from_nnx"
        )
    if state is not None and not isinstance(state, eqx.nn.State):
        raise TypeError(
            f"{where}: state is a {type(state).__name__}, expected an equinox.nn.State as "
            "equinox.nn.make_with_state gives it"
        )
