"""Flax NNX networks in and out: their variables become a plain nested dict of arrays, and go back into a module."""

from collections.abc import Sequence
from typing import Any

import jax
from flax import nnx

from jaxevo.interop.doors import check_arrays, describe
from jaxevo.network import Convention, Network, Output, PyTree


def from_nnx(
    module: nnx.Module,
    example: PyTree,
    *,
    name: str | None = None,
    output: Output = "logits",
    classes: Sequence[str] | None = None,
    convention: Convention | None = None,
) -> Network:
    """Takes in a trained NNX network, in inference mode; the module itself is left as it is.

    Args:
      module: the module; its call takes a batch of inputs.
      example: pytree of arrays or `ShapeDtypeStruct`s [B, ...], a batch of inputs.
      name, output, classes, convention: as in `Network`; the name is by default that of the module's class.

    Returns:
      The network; its parameters are the nested dict of all variables but random states.

    Raises:
      TypeError: where `module` is no NNX module.
      ValueError: where the module does not run on such inputs, or classes and outputs do not fit.
    """
    _check_module("from_nnx", module)
    frozen = nnx.clone(module)
    frozen.eval()
    definition, state, rest = nnx.split(frozen, nnx.Not(nnx.RngState), ...)

    def apply(params, inputs):
        return nnx.merge(definition, _filled(state, params), rest)(inputs)

    params = nnx.to_pure_dict(state)
    facts = describe("from_nnx", apply, params, example, output, classes)
    return Network(apply, params, facts.inputs, name or type(module).__name__, output, facts.classes, convention)


def to_nnx(network: Network, module: nnx.Module) -> nnx.Module:
    """Puts the parameters of a network whose structure is unchanged into an NNX module.

    Args:
      network: from `from_nnx`, perhaps with other values.
      module: a module of the same structure, such as the one that came in; it is left as it is.

    Returns:
      A copy of `module`, in the mode that `module` is in, with the network's parameters.

    Raises:
      TypeError: where `module` is no NNX module.
      ValueError: where the parameters do not fit its variables.
    """
    _check_module("to_nnx", module)
    copy = nnx.clone(module)
    definition, state, rest = nnx.split(copy, nnx.Not(nnx.RngState), ...)
    check_arrays("to_nnx", network.params, nnx.to_pure_dict(state))
    return nnx.merge(definition, _filled(state, network.params), rest)


def _filled(state: nnx.State, params: PyTree) -> nnx.State:
    # NNX writes into the state that it is given; the copy keeps the caller's whole.
    filled = jax.tree.map(lambda leaf: leaf, state)
    nnx.replace_by_pure_dict(filled, params)
    return filled


def _check_module(where: str, module: Any) -> None:
    if not isinstance(module, nnx.Module):
        came = f"the class {module.__name__}" if isinstance(module, type) else f"a {type(module).__name__}"
        raise TypeError(
            f"{where}: module is {came}, expected a flax.nnx.Module instance; "
            "Linen modules come in by from_flax, Equinox modules by from_equinox"
        )
