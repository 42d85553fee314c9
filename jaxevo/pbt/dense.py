"""`Dense`: a layer over vectors whose width, activation and normalisation may be chosen; `Plain`, without choices.

B is the batch size, C the number of channels.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.pbt.extents import Extent
from jaxevo.pbt.genes import Gene
from jaxevo.pbt.layer import (
    ACTIVATIONS,
    Choices,
    Extents,
    Layer,
    activated,
    check_counts,
    check_options,
    drawn,
    normalised,
    spectral,
)


@dataclasses.dataclass(frozen=True)
class Dense(Layer):
    """A matrix product with choices, followed by normalisation and nonlinearity.

    name: of the layer.
    reads: channels of its inputs, at most.
    widths: numbers of channels that it may give.
    activations: names in `ACTIVATIONS`.
    normalisations: of "none" and "batch".
    bias: whether something is added to the product.
    normalise: whether the kernel is divided by its largest singular value (spectral normalisation).
    """

    name: str
    reads: int
    widths: tuple[int, ...] = (16,)
    activations: tuple[str, ...] = ("identity",)
    normalisations: tuple[str, ...] = ("none",)
    bias: bool = True
    normalise: bool = False

    def __post_init__(self):
        check_options(self.name, "activations", self.activations, ACTIVATIONS)
        check_options(self.name, "normalisations", self.normalisations, ("none", "batch"))
        check_counts(self.name, reads=self.reads, widths=self.widths)

    @property
    def genes(self) -> tuple[Gene, ...]:
        """Width, activation and normalisation."""
        return (
            Gene("width", self.widths),
            Gene("activation", self.activations),
            Gene("normalisation", self.normalisations),
        )

    def extents(self, choices: Choices, reads: Any) -> Extents:
        """Returns what is used; see `Layer`."""
        gives = choices["width"].number([np.arange(max(self.widths)) < width for width in self.widths])
        normalises = choices["normalisation"].number([name != "none" for name in self.normalisations])
        params: dict[str, Any] = {"kernel": Extent((reads, gives))}
        state: dict[str, Any] = {}
        if self.bias:
            params["bias"] = Extent((gives,))
        if set(self.normalisations) != {"none"}:
            params |= {"scale": Extent((gives & normalises,)), "shift": Extent((gives & normalises,))}
            state |= {name: Extent((gives & normalises,)) for name in ("mean", "var")}
        if self.normalise:
            state["singular"] = Extent((gives,))
        return Extents(params, state, gives)

    def init(self, key: jax.Array, extents: Any) -> tuple[Any, Any]:
        """Draws the kernel after Glorot and Bengio, biases zero; see `Layer`."""
        kernel_key, singular_key = jax.random.split(key)
        rows, columns = extents["kernel"].axes
        width = len(columns)
        params = {"kernel": drawn(kernel_key, (len(rows), width), rows.sum() + columns.sum())}
        state: dict[str, Any] = {}
        if self.bias:
            params["bias"] = jnp.zeros(width)
        if "scale" in extents:
            params |= {"scale": jnp.ones(width), "shift": jnp.zeros(width)}
            state |= {"mean": jnp.zeros(width), "var": jnp.ones(width)}
        if self.normalise:
            state["singular"] = jax.random.normal(singular_key, (width,)) / jnp.sqrt(columns.sum())
        return params, state

    def apply(self, params: Any, state: Any, choices: Choices, inputs: Any, key: Any, train: bool) -> tuple[Any, Any]:
        """Runs it; see `Layer`."""
        del key
        found = dict(state)
        kernel = params["kernel"]
        if self.normalise:
            kernel, found["singular"] = spectral(kernel, state["singular"], train)
        features = inputs @ kernel
        if self.bias:
            features = features + params["bias"]
        if "scale" in params:
            norm = {"scale": params["scale"], "bias": params["shift"]}
            features, moved = normalised(choices["normalisation"], norm, state, features, train)
            found |= {name: moved[name] for name in ("mean", "var")}
        return activated(choices["activation"], features), found


@dataclasses.dataclass(frozen=True)
class Plain(Layer):
    """A function without parameters and choices, such as a mean over positions.

    name: of the layer.
    function: `inputs [B, ..., C] -> outputs`, traceable, which keeps channels apart.
    gives: `bool [C] -> bool`, which channels of the outputs are used; None where they are those of the inputs.
    """

    name: str
    function: Callable[[jax.Array], jax.Array]
    gives: Callable[[Any], Any] | None = None

    @property
    def genes(self) -> tuple[Gene, ...]:
        """None."""
        return ()

    def extents(self, choices: Choices, reads: Any) -> Extents:
        """Returns what is used; see `Layer`."""
        del choices
        return Extents({}, {}, reads if self.gives is None else self.gives(reads))

    def init(self, key: jax.Array, extents: Any) -> tuple[Any, Any]:
        """Returns nothing to learn; see `Layer`."""
        del key, extents
        return {}, {}

    def apply(self, params: Any, state: Any, choices: Choices, inputs: Any, key: Any, train: bool) -> tuple[Any, Any]:
        """Runs it; see `Layer`."""
        del params, choices, key, train
        return self.function(inputs), state
