"""Layers of agents whose kind, activation and normalisation may be chosen.

Kinds as in the code published with arXiv 2307.15621: of convolutions "id", "conv_K", "residual_K" and "sep_conv_K" with
K of 3, 5 and 7; of linear layers "id", "linear", "residual_05" and "residual_2", residual blocks whose inner width is
half or twice the outer one (after Bjorck, Gomes and Weinberger 2021, arXiv 2106.01151). A normalisation is spectral
(arXiv 1802.05957) or none. Kernels are drawn after Glorot and Bengio; the published ones are orthogonal, which arrays
shared by all choices cannot be. B is the batch size, C the number of channels, K the side of the largest kernel.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo import pbt
from jaxevo.pbt import Extent, Gene
from jaxevo.pbt.layer import Choices, Extents, Layer, activated, drawn
from jaxevo.pbt.normalisations import EPSILON, divided, kernel_arrays, kernel_extents

#: What a linear layer may be: the inner width as a share of the outer one; "linear" has no block.
LINEAR = {"id": 0.0, "linear": 1.0, "residual_05": 0.5, "residual_2": 2.0}

#: Families of convolutions, which go before the side of the kernel.
CONVOLUTIONS = ("conv", "residual", "sep_conv")


@dataclasses.dataclass(frozen=True)
class Block(Layer):
    """A layer from C to C channels that may be a matrix product, a residual block, or nothing.

    name: of the layer.
    width: C.
    kinds: names in `LINEAR`. A residual block standardises its inputs and has the nonlinearity inside.
    activations, spectral: as of `pbt.Dense`.
    """

    name: str
    width: int
    kinds: tuple[str, ...] = tuple(LINEAR)
    activations: tuple[str, ...] = ("relu",)
    spectral: tuple[bool, ...] = (False,)

    @property
    def reads(self) -> int:
        """C."""
        return self.width

    @property
    def genes(self) -> tuple[Gene, ...]:
        """Kind, activation and normalisation of the kernels."""
        return (Gene("kind", self.kinds), Gene("activation", self.activations), Gene("spectral", self.spectral))

    def extents(self, choices: Choices, reads: Any) -> Extents:
        """Returns what is used; see `Layer`."""
        inner = [int(LINEAR[kind] * self.width) for kind in self.kinds]
        kind = choices["kind"]
        within = kind.number([np.arange(max(inner)) < width for width in inner])
        outer = np.ones(self.width, bool)
        block = outer & kind.number([name.startswith("residual") for name in self.kinds])
        first = outer & kind.number([name != "id" for name in self.kinds])
        params = {
            "scale": Extent((block,)), "shift": Extent((block,)),
            "first": Extent((first, within)), "first_bias": Extent((within,)),
            "second": Extent((within & block[0], block)), "second_bias": Extent((block,)),
        }  # fmt: skip
        vectors = {"first_singular": within, "second_singular": block}
        return Extents(params, kernel_extents(choices["spectral"], vectors), reads)

    def init(self, key: jax.Array, extents: Any) -> tuple[Any, Any]:
        """Draws kernels, biases zero; see `Layer`."""
        first_key, second_key, singular_key = jax.random.split(key, 3)
        inner = len(extents["first"].axes[1])
        fans = [sum(axis.sum() for axis in extents[name].axes) for name in ("first", "second")]
        params = {
            "scale": jnp.ones(self.width), "shift": jnp.zeros(self.width),
            "first": drawn(first_key, (self.width, inner), fans[0]), "first_bias": jnp.zeros(inner),
            "second": drawn(second_key, (inner, self.width), fans[1]), "second_bias": jnp.zeros(self.width),
        }  # fmt: skip
        axes = {f"{name}_singular": extents[name].axes[-1] for name in ("first", "second")}
        return params, kernel_arrays(singular_key, self.spectral, axes)

    def apply(self, params: Any, state: Any, choices: Choices, inputs: Any, key: Any, train: bool) -> tuple[Any, Any]:
        """Runs it; see `Layer`."""
        del key
        found = dict(state)

        def first(features: jax.Array) -> jax.Array:
            kernel = divided(choices["spectral"], params["first"], "first_singular", state, found, train)
            return activated(choices["activation"], features @ kernel + params["first_bias"])

        def linear() -> jax.Array:
            return first(inputs)[..., : self.width]

        def residual() -> jax.Array:
            centred = inputs - inputs.mean(-1, keepdims=True)
            variance = jnp.square(centred).mean(-1, keepdims=True)
            begun = centred * jax.lax.rsqrt(variance + EPSILON) * params["scale"] + params["shift"]
            kernel = divided(choices["spectral"], params["second"], "second_singular", state, found, train)
            return inputs + first(begun) @ kernel + params["second_bias"]

        ways = {"id": lambda: inputs, "linear": linear, "residual_05": residual, "residual_2": residual}
        return choices["kind"].pick({kind: ways[kind] for kind in self.kinds}), found

    def canonical(self, choices: Choices) -> dict[str, Any]:
        """Leaves nothing open where there is nothing; see `Layer`."""
        return _without(choices, [kind == "id" for kind in self.kinds])


@dataclasses.dataclass(frozen=True)
class Maps(Layer):
    """A layer over maps that may be a convolution, a residual block, a separable convolution, or nothing.

    name: of the layer.
    reads: channels of its inputs.
    width: C, channels of its outputs; the same as reads where it is no plain convolution or strides.
    kinds: "id", or one of `CONVOLUTIONS`, "_" and the side of its kernel, an odd number.
    activations, spectral: as of `pbt.Dense`.
    stride: of a plain convolution, which then reads nothing beyond the edges; elsewhere maps keep their size.
    """

    name: str
    reads: int
    width: int
    kinds: tuple[str, ...] = ("conv_3",)
    activations: tuple[str, ...] = ("relu",)
    spectral: tuple[bool, ...] = (False,)
    stride: int = 1

    @property
    def genes(self) -> tuple[Gene, ...]:
        """Kind, activation and normalisation of the kernels."""
        return (Gene("kind", self.kinds), Gene("activation", self.activations), Gene("spectral", self.spectral))

    def extents(self, choices: Choices, reads: Any) -> Extents:
        """Returns what is used; see `Layer`."""
        del reads
        kind = choices["kind"]

        def area(*families: str, side: int | None = None) -> Any:
            """Returns the taps that members of families use, of kernels of their own side or a given one."""
            wide = [(side or _side(name)) if _family(name) in families else 0 for name in self.kinds]
            middle = np.abs(np.arange(self._largest) - (self._largest - 1) / 2)
            return kind.number([middle < taps / 2 for taps in wide])

        def channels(count: int, *families: str) -> Any:
            return np.ones(count, bool) & kind.number([_family(name) in families for name in self.kinds])

        plain, outer = area("conv", "residual"), channels(self.width, "conv", "residual")
        params = {
            "first": Extent((plain, plain, channels(self.reads, "conv", "residual"), outer)),
            "first_bias": Extent((outer,)),
        }
        vectors = {"first_singular": outer}
        if self._families & {"residual", "sep_conv"}:
            # The second convolution of a residual block is as wide as the first, that of a separable one has one tap.
            taps, outer = area("residual") | area("sep_conv", side=1), channels(self.width, "residual", "sep_conv")
            params |= {"second": Extent((taps, taps, outer, outer)), "second_bias": Extent((outer,))}
            vectors["second_singular"] = outer
        if "sep_conv" in self._families:
            taps, outer = area("sep_conv"), channels(self.width, "sep_conv")
            one = channels(1, "sep_conv")
            params |= {"apart": Extent((taps, taps, one, outer)), "apart_bias": Extent((outer,))}
            vectors["apart_singular"] = outer
        return Extents(params, kernel_extents(choices["spectral"], vectors), np.ones(self.width, bool))

    def init(self, key: jax.Array, extents: Any) -> tuple[Any, Any]:
        """Draws kernels, biases zero; see `Layer`."""
        params: dict[str, Any] = {}
        for index, name in enumerate(name for name in extents if not name.endswith("_bias")):
            rows, columns, came, gave = extents[name].axes
            fan = rows.sum() * columns.sum() * (came.sum() + (1 if name == "apart" else gave.sum()))
            shape = tuple(len(axis) for axis in extents[name].axes)
            params[name] = drawn(jax.random.fold_in(key, index), shape, fan)
            params[f"{name}_bias"] = jnp.zeros(self.width)
        axes = {f"{name}_singular": extents[name].axes[-1] for name in extents if not name.endswith("_bias")}
        return params, kernel_arrays(jax.random.fold_in(key, len(axes)), self.spectral, axes)

    def apply(self, params: Any, state: Any, choices: Choices, inputs: Any, key: Any, train: bool) -> tuple[Any, Any]:
        """Runs it; see `Layer`."""
        del key
        found = dict(state)

        def product(name: str, features: jax.Array, stride: int = 1) -> jax.Array:
            kernel = divided(choices["spectral"], params[name], f"{name}_singular", state, found, train)
            if stride == len(kernel):
                return params[f"{name}_bias"] + patches(features, stride) @ kernel.reshape(-1, kernel.shape[-1])
            groups = features.shape[-1] if name == "apart" else 1
            return params[f"{name}_bias"] + jax.lax.conv_general_dilated(
                features, kernel, (stride, stride), "SAME" if stride == 1 else "VALID", feature_group_count=groups,
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )  # fmt: skip

        def active(features: jax.Array) -> jax.Array:
            return activated(choices["activation"], features)

        def conv() -> jax.Array:
            return active(product("first", inputs, self.stride))

        def residual() -> jax.Array:
            return active(inputs + product("second", active(product("first", inputs))))

        def separable() -> jax.Array:
            return active(product("second", product("apart", inputs)))

        ways = {"id": lambda: inputs, "conv": conv, "residual": residual, "sep_conv": separable}
        by_family = {kind: ways[_family(kind)] for kind in self.kinds}
        return choices["kind"].pick(by_family), found

    def canonical(self, choices: Choices) -> dict[str, Any]:
        """Leaves nothing open where there is nothing; see `Layer`."""
        return _without(choices, [kind == "id" for kind in self.kinds])

    @property
    def _largest(self) -> int:
        return max(_side(kind) for kind in self.kinds)

    @property
    def _families(self) -> set[str]:
        return {_family(kind) for kind in self.kinds}


def flat(name: str, positions: int) -> pbt.Plain:
    """Returns the layer that makes vectors of maps [B, H, W, C], with H * W positions."""
    return pbt.Plain(
        name, lambda maps: maps.reshape(len(maps), -1), lambda used: np.ones(positions * len(used), bool)
    )  # fmt: skip


def patches(maps: jax.Array, side: int) -> jax.Array:
    """Returns the squares of maps [B, H, W, C] as vectors, [B, H / side, W / side, side * side * C], without the rest.

    A convolution with a stride of its kernel's side is a matrix product of them, four times as fast on CPUs.
    """
    batch, height, width, channels = maps.shape
    rows, columns = height // side, width // side
    squares = maps[:, : rows * side, : columns * side].reshape(batch, rows, side, columns, side, channels)
    return squares.transpose(0, 1, 3, 2, 4, 5).reshape(batch, rows, columns, side * side * channels)


def _family(kind: str) -> str:
    return kind.rpartition("_")[0] or kind


def _side(kind: str) -> int:
    return 0 if kind == "id" else int(kind.rpartition("_")[2])


def _without(choices: Choices, nothing: list[bool]) -> dict[str, Any]:
    gone = choices["kind"].number(nothing)
    return {name: jnp.where(gone, 0, choices[name].index) for name in ("activation", "spectral")}
