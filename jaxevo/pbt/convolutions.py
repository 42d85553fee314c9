"""`Convolution`: a layer over maps whose kind, kernel, width, activation, normalisation and skip may be chosen.

B is the batch size, H and W are height and width, C channels, K the side of the largest kernel.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.pbt.extents import Extent
from jaxevo.pbt.genes import Choice, Gene
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

#: What a convolution may be: side of the kernel and dilation; `none` gives zeros, `skip` its inputs.
OPERATIONS: dict[str, tuple[int, int]] = {
    "none": (0, 1),
    "skip": (0, 1),
    "conv1": (1, 1),
    "conv3": (3, 1),
    "conv5": (5, 1),
    "dilated3": (3, 2),
    "dilated5": (5, 2),
}


@dataclasses.dataclass(frozen=True)
class Convolution(Layer):
    """A convolution with choices: up-sampling, convolution, normalisation, nonlinearity, sum with its inputs.

    name: of the layer.
    reads: channels of its inputs, at most.
    operations: names in `OPERATIONS`. Smaller kernels are the middle of the largest one.
    widths: numbers of channels that it may give.
    activations: names in `ACTIVATIONS`.
    normalisations: of "none", "batch" and "instance".
    skips: whether its inputs are added to its outputs, cut or filled up with zeros to their width, pooled by means
      where it strides.
    stride: of the convolution.
    enlarge: how many times the inputs are enlarged beforehand, to the nearest pixel.
    before: whether the nonlinearity comes before the convolution instead of at the end.
    spectral: whether the kernel is divided by its largest singular value (spectral normalisation).
    """

    name: str
    reads: int
    operations: tuple[str, ...] = ("conv3",)
    widths: tuple[int, ...] = (16,)
    activations: tuple[str, ...] = ("relu",)
    normalisations: tuple[str, ...] = ("none",)
    skips: tuple[bool, ...] = (False,)
    spectral: tuple[bool, ...] = (False,)
    stride: int = 1
    enlarge: int = 1
    before: bool = False

    def __post_init__(self):
        check_options(self.name, "operations", self.operations, OPERATIONS)
        check_options(self.name, "activations", self.activations, ACTIVATIONS)
        check_options(self.name, "normalisations", self.normalisations, ("none", "batch", "instance"))
        check_options(self.name, "skips", self.skips, (False, True))
        check_options(self.name, "spectral", self.spectral, (False, True))
        check_counts(self.name, reads=self.reads, widths=self.widths, stride=self.stride, enlarge=self.enlarge)

    @property
    def genes(self) -> tuple[Gene, ...]:
        """Operation, width, activation, normalisation of features and of the kernel, and skip."""
        return (
            Gene("operation", self.operations),
            Gene("width", self.widths),
            Gene("activation", self.activations),
            Gene("normalisation", self.normalisations),
            Gene("skip", self.skips),
            Gene("spectral", self.spectral),
        )

    def extents(self, choices: Choices, reads: Any) -> Extents:
        """Returns what is used; see `Layer`."""
        sides = [OPERATIONS[name][0] for name in self.operations]
        largest = max(sides)
        middle = np.abs(np.arange(largest) - (largest - 1) / 2)
        taps = choices["operation"].number([middle < side / 2 for side in sides])
        gives = choices["width"].number([np.arange(max(self.widths)) < width for width in self.widths])
        convolves = choices["operation"].number([side > 0 for side in sides])
        outputs = gives & convolves
        scales, moments = feature_extents(choices["normalisation"], outputs)
        params = {"kernel": Extent((taps, taps, reads & convolves, outputs)), "bias": Extent((outputs,)), **scales}
        return Extents(params, moments | kernel_extents(choices["spectral"], {"singular": outputs}), gives)

    def init(self, key: jax.Array, extents: Any) -> tuple[Any, Any]:
        """Draws kernels after Glorot and Bengio, biases zero; see `Layer`."""
        kernel_key, singular_key = jax.random.split(key)
        axes = extents["kernel"].axes
        area = axes[0].sum() * axes[1].sum()
        shape = tuple(len(axis) for axis in axes)
        width = max(self.widths)
        kernel = drawn(kernel_key, shape, area * (axes[2].sum() + axes[3].sum()))
        scales, moments = feature_arrays(self.normalisations, width)
        vectors = kernel_arrays(singular_key, self.spectral, {"singular": axes[3]})
        return {"kernel": kernel, "bias": jnp.zeros(width), **scales}, moments | vectors

    def apply(self, params: Any, state: Any, choices: Choices, inputs: Any, key: Any, train: bool) -> tuple[Any, Any]:
        """Runs it; see `Layer`."""
        del key
        found = dict(state)
        inputs = enlarged(inputs, self.enlarge)

        def convolved() -> jax.Array:
            features = activated(choices["activation"], inputs) if self.before else inputs
            kernel = divided(choices["spectral"], params["kernel"], "singular", state, found, train)
            features = self._product(choices["operation"], kernel, features) + params["bias"]
            features, moved = normalised(choices["normalisation"], params, state, features, train)
            found.update(moved)
            features = features if self.before else activated(choices["activation"], features)
            if True not in self.skips:
                return features
            ways = {False: lambda: features, True: lambda: features + self._fitted(choices["width"], inputs)}
            return choices["skip"].pick({option: ways[option] for option in self.skips})

        plain = {
            "none": lambda: jnp.zeros_like(self._fitted(choices["width"], inputs)),
            "skip": lambda: self._fitted(choices["width"], inputs),
        }
        features = choices["operation"].pick({name: plain.get(name, convolved) for name in self.operations})
        return features, found

    def _product(self, operation: Choice, kernel: jax.Array, inputs: jax.Array) -> jax.Array:
        """Returns the convolution without its bias."""

        def dilated(step: int) -> Any:
            # "SAME" with a stride pads large kernels otherwise than small ones, whose middle then lies elsewhere.
            around = step * (kernel.shape[0] - 1) // 2
            return lambda: jax.lax.conv_general_dilated(
                inputs, kernel, (self.stride, self.stride), [(around, around)] * 2, rhs_dilation=(step, step),
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )  # fmt: skip

        if kernel.shape[:2] == (1, 1):
            # The same as a product, whose gradient by the kernel takes a CPU 0.9 ms instead of 2.2 for 64 maps of 16x16
            # with 16 channels, and 6 instead of 323 for 32 of 32x32 with 32 and 64 (jax 0.10.2, one core, AMD EPYC).
            return inputs[:, :: self.stride, :: self.stride] @ kernel[0, 0]
        ways = {step: dilated(step) for step in {OPERATIONS[name][1] for name in self.operations}}
        return operation.pick({name: ways[OPERATIONS[name][1]] for name in self.operations})

    def _fitted(self, width: Choice, inputs: jax.Array) -> jax.Array:
        """Returns the inputs with the size and the channels of the outputs."""
        height, width_of_map = inputs.shape[1:3]
        if height % self.stride or width_of_map % self.stride:
            raise ValueError(
                f"{self.name!r}: maps of {height}x{width_of_map} positions, expected a multiple of its stride "
                f"{self.stride}; pad them, or leave out its skips"
            )
        inputs = pooled(inputs, self.stride)
        wanted = self.widths[width.index] if width.fixed else max(self.widths)
        came = inputs.shape[-1]
        inputs = jnp.pad(inputs[..., :wanted], ((0, 0), (0, 0), (0, 0), (0, max(wanted - came, 0))))
        return inputs if width.fixed else inputs * (jnp.arange(wanted) < width.number(self.widths))

    def canonical(self, choices: Choices) -> dict[str, Any]:
        """Leaves open nothing that surrounds a convolution where there is none; see `Layer`."""
        convolves = choices["operation"].number([int(OPERATIONS[name][0] > 0) for name in self.operations])
        around = ("activation", "normalisation", "skip")
        return {name: convolves * choices[name].index for name in around}


def enlarged(inputs: jax.Array, times: int) -> jax.Array:
    """Returns maps [B, H, W, C] at so many times their size, each pixel repeated."""
    return inputs if times == 1 else inputs.repeat(times, axis=1).repeat(times, axis=2)


def pooled(inputs: jax.Array, stride: int) -> jax.Array:
    """Returns maps [B, H, W, C] of means over squares of `stride` pixels; what does not fill one is left out."""
    if stride == 1:
        return inputs
    batch, height, width, channels = inputs.shape
    height, width = height // stride, width // stride
    squares = inputs[:, : height * stride, : width * stride].reshape(batch, height, stride, width, stride, channels)
    return squares.mean((2, 4))
