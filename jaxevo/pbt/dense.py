"""`Dense`: a layer over vectors whose width, activation and normalisation may be chosen; `Plain`, without choices.

B is the batch size, C the number of channels.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.pbt.extents import Extent, everything
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
)
from jaxevo.pbt.normalisations import (
    divided,
    feature_arrays,
    feature_extents,
    kernel_arrays,
    kernel_extents,
    normalised,
)


@dataclasses.dataclass(frozen=True)
class Dense(Layer):
    """A matrix product with choices, followed by normalisation and nonlinearity.

    name: of the layer.
    reads: channels of its inputs, at most.
    widths: numbers of channels that it may give.
    activations: names in `ACTIVATIONS`.
    normalisations: of "none", "batch" and "layer".
    spectral: whether the kernel is divided by its largest singular value (spectral normalisation).
    beside: how many inputs come from elsewhere, behind those of the layer that it reads.
    bias: whether something is added to the product.
    """

    name: str
    reads: int
    widths: tuple[int, ...] = (16,)
    activations: tuple[str, ...] = ("identity",)
    normalisations: tuple[str, ...] = ("none",)
    spectral: tuple[bool, ...] = (False,)
    beside: int = 0
    bias: bool = True

    def __post_init__(self):
        check_options(self.name, "activations", self.activations, ACTIVATIONS)
        check_options(self.name, "normalisations", self.normalisations, ("none", "batch", "layer"))
        check_options(self.name, "spectral", self.spectral, (False, True))
        check_counts(self.name, reads=self.reads, widths=self.widths)
        if isinstance(self.beside, bool) or not isinstance(self.beside, int) or self.beside < 0:
            raise ValueError(f"{self.name!r}: beside is {self.beside!r}, expected a whole number of at least 0")

    @property
    def genes(self) -> tuple[Gene, ...]:
        """Width, activation, normalisation of features and of the kernel."""
        return (
            Gene("width", self.widths),
            Gene("activation", self.activations),
            Gene("normalisation", self.normalisations),
            Gene("spectral", self.spectral),
        )

    def extents(self, choices: Choices, reads: Any) -> Extents:
        """Returns what is used; see `Layer`."""
        gives = choices["width"].number([np.arange(max(self.widths)) < width for width in self.widths])
        rows = (np if isinstance(reads, np.ndarray) else jnp).concatenate([reads, everything(self.beside)])
        scales, moments = feature_extents(choices["normalisation"], gives)
        params = {"kernel": Extent((rows, gives)), **({"bias": Extent((gives,))} if self.bias else {}), **scales}
        return Extents(params, moments | kernel_extents(choices["spectral"], {"singular": gives}), gives)

    def init(self, key: jax.Array, extents: Any) -> tuple[Any, Any]:
        """Draws the kernel after Glorot and Bengio, biases zero; see `Layer`."""
        kernel_key, singular_key = jax.random.split(key)
        rows, columns = extents["kernel"].axes
        width = len(columns)
        kernel = drawn(kernel_key, (len(rows), width), rows.sum() + columns.sum())
        scales, moments = feature_arrays(self.normalisations, width)
        vectors = kernel_arrays(singular_key, self.spectral, {"singular": columns})
        return {"kernel": kernel, **({"bias": jnp.zeros(width)} if self.bias else {}), **scales}, moments | vectors

    def apply(self, params: Any, state: Any, choices: Choices, inputs: Any, key: Any, train: bool) -> tuple[Any, Any]:
        """Runs it; see `Layer`."""
        del key
        found = dict(state)
        features = inputs @ divided(choices["spectral"], params["kernel"], "singular", state, found, train)
        if self.bias:
            features = features + params["bias"]
        used = jnp.arange(features.shape[-1]) < choices["width"].number(self.widths)
        features, moved = normalised(choices["normalisation"], params, state, features, train, used)
        return activated(choices["activation"], features), found | moved


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
