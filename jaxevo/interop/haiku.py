"""Haiku networks in and out: a transformed function's parameters and state are the parameters of a `Network`."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxevo.checks import check_network
from jaxevo.interop.doors import describe, is_view, mode_of, trainable_of
from jaxevo.libraries import library
from jaxevo.network import Convention, Network, Output, PyTree, Trainable


def from_haiku(
    transformed: Any,
    params: Mapping[str, Any],
    example: PyTree,
    *,
    state: Mapping[str, Any] | None = None,
    apply_kwargs: Mapping[str, Any] | None = None,
    train_argument: str | None = None,
    name: str | None = None,
    output: Output = "logits",
    classes: Sequence[str] | None = None,
    convention: Convention | None = None,
) -> Network:
    """Takes in a trained Haiku network, in inference mode.

    Args:
      transformed: what `haiku.transform` or `haiku.transform_with_state` gave, `haiku.without_apply_rng` or not; its
        function takes a batch of inputs.
      params: its parameters, as `transformed.init` and training give them.
      example: pytree of arrays or `ShapeDtypeStruct`s [B, ...], a batch of inputs.
      state: its state, where it came from `haiku.transform_with_state`.
      apply_kwargs: further keyword arguments of the function.
      train_argument: the argument of the function that says whether this is training; by default the one of "train",
        "training", "is_training", "deterministic" and "use_running_average" that it has.
      name, output, classes, convention: as in `Network`; the name is by default "network".

    Returns:
      The network; its parameters are `{"params": params, "state": state}`, the state {} where there is none.

    Raises:
      ImportError: where haiku is missing.
      TypeError: where `transformed` is nothing that Haiku transformed, or `params` or `state` no dict of modules.
      ValueError: where a state is missing or too much, the function does not run on such inputs in inference and
        without a key, or classes and outputs do not fit.
    """
    call = _call("from_haiku", transformed)
    _check_variables(transformed, params, state)
    given = dict(apply_kwargs or {}) | _mode("from_haiku", transformed, train_argument, apply_kwargs, False)

    def apply(variables, inputs):
        return call(variables["params"], variables["state"], None, inputs, **given)[0]

    variables = {"params": params, "state": {} if state is None else state}
    facts = describe("from_haiku", apply, variables, example, output, classes)
    return Network(
        apply, variables, facts.inputs, "network" if name is None else name, output, facts.classes, convention
    )


def trainable_from_haiku(
    transformed: Any,
    example: PyTree,
    *,
    apply_kwargs: Mapping[str, Any] | None = None,
    train_argument: str | None = None,
    name: str | None = None,
    output: Output = "logits",
    classes: Sequence[str] | None = None,
    convention: Convention | None = None,
) -> Trainable:
    """Takes in a Haiku network to be trained.

    Args:
      transformed: as in `from_haiku`; it draws, as dropout does, from the key that training gives it.
      example: pytree of arrays or `ShapeDtypeStruct`s [B, ...], a batch of inputs.
      apply_kwargs, train_argument: as in `from_haiku`.
      name, output, classes, convention: as in `Trainable`; the name is by default "network".

    Returns:
      The trainable; its params and state are Haiku's own, the state {} where there is none.

    Raises:
      ImportError: where haiku is missing.
      TypeError: where `transformed` is nothing that Haiku transformed.
      ValueError: where the function does not run on such inputs, or classes and outputs do not fit.
    """
    call = _call("trainable_from_haiku", transformed)
    modes = {
        train: dict(apply_kwargs or {})
        | _mode("trainable_from_haiku", transformed, train_argument, apply_kwargs, train)
        for train in (False, True)
    }

    def first(key, inputs):
        # In training mode: in inference Haiku's running averages are not made, only looked for.
        found = transformed.init(key, inputs, **modes[True])
        return found if _has_state(transformed) else (found, {})

    def apply(params, state, inputs, key, train):
        if not train:
            return call(params, state, None, inputs, **modes[False])[0], state
        return call(params, state, key, inputs, **modes[True])

    name = "network" if name is None else name
    return trainable_of("trainable_from_haiku", first, apply, example, name, output, classes, convention)


def to_haiku(network: Network) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Returns the Haiku parameters and state of a network whose structure is unchanged since it came in.

    Args:
      network: from `from_haiku`, perhaps with other values, or the frozen view of a trainable from
        `trainable_from_haiku`.

    Returns:
      The pair (params, state); the state is {} where the network has none.

    Raises:
      TypeError: where its parameters are none of Haiku's.
    """
    check_network("to_haiku", "network", network)
    variables = network.params
    if not is_view(variables) or not all(map(_is_of_modules, variables.values())):
        raise TypeError(
            f"to_haiku: network {network.name!r} has no Haiku params and state as parameters; "
            "a network whose structure changed has none: export it with its own apply and params"
        )
    return variables["params"], variables["state"]


def _call(where: str, transformed: Any) -> Callable[..., tuple[PyTree, PyTree]]:
    """Returns the function `(params, state, key, inputs, **given) -> (outputs, state)` of any transformed function."""
    hk = library(where, "haiku", "dm-haiku")
    if not isinstance(transformed, hk.Transformed | hk.TransformedWithState):
        raise TypeError(
            f"{where}: transformed is a {type(transformed).__name__}, expected what haiku.transform or "
            "haiku.transform_with_state returns; transform the function first"
        )
    stateful = _has_state(transformed)
    # Beside what init takes, apply takes params, a state and a key; `haiku.without_apply_rng` leaves out the key.
    sizes = [len(inspect.signature(function).parameters) for function in (transformed.init, transformed.apply)]
    keyed = sizes[1] - sizes[0] == 1 + stateful

    def call(params, state, key, inputs, **given):
        before = (params, *((state,) if stateful else ()), *((key,) if keyed else ()))
        result = transformed.apply(*before, inputs, **given)
        return result if stateful else (result, state)

    return call


def _has_state(transformed: Any) -> bool:
    return isinstance(transformed, library("haiku", "haiku", "dm-haiku").TransformedWithState)


def _mode(where: str, transformed: Any, train_argument, apply_kwargs, train: bool) -> dict[str, Any]:
    parameters = inspect.signature(transformed.init).parameters
    own = dict(list(parameters.items())[1:])
    return mode_of(where, "the transformed function", own, train_argument, apply_kwargs, train)


def _check_variables(transformed: Any, params: Any, state: Any) -> None:
    if not _is_of_modules(params):
        raise TypeError(
            f"from_haiku: params is a {type(params).__name__}, expected a dict of modules, each a dict of arrays; "
            "of the pair (params, state) pass the first, and the second as state"
        )
    if state is not None and not _is_of_modules(state):
        raise TypeError(
            f"from_haiku: state is a {type(state).__name__}, expected a dict of modules, each a dict of arrays"
        )
    if _has_state(transformed) and state is None:
        raise ValueError(
            "from_haiku: state is None, but transformed comes from haiku.transform_with_state; pass the state that "
            "init and training give beside the parameters"
        )
    if state and not _has_state(transformed):
        raise ValueError(
            f"from_haiku: state holds {sorted(state)}, but transformed comes from haiku.transform, which keeps none; "
            "transform the function with haiku.transform_with_state"
        )


def _is_of_modules(variables: Any) -> bool:
    return isinstance(variables, Mapping) and all(isinstance(module, Mapping) for module in variables.values())
