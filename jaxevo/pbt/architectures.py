"""`Architecture`: networks whose layers make choices, with arrays large enough for all of them.

G is the number of genes, L that of layers, B the batch size, C the number of channels.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.network import Convention, Output, batched, check_labels
from jaxevo.pbt.extents import cleared, everything
from jaxevo.pbt.genes import Choice, Fixed, Gene, chosen
from jaxevo.pbt.layer import Choices, Layer
from jaxevo.programs import briefly

PyTree = Any


class Call:
    """Runs the layers of a part by name; what `Part.wire` is given.

    state: of each layer, as the layers that have run left it.
    positions: at how many positions of a map each layer that has run gives outputs.
    """

    def __init__(self, part: "Part", params: PyTree, state: PyTree, choices: Mapping, key: Any, train: bool):
        self._layers = {layer.name: (index, layer) for index, layer in enumerate(part.layers)}
        self._params, self._choices, self._key, self._train = params, choices, key, train
        self.state = dict(state)
        self.positions: dict[str, int] = {}

    def __call__(self, name: str, inputs: jax.Array) -> jax.Array:
        """Runs a layer and returns its outputs."""
        index, layer = self._layers[name]
        key = None if self._key is None else jax.random.fold_in(self._key, index)
        outputs, self.state[name] = layer.apply(
            self._params[name], self.state[name], self._choices[name], inputs, key, self._train
        )
        self.positions[name] = math.prod(outputs.shape[1:-1])
        return outputs

    def choice(self, name: str, gene: str) -> Choice:
        """Returns what a layer has chosen, for wiring that depends on it."""
        return self._choices[name][gene]


@dataclasses.dataclass(frozen=True)
class Part:
    """One network of an architecture.

    layers: its layers, names unique in the architecture.
    wire: `(call, inputs) -> outputs`, traceable: `call(name, x)` runs a layer.
    reads: by name of a layer, the layer whose channels it reads; where a name is missing, it reads all that it can.
    canonical: `choices by layer and gene -> indices by layer and gene`, as `Layer.canonical`: of what makes no
      difference because of other layers' choices; what is used of arrays must stay the same. None where nothing is.
    """

    layers: tuple[Layer, ...]
    wire: Callable[[Call, jax.Array], jax.Array]
    reads: Mapping[str, str] = dataclasses.field(default_factory=dict)
    canonical: Callable[[Mapping[str, Choices]], Mapping[str, Mapping[str, Any]]] | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Architecture:
    """All networks that the layers of one or more parts can make.

    Parameters are `{layer: tree}`; state is `{"statistics": {layer: tree}}`, with averages also
    `{"average": {layer: tree}}` of the parameters of some parts, which begin like them.

    name: what messages call it.
    parts: by name; several where networks train each other, such as a generator and a discriminator.
    inputs: as in `Network`.
    network: names of the parts that make the network, each reading the outputs of the one before it.
    averaged: names of the parts of which state holds averages; a network runs with those of its parts.
    output, classes, convention: as in `Network`.
    """

    name: str
    parts: Mapping[str, Part]
    inputs: PyTree
    network: tuple[str, ...]
    averaged: tuple[str, ...] = ()
    output: Output = "logits"
    classes: tuple[str, ...] | None = None
    convention: Convention | None = None

    def __post_init__(self):
        names = [layer.name for layer in self.layers]
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ValueError(f"Architecture {self.name!r}: layers {twice} occur twice, expected names that are unique")
        for name, value, least in (("network", self.network, 1), ("averaged", self.averaged, 0)):
            if not isinstance(value, tuple) or len(value) < least or not set(value) <= set(self.parts):
                raise ValueError(
                    f"Architecture {self.name!r}: {name} is {value!r}, expected a tuple of its parts {list(self.parts)}"
                )
        if not self.genes:
            raise ValueError(
                f"Architecture {self.name!r}: no layer leaves a choice open, expected a gene of two options at least"
            )
        self.extents(np.zeros(len(self.genes), np.int32))

    @functools.cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The L layers of all parts."""
        return tuple(layer for part in self.parts.values() for layer in part.layers)

    @functools.cached_property
    def genes(self) -> tuple[Gene, ...]:
        """The G choices that are open, named after their layers."""
        return tuple(
            Gene(f"{layer.name}.{gene.name}", gene.options)
            for layer in self.layers
            for gene in layer.genes
            if len(gene.options) > 1
        )

    @functools.cached_property
    def owners(self) -> np.ndarray:
        """Index of the layer of each gene, int [G]."""
        counts = [sum(len(gene.options) > 1 for gene in layer.genes) for layer in self.layers]
        return np.repeat(np.arange(len(counts)), counts)

    @functools.cached_property
    def positions(self) -> dict[str, int]:
        """At how many positions each layer of the network gives outputs, by name; nothing is computed."""
        found: dict[str, int] = {}

        def look(genome, inputs):
            params, state = self.init(jax.random.key(0, impl="threefry2x32"), genome)
            for part in map(self.parts.__getitem__, self.network):
                call = Call(part, params, state["statistics"], self.choices(genome), None, False)
                inputs = part.wire(call, inputs)
                found.update(call.positions)
            return inputs

        genome = jax.ShapeDtypeStruct((len(self.genes),), jnp.int32)
        jax.eval_shape(look, genome, batched(self.inputs, 1))
        return found

    def names(self, *parts: str) -> list[str]:
        """Returns the names of the layers of parts."""
        return [layer.name for part in parts for layer in self.parts[part].layers]

    def choices(self, genome: Any) -> dict[str, dict[str, Choice]]:
        """Reads a genome: by layer and gene, what was chosen.

        Args:
          genome: int [G], data where it is traced; or `Fixed`.
        """
        found = iter(chosen([gene for layer in self.layers for gene in layer.genes], genome))
        return {layer.name: {gene.name: next(found) for gene in layer.genes} for layer in self.layers}

    def extents(self, genome: Any) -> dict[str, PyTree]:
        """Returns what of params and state a genome uses, as trees of `Extent`; may be traced."""
        choices = self.choices(genome)
        params, statistics = {}, {}
        for part in self.parts.values():
            gives: dict[str, Any] = {}
            for layer in part.layers:
                source = part.reads.get(layer.name)
                wanted = getattr(layer, "reads", None)
                reads = everything(wanted or 0) if source is None else gives[source]
                if wanted is not None and len(reads) != wanted:
                    raise ValueError(
                        f"{layer.name!r}: reads is {wanted}, but it reads {len(reads)} channels of {source!r}; "
                        "expected as many as that layer gives at most"
                    )
                params[layer.name], statistics[layer.name], gives[layer.name] = layer.extents(
                    choices[layer.name], reads
                )
        state = {"statistics": statistics}
        if self.averaged:
            state["average"] = {name: params[name] for name in self.names(*self.averaged)}
        return {"params": params, "state": state}

    @briefly(0)
    def init(self, key: jax.Array, genome: Any) -> tuple[PyTree, PyTree]:
        """Draws parameters and state at full size, zero where the genome uses nothing.

        Args:
          key: a key, of which layer i draws with `fold_in(key, i)`.
          genome: int [G].
        """
        extents = self.extents(genome)
        params, statistics = {}, {}
        for index, layer in enumerate(self.layers):
            key_of_layer = jax.random.fold_in(key, index)
            params[layer.name], statistics[layer.name] = layer.init(key_of_layer, extents["params"][layer.name])
        params = cleared(extents["params"], params)
        state = {"statistics": cleared(extents["state"]["statistics"], statistics)}
        if self.averaged:
            state["average"] = {name: params[name] for name in self.names(*self.averaged)}
        return params, state

    def run(
        self, part: str, params: PyTree, state: PyTree, genome: Any, inputs: PyTree, key: Any, train: bool
    ) -> tuple[PyTree, PyTree]:
        """Runs a part.

        Args:
          part: its name.
          params, state: at full size where the genome is data, cut where it is `Fixed`.
          genome: int [G], traced; or `Fixed`.
          inputs: [B, ...].
          key: for what is random while it trains, or None.
          train: whether it trains.

        Returns:
          Outputs, and the state after it. What the genome does not use has no gradient and stays zero.
        """
        asked = self.parts[part]
        extents = None if isinstance(genome, Fixed) else self.extents(genome)
        if extents is not None:
            used = {layer.name: extents["params"][layer.name] for layer in asked.layers}
            params = {**params, **cleared(used, {name: params[name] for name in used})}
        statistics = {layer.name: state["statistics"][layer.name] for layer in asked.layers}
        call = Call(asked, params, statistics, self.choices(genome), key, train)
        outputs = asked.wire(call, inputs)
        moved = call.state if train else statistics
        if extents is not None:
            moved = cleared({name: extents["state"]["statistics"][name] for name in moved}, moved)
        return outputs, {**state, "statistics": {**state["statistics"], **moved}}

    def answer(
        self, params: PyTree, state: PyTree, genome: Any, inputs: PyTree, key: Any, train: bool
    ) -> tuple[PyTree, PyTree]:
        """Runs the network, with the averages of its parts where there are any and it does not train; see `run`."""
        used = params if train else {**params, **state.get("average", {})}
        for part in self.network:
            inputs, state = self.run(part, used, state, genome, inputs, key, train)
        return inputs, state

    def canonical(self, genome: Any) -> Any:
        """Returns the genome with its first option wherever a choice makes no difference, int [G]."""
        choices = self.choices(genome)
        idle: dict[str, Mapping[str, Any]] = {}
        for part in self.parts.values():
            idle |= part.canonical(choices) if part.canonical else {}
        found = []
        for layer in self.layers:
            same = {**layer.canonical(choices[layer.name]), **idle.get(layer.name, {})}
            for gene in layer.genes:
                if len(gene.options) > 1:
                    found.append(same.get(gene.name, choices[layer.name][gene.name].index))
        if not any(isinstance(index, jax.Array) for index in found):
            return np.array(found, np.int32)  # A fixed genome needs no device.
        return jnp.stack([jnp.asarray(index, jnp.int32) for index in found])


def chain(
    layers: Sequence[Layer],
    inputs: PyTree,
    *,
    name: str = "chain",
    output: Output = "logits",
    classes: tuple[str, ...] | None = None,
    convention: Convention | None = None,
) -> Architecture:
    """Makes the architecture of layers that follow one another.

    Args:
      layers: L layers; each reads the channels that the one before it gives.
      inputs: `ShapeDtypeStruct` of one example, [..., C].
      name: what messages call it.
      output, classes, convention: as in `Network`.

    Returns:
      The architecture, of one part named like it.

    Raises:
      TypeError: where an entry is no layer.
      ValueError: where names occur twice, or no choice is open.
    """
    _check_layers("chain", layers)
    check_labels("chain", name, output, classes, convention)
    if not isinstance(inputs, jax.ShapeDtypeStruct):
        raise TypeError(
            f"chain: inputs is {inputs!r}, expected a jax.ShapeDtypeStruct; make it with jaxevo.spec(batch)"
        )
    return Architecture(
        name, {name: in_a_row(layers)}, inputs, (name,), output=output, classes=classes, convention=convention
    )


def in_a_row(layers: Sequence[Layer]) -> Part:
    """Makes the part of layers that follow one another.

    Args:
      layers: at least one.

    Raises:
      TypeError, ValueError: where layers is no sequence of layers, or empty.
    """
    _check_layers("in_a_row", layers)
    names = [layer.name for layer in layers]

    def wire(call: Call, inputs: jax.Array) -> jax.Array:
        for name in names:
            inputs = call(name, inputs)
        return inputs

    return Part(tuple(layers), wire, dict(zip(names[1:], names, strict=False)))


def _check_layers(where: str, layers: Any) -> None:
    for layer in layers if isinstance(layers, tuple | list) else [layers]:
        if not isinstance(layers, tuple | list) or not isinstance(layer, Layer):
            raise TypeError(
                f"{where}: layers holds {layer!r}, expected a list of layers such as pbt.Convolution('first', reads=3)"
            )
    if not layers:
        raise ValueError(f"{where}: layers is empty, expected at least one layer")
