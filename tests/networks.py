"""Small networks of every supported kind, drawn by hypothesis: what the rules of the library are tried on."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st

from jaxevo.network import Network, spec

#: Kinds of block; each maps a feature map [B, H, W, C] to one of the same size, "stride" to half of it.
KINDS = ("plain", "stride", "residual", "depthwise", "grouped", "squeeze", "attention", "recurrent", "branch")

_DIMENSIONS = ("NHWC", "HWIO", "NHWC")


def networks(name: str = "network", size: int = 8, least: int = 1, most: int = 4, kinds: tuple[str, ...] = KINDS):
    """Strategy for networks of blocks drawn from `kinds`, with weights drawn from a seed."""
    return st.builds(
        lambda seed, channels, blocks: build(seed, channels, tuple(blocks), name=name, size=size),
        st.integers(0, 2**16),
        st.sampled_from((4, 8)),
        st.lists(st.sampled_from(kinds), min_size=least, max_size=most),
    )


def build(seed: int, channels: int, blocks: tuple[str, ...], *, name: str = "network", size: int = 8, classes: int = 3):
    """Makes the network of a stem, some blocks, a global average and a dense head."""
    keys = iter(jax.random.split(jax.random.key(seed), 8 * len(blocks) + 4))

    def draw(*shape):
        return jax.random.normal(next(keys), shape) / np.sqrt(np.prod(shape[:-1]))

    params = {"stem": {"kernel": draw(3, 3, 3, channels)}, "head": {"kernel": draw(channels, classes)}}
    for index, kind in enumerate(blocks):
        params[f"block{index}"] = _PARAMS[kind](draw, channels)

    def apply(params, inputs):
        x = jax.nn.relu(_conv(inputs, params["stem"]["kernel"]))
        for index, kind in enumerate(blocks):
            x = _BLOCKS[kind](params[f"block{index}"], x)
        return x.mean((1, 2)) @ params["head"]["kernel"]

    return Network(apply, params, spec(np.zeros((1, size, size, 3), np.float32)), name)


def transformer(
    seed: int, width: int, *, name: str = "transformer", size: int = 8, depth: int = 2, class_tokens: int = 0
) -> Network:
    """Makes a network over 2x2 patches with class tokens in front: attention blocks, read out at the first token."""
    keys = iter(jax.random.split(jax.random.key(seed), 8 * depth + 8))
    tokens = (size // 2) ** 2 + class_tokens

    def draw(*shape):
        return jax.random.normal(next(keys), shape) / np.sqrt(np.prod(shape[:-1]))

    params = {"patches": draw(2, 2, 3, width), "positions": draw(tokens, width), "head": draw(width, 3)}
    params |= {"class": draw(class_tokens, width)} if class_tokens else {}
    for index in range(depth):
        params[f"block{index}"] = {
            "scale": 1 + draw(width), **{n: draw(width, width) for n in ("query", "key", "value", "out", "dense")}
        }  # fmt: skip

    def apply(params, inputs):
        x = jax.lax.conv_general_dilated(inputs, params["patches"], (2, 2), "VALID", dimension_numbers=_DIMENSIONS)
        x = x.reshape(x.shape[0], -1, width)
        if class_tokens:
            first = jnp.broadcast_to(params["class"], (x.shape[0], class_tokens, width))
            x = jnp.concatenate([first, x], axis=1)
        x = x + params["positions"]
        for index in range(depth):
            p = params[f"block{index}"]
            normed = _norm(x, p["scale"])
            q, k, v = (normed @ p[name] for name in ("query", "key", "value"))
            weights = jax.nn.softmax(jnp.einsum("bqc,bkc->bqk", q, k) / np.sqrt(width))
            x = x + jnp.einsum("bqk,bkc->bqc", weights, v) @ p["out"]
            x = x + jax.nn.gelu(_norm(x, p["scale"]) @ p["dense"])
        return (x[:, 0] if class_tokens else x.mean(1)) @ params["head"]

    return Network(apply, params, spec(np.zeros((1, size, size, 3), np.float32)), name)


def pictures(seed: int, count: int, size: int = 8) -> np.ndarray:
    """Random inputs [count, size, size, 3]."""
    return np.asarray(jax.random.normal(jax.random.key(seed), (count, size, size, 3)))


def _conv(x, kernel, stride=1, groups=1):
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), "SAME", dimension_numbers=_DIMENSIONS, feature_group_count=groups
    )


def _norm(x, scale):
    mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(var + 1e-5) * scale


def _plain(p, x):
    return jax.nn.relu(_conv(x, p["kernel"]) * p["scale"] + p["bias"])


def _stride(p, x):
    return jax.nn.gelu(_conv(x, p["kernel"], stride=2) + p["bias"])


def _residual(p, x):
    return jax.nn.relu(x + _conv(jax.nn.relu(_conv(x, p["first"])), p["second"]))


def _branch(p, x):
    longer = _conv(jax.nn.relu(_conv(x, p["second"])), p["third"])
    return jnp.concatenate([jax.nn.relu(_conv(x, p["first"])), jax.nn.relu(longer)], axis=-1)


def _depthwise(p, x):
    return jax.nn.swish(_conv(x, p["kernel"], groups=x.shape[-1]) @ p["point"])


def _grouped(p, x):
    return jax.nn.relu(_conv(x, p["kernel"], groups=2))


def _squeeze(p, x):
    x = _conv(x, p["kernel"])
    gate = jax.nn.sigmoid(jax.nn.relu(x.mean((1, 2)) @ p["down"]) @ p["up"])
    return x * gate[:, None, None]


def _attention(p, x):
    tokens = x.reshape(x.shape[0], -1, x.shape[-1])
    normed = _norm(tokens, p["scale"])
    q, k, v = (normed @ p[name] for name in ("query", "key", "value"))
    weights = jax.nn.softmax(jnp.einsum("bqc,bkc->bqk", q, k) / np.sqrt(x.shape[-1]))
    return (tokens + jnp.einsum("bqk,bkc->bqc", weights, v) @ p["out"]).reshape(x.shape)


def _recurrent(p, x):
    def step(hidden, row):
        hidden = jnp.tanh(row @ p["input"] + hidden @ p["hidden"])
        return hidden, hidden

    _, rows = jax.lax.scan(step, jnp.zeros_like(x[:, 0]), jnp.moveaxis(x, 1, 0))
    return jnp.moveaxis(rows, 0, 1)


_PARAMS = {
    "plain": lambda draw, c: {"kernel": draw(3, 3, c, c), "scale": 1 + draw(c), "bias": draw(c)},
    "stride": lambda draw, c: {"kernel": draw(3, 3, c, c), "bias": draw(c)},
    "residual": lambda draw, c: {"first": draw(3, 3, c, c), "second": draw(3, 3, c, c)},
    "depthwise": lambda draw, c: {"kernel": draw(3, 3, 1, c), "point": draw(c, c)},
    "grouped": lambda draw, c: {"kernel": draw(3, 3, c // 2, c)},
    "squeeze": lambda draw, c: {"kernel": draw(1, 1, c, c), "down": draw(c, 2), "up": draw(2, c)},
    "attention": lambda draw, c: {"scale": 1 + draw(c), **{n: draw(c, c) for n in ("query", "key", "value", "out")}},
    "recurrent": lambda draw, c: {"input": draw(c, c), "hidden": draw(c, c)},
    "branch": lambda draw, c: {
        "first": draw(3, 3, c, c // 2),
        "second": draw(1, 1, c, c),
        "third": draw(3, 3, c, c - c // 2),
    },
}

_BLOCKS = {
    "plain": _plain,
    "stride": _stride,
    "residual": _residual,
    "depthwise": _depthwise,
    "grouped": _grouped,
    "squeeze": _squeeze,
    "attention": _attention,
    "recurrent": _recurrent,
    "branch": _branch,
}
