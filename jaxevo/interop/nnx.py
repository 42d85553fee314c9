"""Flax NNX networks in and out: their variables become a plain nested dict of arrays, and go back into a module."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jaxevo.checks import check_network
from jaxevo.interop.doors import came, check_arrays, describe, is_view, trainable_of
from jaxevo.network import Convention, Network, Output, PyTree, Trainable


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
    definition, state, rest = nnx.split(_mode(module, train=False), nnx.Not(nnx.RngState), ...)

    def apply(params, inputs):
        return nnx.merge(definition, _filled(state, params), rest)(inputs)

    params = nnx.to_pure_dict(state)
    facts = describe("from_nnx", apply, params, example, output, classes)
    return Network(
        apply, params, facts.inputs, type(module).__name__ if name is None else name, output, facts.classes, convention
    )


def trainable_from_nnx(
    module: nnx.Module | Callable[[nnx.Rngs], nnx.Module],
    example: PyTree,
    *,
    name: str | None = None,
    output: Output = "logits",
    classes: Sequence[str] | None = None,
    convention: Convention | None = None,
) -> Trainable:
    """Takes in an NNX network to be trained; a module that comes in is left as it is.

    Args:
      module: the module from whose parameters training starts, so that `init` draws nothing; or a function of
        `flax.nnx.Rngs` that makes one, whose parameters `init` draws.
      example: pytree of arrays or `ShapeDtypeStruct`s [B, ...], a batch of inputs.
      name, output, classes, convention: as in `Trainable`; the name is by default that of the module's class.

    Returns:
      The trainable; params is the nested dict of all `flax.nnx.Param`s, state that of all other variables but random
      states. In training, the module's random streams are drawn from the key given.

    Raises:
      TypeError: where `module` is neither.
      ValueError: where the module does not run on such inputs, or classes and outputs do not fit.
    """
    if isinstance(module, nnx.Module):
        made = module
    else:
        made = nnx.eval_shape(lambda: module(nnx.Rngs(0))) if callable(module) else module
        _check_module("trainable_from_nnx", made)
    modes = {train: _split(_mode(made, train)) for train in (False, True)}

    def first(key, inputs):
        del inputs
        _, params, state, _ = _split(made if made is module else module(nnx.Rngs(key)))
        return jax.tree.map(jnp.asarray, (nnx.to_pure_dict(params), nnx.to_pure_dict(state)))

    def apply(params, state, inputs, key, train):
        definition, learned, others, streams = modes[train]
        running = nnx.merge(definition, _filled(learned, params), _filled(others, state), _streams(streams, key))
        outputs = running(inputs)
        return outputs, nnx.to_pure_dict(_split(running)[2]) if train else state

    name = type(made).__name__ if name is None else name
    return trainable_of("trainable_from_nnx", first, apply, example, name, output, classes, convention)


def to_nnx(network: Network, module: nnx.Module) -> nnx.Module:
    """Puts the parameters of a network whose structure is unchanged into an NNX module.

    Args:
      network: from `from_nnx`, perhaps with other values, or the frozen view of a trainable from `trainable_from_nnx`.
      module: a module of the same structure, such as the one that came in; it is left as it is.

    Returns:
      A copy of `module`, in the mode that `module` is in, with the network's parameters.

    Raises:
      TypeError: where `module` is no NNX module.
      ValueError: where the parameters do not fit its variables.
    """
    check_network("to_nnx", "network", network)
    _check_module("to_nnx", module)
    definition, params, others, streams = _split(nnx.clone(module))
    both = nnx.merge_state(params, others)
    whole = nnx.to_pure_dict(both)
    # A module may itself have two parts of the names that a view has, so its structure decides.
    if is_view(network.params) and not is_view(whole):
        apart = {"params": nnx.to_pure_dict(params), "state": nnx.to_pure_dict(others)}
        check_arrays("to_nnx", network.params, apart)
        filled = _filled(params, network.params["params"]), _filled(others, network.params["state"])
        return nnx.merge(definition, *filled, streams)
    check_arrays("to_nnx", network.params, whole)
    return nnx.merge(definition, _filled(both, network.params), streams)


def _split(module: nnx.Module) -> tuple[Any, nnx.State, nnx.State, nnx.State]:
    """Splits a module into its definition, parameters, other variables and random streams."""
    definition, params, others, streams = nnx.split(module, nnx.Param, nnx.Not(nnx.RngState), ...)
    return definition, params, others, streams


def _mode(module: nnx.Module, train: bool) -> nnx.Module:
    """Returns a copy of a module that is in training or in inference mode."""
    copy = nnx.clone(module)
    if train:
        copy.train()
    else:
        copy.eval()
    return copy


def _streams(streams: nnx.State, key: jax.Array | None) -> nnx.State:
    """Starts the random streams of a module from a key, each from one of its own; without a key they are of no use."""
    leaves, structure = jax.tree.flatten(streams)
    key = jax.random.key(0) if key is None else key

    def start(index, leaf):
        if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jnp.zeros(leaf.shape, leaf.dtype)
        own = jax.random.fold_in(key, index)
        return jax.random.split(own, leaf.shape) if leaf.shape else own

    return jax.tree.unflatten(structure, [start(index, leaf) for index, leaf in enumerate(leaves)])


def _filled(state: nnx.State, params: PyTree) -> nnx.State:
    # NNX writes into the state that it is given; the copy keeps the caller's whole.
    filled = jax.tree.map(lambda leaf: leaf, state)
    nnx.replace_by_pure_dict(filled, params)
    return filled


def _check_module(where: str, module: Any) -> None:
    if not isinstance(module, nnx.Module):
        raise TypeError(
            f"{where}: module is {came(module)}, expected a flax.nnx.Module instance; "
            "Linen modules come in by from_flax, Equinox modules by from_equinox"
        )
