"""Layers of the AdvNAS cells: each leaves one choice open and is one unit of exchange, with weights or without.

B is the batch size, H and W are height and width, C channels, Z the number of latents, S the side of a map.
"""

import dataclasses
from collections.abc import Callable, Hashable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.pbt_gan.resampling import grown, largest, transposed
from jaxevo.pbt import OPERATIONS, Choice, Convolution, Extent, Extents, Gene, Layer
from jaxevo.pbt.extents import everything
from jaxevo.pbt.layer import Choices, drawn
from jaxevo.pbt.normalisations import feature_arrays, feature_extents, normalised

#: How a map is enlarged; the first two also for projections and skips between cells.
MODES = ("nearest", "bilinear", "transposed")

#: What a projection reads of the latents, and the side of the map that it gives before it is enlarged.
LINEARS = tuple((reads, side) for reads in ("whole", "part") for side in ("bottom", "prev", "target"))

#: What halves a map: the first two wherever a branch of the block begins, the others where it ends.
HALVINGS = (
    "mean of inputs", "max of inputs", "mean", "max", "conv3", "conv5", "dilated3", "dilated5",
)  # fmt: skip

_BATCH = Choice(("batch",), 0)


@dataclasses.dataclass(frozen=True)
class Setting(Layer):
    """A choice without weights, which the wiring reads.

    name: of the layer.
    options: what there is to choose from.
    """

    name: str
    options: tuple[Hashable, ...]

    @property
    def genes(self) -> tuple[Gene, ...]:
        """The setting."""
        return (Gene("setting", self.options),)

    def extents(self, choices: Choices, reads: Any) -> Extents:
        """Returns that nothing is used; see `Layer`."""
        del choices
        return Extents({}, {}, reads)

    def init(self, key: jax.Array, extents: Any) -> tuple[Any, Any]:
        """Returns nothing to learn; see `Layer`."""
        del key, extents
        return {}, {}

    def apply(self, params: Any, state: Any, choices: Choices, inputs: Any, key: Any, train: bool) -> tuple[Any, Any]:
        """Returns the inputs; see `Layer`."""
        del params, choices, key, train
        return inputs, state


@dataclasses.dataclass(frozen=True)
class Dropout(Setting):
    """Sets each number to zero with a probability that is chosen, while it trains; `options` are probabilities."""

    def apply(self, params: Any, state: Any, choices: Choices, inputs: Any, key: Any, train: bool) -> tuple[Any, Any]:
        """Runs it; see `Layer`."""
        del params
        chance = choices["setting"].number(list(np.asarray(self.options, np.float32)))
        never = not isinstance(chance, jax.Array) and chance == 0
        if never or not train or key is None:
            return inputs, state
        keeps = jax.random.uniform(key, inputs.shape) >= chance
        return jnp.where(keeps, inputs / (1 - chance), 0), state


@dataclasses.dataclass(frozen=True)
class Projection(Layer):
    """A linear layer from the latents to a map, whose sizes are chosen; it gives the map as a vector, see `maps`.

    A smaller map is the top left corner of the largest one.

    name: of the layer.
    latents: Z.
    part: of the latents, what it reads where it does not read the whole: first index and the one after the last.
    sides: of the maps "bottom", "prev" and "target"; the last one is the largest.
    width: C.
    options: among `LINEARS`.
    """

    name: str
    latents: int
    part: tuple[int, int]
    sides: tuple[int, int, int]
    width: int
    options: tuple[tuple[str, str], ...] = LINEARS

    @property
    def genes(self) -> tuple[Gene, ...]:
        """What it reads and the side of its map, as one choice."""
        return (Gene("linear", self.options),)

    def side(self, option: tuple[str, str]) -> int:
        """Returns the side of the map of an option."""
        return self.sides[("bottom", "prev", "target").index(option[1])]

    def maps(self, choice: Choice, outputs: jax.Array) -> jax.Array:
        """Returns what it gave as maps [B, S, S, C], S the largest side where the choice is data."""
        side = self.side(self.options[choice.index]) if choice.fixed else self.sides[-1]
        return outputs.reshape(-1, side, side, self.width)

    def extents(self, choices: Choices, reads: Any) -> Extents:
        """Returns what is used; see `Layer`."""
        del reads
        first, end = self.part
        places = np.arange(self.latents)
        rows = {"whole": everything(self.latents), "part": (places >= first) & (places < end)}
        latents = choices["linear"].number([rows[option[0]] for option in self.options])
        corner = choices["linear"].number([np.arange(self.sides[-1]) < self.side(option) for option in self.options])
        channels = everything(self.width)
        params = {"kernel": Extent((latents, corner, corner, channels)), "bias": Extent((corner, corner, channels))}
        return Extents(params, {}, channels)

    def init(self, key: jax.Array, extents: Any) -> tuple[Any, Any]:
        """Draws the kernel as PyTorch does, U(-1 / sqrt(n), 1 / sqrt(n)) of n inputs, the bias zero; see `Layer`."""
        latents, *others = extents["kernel"].axes
        shape = tuple(len(axis) for axis in others)
        return {"kernel": drawn(key, (len(latents), *shape), 6 * latents.sum()), "bias": jnp.zeros(shape)}, {}

    def apply(self, params: Any, state: Any, choices: Choices, inputs: Any, key: Any, train: bool) -> tuple[Any, Any]:
        """Runs it; see `Layer`."""
        del key, train
        choice = choices["linear"]
        if choice.fixed and self.options[choice.index][0] == "part":
            inputs = inputs[:, slice(*self.part)]
        kernel = params["kernel"]
        return inputs @ kernel.reshape(len(kernel), -1) + params["bias"].reshape(-1), state

    def canonical(self, choices: Choices) -> dict[str, Any]:
        """Leaves open only one of several names of the same map; see `Layer`."""
        same = [(option[0], self.side(option)) for option in self.options]
        return {"linear": choices["linear"].number([same.index(option) for option in same])}


@dataclasses.dataclass(frozen=True)
class Enlargement(Layer):
    """Twice the size, nonlinearity and 1x1 convolution; the transposed convolution follows the nonlinearity.

    name: of the layer.
    width: C.
    """

    name: str
    width: int

    @property
    def genes(self) -> tuple[Gene, ...]:
        """How maps are enlarged."""
        return (Gene("mode", MODES),)

    def extents(self, choices: Choices, reads: Any) -> Extents:
        """Returns what is used; see `Layer`."""
        del reads
        channels = everything(self.width)
        transposes = choices["mode"].number([mode == "transposed" for mode in MODES])
        resizes = choices["mode"].number([mode != "transposed" for mode in MODES])
        params = {
            "taps": Extent((everything(3), everything(3), channels & transposes)),
            "kernel": Extent((channels, channels)),
            "bias": Extent((channels & resizes,)),
        }
        return Extents(params, {}, channels)

    def init(self, key: jax.Array, extents: Any) -> tuple[Any, Any]:
        """Draws the kernel after Glorot and Bengio, taps as PyTorch does from U(-1/3, 1/3), bias zero; see `Layer`."""
        del extents
        taps_key, kernel_key = jax.random.split(key)
        params = {
            "taps": drawn(taps_key, (3, 3, self.width), 6 * 9),
            "kernel": drawn(kernel_key, (self.width, self.width), 2 * self.width),
            "bias": jnp.zeros(self.width),
        }
        return params, {}

    def apply(self, params: Any, state: Any, choices: Choices, inputs: Any, key: Any, train: bool) -> tuple[Any, Any]:
        """Runs it; see `Layer`."""
        del key, train
        mode = choices["mode"]
        ways: dict[Any, Callable[[], jax.Array]] = {
            name: lambda name=name: jax.nn.relu(grown(inputs, 2, name)) for name in MODES[:2]
        }
        features = mode.pick({**ways, "transposed": lambda: transposed(jax.nn.relu(inputs), params["taps"])})
        outputs = features @ params["kernel"]
        # A transposed convolution has none: cleared where that is data, cut away where it is not.
        return outputs + params["bias"] if params["bias"].size else outputs, state


@dataclasses.dataclass(frozen=True)
class Halving(Layer):
    """Half the size by means, by largest values, or by nonlinearity and a strided convolution.

    name: of the layer.
    width: C.
    """

    name: str
    width: int

    @property
    def genes(self) -> tuple[Gene, ...]:
        """How maps are halved."""
        return (Gene("kind", HALVINGS),)

    @property
    def _convolution(self) -> Convolution:
        operations = ("skip", *(name for name in HALVINGS if name in OPERATIONS))
        return Convolution(
            self.name, self.width, operations, (self.width,), ("relu",), stride=2, before=True, spectral=(True,)
        )

    def _choices(self, choices: Choices) -> Choices:
        """Returns the choices of the convolution; to skip with a stride is to take means."""
        operations, kind = self._convolution.operations, choices["kind"]
        index = kind.number([operations.index(name) if name in operations else 0 for name in HALVINGS])
        inner = {gene.name: Choice(gene.options, 0) for gene in self._convolution.genes}
        return {**inner, "operation": Choice(operations, int(index) if kind.fixed else index)}

    def extents(self, choices: Choices, reads: Any) -> Extents:
        """Returns what is used; see `Layer`."""
        return self._convolution.extents(self._choices(choices), reads)

    @property
    def reads(self) -> int:
        """C."""
        return self.width

    def init(self, key: jax.Array, extents: Any) -> tuple[Any, Any]:
        """Draws the kernel after Glorot and Bengio, the bias zero; see `Layer`."""
        return self._convolution.init(key, extents)

    def apply(self, params: Any, state: Any, choices: Choices, inputs: Any, key: Any, train: bool) -> tuple[Any, Any]:
        """Runs it; see `Layer`."""
        found = state

        def convolved() -> jax.Array:
            nonlocal found
            outputs, found = self._convolution.apply(params, state, self._choices(choices), inputs, key, train)
            return outputs

        def most() -> jax.Array:
            return largest(inputs)

        return choices["kind"].pick({name: most if "max" in name else convolved for name in HALVINGS}), found


@dataclasses.dataclass(frozen=True)
class Normalisation(Layer):
    """Batch normalisation (arXiv 1502.03167), without choices.

    name: of the layer.
    width: C.
    """

    name: str
    width: int

    @property
    def genes(self) -> tuple[Gene, ...]:
        """None."""
        return ()

    def extents(self, choices: Choices, reads: Any) -> Extents:
        """Returns that all is used; see `Layer`."""
        del choices, reads
        width = everything(self.width)
        return Extents(*feature_extents(_BATCH, width), width)

    def init(self, key: jax.Array, extents: Any) -> tuple[Any, Any]:
        """Draws the scale from N(1, 0.02), the shift zero; see `Layer`."""
        del extents
        params, state = feature_arrays(_BATCH.options, self.width)
        return params | {"scale": 1 + 0.02 * jax.random.normal(key, (self.width,))}, state

    def apply(self, params: Any, state: Any, choices: Choices, inputs: Any, key: Any, train: bool) -> tuple[Any, Any]:
        """Runs it; see `Layer`."""
        del choices, key
        return normalised(_BATCH, params, state, inputs, train)
