"""Flax Linen networks in and out: variables become the parameters of a `Network`, and come back unchanged."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from flax import linen as nn
from flax.core import FrozenDict

from jaxevo.checks import check_network
from jaxevo.interop.doors import came, describe, is_view, mode_of, trainable_of
from jaxevo.network import Convention, Network, Output, PyTree, Trainable


def from_flax(
    module: nn.Module,
    variables: Mapping[str, Any],
    example: PyTree,
    *,
    apply_kwargs: Mapping[str, Any] | None = None,
    train_argument: str | None = None,
    method: Callable[..., Any] | str | None = None,
    name: str | None = None,
    output: Output = "logits",
    classes: Sequence[str] | None = None,
    convention: Convention | None = None,
) -> Network:
    """Takes in a trained Linen network.

    Args:
      module: the module.
      variables: its variables, `{"params": ..., "batch_stats": ...}`, as `module.init` and training give them.
      example: pytree of arrays or `ShapeDtypeStruct`s [B, ...], a batch of inputs.
      apply_kwargs: further keyword arguments of the module's call.
      train_argument: the keyword of the call that says whether this is training; by default the one of "train",
        "training", "is_training", "deterministic" and "use_running_average" that the call has.
      method: which method to call instead of `__call__`.
      name, output, classes, convention: as in `Network`; the name is by default that of the module's class.

    Returns:
      The network; its parameters are `variables`. (Where "state" is the only collection beside "params", they are
      `{"params": ..., "state": {"state": ...}}`, as in the frozen view of a trainable.)

    Raises:
      TypeError: where `module` is no Linen module or `variables` no dict of collections.
      ValueError: where the module does not run on such inputs, or classes and outputs do not fit.
    """
    _check_module("from_flax", module)
    if not isinstance(variables, Mapping) or "params" not in variables:
        held = f"with keys {sorted(variables)}" if isinstance(variables, Mapping) else type(variables).__name__
        raise TypeError(
            f"from_flax: variables is {held}, expected the dict with 'params' (and perhaps 'batch_stats'); "
            "pass {'params': params} where you hold the parameters alone"
        )
    given: dict[str, Any] = dict(apply_kwargs or {}) | _mode(
        "from_flax", module, method, train_argument, apply_kwargs, False
    )
    if not isinstance(variables, FrozenDict):
        variables = dict(variables)
    if is_view(variables):
        variables = {"params": variables["params"], "state": {"state": variables["state"]}}

    def apply(params, inputs):
        return module.apply(_collections(params), inputs, method=method, **given)

    facts = describe("from_flax", apply, variables, example, output, classes)
    return Network(
        apply,
        variables,
        facts.inputs,
        type(module).__name__ if name is None else name,
        output,
        facts.classes,
        convention,
    )


def trainable_from_flax(
    module: nn.Module,
    example: PyTree,
    *,
    apply_kwargs: Mapping[str, Any] | None = None,
    train_argument: str | None = None,
    rngs: Sequence[str] = ("dropout",),
    name: str | None = None,
    output: Output = "logits",
    classes: Sequence[str] | None = None,
    convention: Convention | None = None,
) -> Trainable:
    """Takes in a Linen network to be trained.

    Args:
      module: the module.
      example: pytree of arrays or `ShapeDtypeStruct`s [B, ...], a batch of inputs.
      apply_kwargs, train_argument: as in `from_flax`.
      rngs: names of the random streams that the module draws from while it trains.
      name, output, classes, convention: as in `Trainable`.

    Returns:
      The trainable; its state holds every collection but "params", and training updates all of them.

    Raises:
      TypeError: where `module` is no Linen module.
      ValueError: where the module does not run on such inputs, or classes and outputs do not fit.
    """
    _check_module("trainable_from_flax", module)
    given: dict[str, Any] = dict(apply_kwargs or {})
    modes = {
        train: _mode("trainable_from_flax", module, None, train_argument, apply_kwargs, train)
        for train in (False, True)
    }

    def first(key, inputs):
        variables = dict(module.init(_streams(key, ("params", *rngs)), inputs, **given, **modes[False]))
        return variables.pop("params", {}), variables

    def apply(params, state, inputs, key, train):
        variables = {"params": params, **state}
        if not train:
            return module.apply(variables, inputs, **given, **modes[False]), state
        streams = _streams(key, rngs)
        outputs, updated = module.apply(variables, inputs, rngs=streams, mutable=list(state), **given, **modes[True])
        return outputs, {**state, **updated}

    name = type(module).__name__ if name is None else name
    return trainable_of("trainable_from_flax", first, apply, example, name, output, classes, convention)


def to_flax(network: Network) -> Mapping[str, Any]:
    """Returns the Linen variables of a network whose structure is unchanged since it came in.

    Args:
      network: from `from_flax`, or the frozen view of a trainable from `trainable_from_flax`.

    Returns:
      The collections that `module.apply` takes: a dict, or a `FrozenDict` where one came in.

    Raises:
      TypeError: where its parameters are no dict of collections.
    """
    check_network("to_flax", "network", network)
    params = network.params
    if not isinstance(params, Mapping) or "params" not in params:
        raise TypeError(
            f"to_flax: network {network.name!r} has no Linen variables as parameters; "
            "a network whose structure changed has none: export it with its own apply and params"
        )
    return _collections(params)


def _collections(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the variables that lie in parameters of a network, or in those of a trainable's frozen view."""
    if is_view(params):
        return {"params": params["params"], **params["state"]}
    return params if isinstance(params, FrozenDict) else dict(params)


def _streams(key: jax.Array, names: Sequence[str]) -> dict[str, jax.Array]:
    return {name: jax.random.fold_in(key, index) for index, name in enumerate(names)}


def _check_module(where: str, module: Any) -> None:
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"{where}: module is {came(module)}, expected a flax.linen.Module instance; "
            "NNX modules come in by from_nnx, Equinox modules by from_equinox"
        )


def _mode(where: str, module, method, train_argument, apply_kwargs, train: bool) -> dict[str, Any]:
    """Returns the keyword argument that puts the module's call into training or inference, {} where it has none."""
    call = getattr(module, method) if isinstance(method, str) else method or type(module).__call__
    parameters = inspect.signature(call).parameters
    return mode_of(where, type(module).__name__, parameters, train_argument, apply_kwargs, train)
