"""Small networks whose architecture is said by their arguments, and parameters to fill them with."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.network import Network, spec

_NUMBERS = ("NHWC", "HWIO", "NHWC")


def drawn(seed: int, tree):
    """Returns a tree of random float32 arrays with the shapes of another."""
    leaves, structure = jax.tree.flatten(tree)
    rng = np.random.default_rng(seed)
    return jax.tree.unflatten(structure, [rng.standard_normal(leaf.shape).astype(np.float32) for leaf in leaves])


def chain(
    widths,
    *,
    side: int = 3,
    sides=(),
    stride: int = 1,
    residual: bool = False,
    groups: int = 1,
    gate: bool = False,
    normalise: bool = False,
    classes: int = 3,
    seed: int = 0,
    name: str = "chain",
    size: int = 8,
) -> Network:
    """Makes a chain of convolutions with biases and ReLU, a mean over space, and a dense layer.

    widths: channels of each convolution; sides: of their kernels, by default `side`. All but the first may be residual,
    grouped, gated by squeeze-and-excite, and followed by batch normalisation.
    """
    sides = sides or (side,) * len(widths)
    params, before = {}, 3
    for i, (width, k) in enumerate(zip(widths, sides, strict=True)):
        layer = {"kernel": np.zeros((k, k, before if i == 0 else before // groups, width)), "bias": np.zeros(width)}
        if gate and i:
            layer |= {"down": np.zeros((width, 2)), "up": np.zeros((2, width))}
        if normalise and i:
            layer |= {n: np.zeros(width) for n in ("scale", "shift", "mean", "var")}
        params[f"conv{i}"], before = layer, width
    params["head"] = {"kernel": np.zeros((before, classes)), "bias": np.zeros(classes)}

    def apply(params, x):
        for i in range(len(widths)):
            p = params[f"conv{i}"]
            step = (stride, stride) if i == 1 else (1, 1)
            count = groups if i else 1
            y = jax.lax.conv_general_dilated(
                x, p["kernel"], step, "SAME", dimension_numbers=_NUMBERS, feature_group_count=count
            )
            y = y + p["bias"]
            if normalise and i:
                y = (y - p["mean"]) * (jax.lax.rsqrt(p["var"] + 1e-5) * p["scale"]) + p["shift"]
            if gate and i:
                y = y * jax.nn.sigmoid(jax.nn.relu(y.mean((1, 2)) @ p["down"]) @ p["up"])[:, None, None]
            x = jax.nn.relu(x + y) if residual and i and x.shape == y.shape else jax.nn.relu(y)
        return x.mean((1, 2)) @ params["head"]["kernel"] + params["head"]["bias"]

    made = drawn(seed, params)
    for layer in made.values():
        layer |= {"var": np.abs(layer["var"])} if "var" in layer else {}
    return Network(apply, made, spec(np.zeros((1, size, size, 3), np.float32)), name)


def attention(
    width: int, heads: int, *, fused: bool, size: int = 8, patch: int = 2, seed: int = 0, name: str = "attention"
) -> Network:
    """Makes one attention block over patches with positions; queries, keys and values in one product or in three."""
    head, tokens = width // heads, (size // patch) ** 2
    params = {
        "patches": np.zeros((patch, patch, 3, width)), "positions": np.zeros((1, tokens, width)),
        "out": np.zeros((width, width)), "head": np.zeros((width, 3)),
    }  # fmt: skip
    if fused:
        params |= {"qkv": np.zeros((width, 3 * width)), "qkv_bias": np.zeros(3 * width)}
    else:
        params |= {n: np.zeros((width, width)) for n in ("q", "k", "v")}
        params |= {f"{n}_bias": np.zeros(width) for n in ("q", "k", "v")}

    def apply(params, x):
        x = jax.lax.conv_general_dilated(x, params["patches"], (patch, patch), "VALID", dimension_numbers=_NUMBERS)
        x = x.reshape(len(x), tokens, width) + params["positions"]
        if fused:
            qkv = (x @ params["qkv"] + params["qkv_bias"]).reshape(len(x), tokens, 3, heads, head)
            q, k, v = (qkv[:, :, i] for i in range(3))
        else:
            q, k, v = (
                (x @ params[n] + params[f"{n}_bias"]).reshape(len(x), tokens, heads, head) for n in ("q", "k", "v")
            )
        weights = jax.nn.softmax(jnp.einsum("bqhc,bkhc->bhqk", q, k))
        y = jnp.einsum("bhqk,bkhc->bqhc", weights, v).reshape(len(x), tokens, width)
        return (x + y @ params["out"]).mean(1) @ params["head"]

    return Network(apply, drawn(seed, params), spec(np.zeros((1, size, size, 3), np.float32)), name)
