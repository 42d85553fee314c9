"""Attention of ONNX: B batch, Q queries, T keys, H heads of keys, each shared by G heads of queries, D features."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.interop.onnx.operators.quantisation import element_type
from jaxevo.interop.onnx.table import Call, operator


def _heads(call: Call, x, attribute: str):
    """Splits [B, T, H * D] into [B, H, T, D]; what has four axes comes so already."""
    if x.ndim == 4:
        return x
    heads = call.get(attribute)
    if not heads or x.shape[-1] % heads:
        raise call.refuse(f"{attribute} is {heads}, expected a divisor of {x.shape[-1]} for an input {list(x.shape)}")
    return x.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2)


@operator("Attention")
def attention(call, query, key, value, mask=None, past_key=None, past_value=None, valid=None):
    q = _heads(call, query, "q_num_heads")
    k, v = _heads(call, key, "kv_num_heads"), _heads(call, value, "kv_num_heads")
    if (past_key is None) != (past_value is None):
        raise call.refuse("one of past_key and past_value is given, expected both or neither")
    if past_key is not None and past_value is not None:
        k, v = jnp.concatenate([past_key, k], 2), jnp.concatenate([past_value, v], 2)
    if q.shape[1] % k.shape[1]:
        raise call.refuse(f"{q.shape[1]} heads of queries cannot share {k.shape[1]} heads of keys")
    # Queries and keys take half of the scale each, which keeps the products of float16 in range.
    scale = jnp.asarray(np.sqrt(call.get("scale") or 1 / np.sqrt(q.shape[-1])), q.dtype)
    shared = (q * scale).reshape(q.shape[0], k.shape[1], -1, *q.shape[2:])
    raw = jnp.einsum("bhgqd,bhtd->bhgqt", shared, k * scale)
    raw = raw.reshape(*q.shape[:3], k.shape[2])
    cap = call.get("softcap", 0.0)
    capped = cap * jnp.tanh(raw / cap) if cap else raw
    past = None if past_key is None else past_key.shape[2]
    bias = _bias(call, q.shape[2], k.shape[2], mask, past, valid, q.dtype)
    biased = capped if bias is None else capped + bias
    weights = _softmax(call, biased, bias).astype(q.dtype)
    grouped = weights.reshape(q.shape[0], k.shape[1], -1, *weights.shape[2:])
    y = jnp.einsum("bhgqt,bhtd->bhgqd", grouped, v).reshape(*q.shape[:3], v.shape[-1])
    if query.ndim == 3:
        y = y.swapaxes(1, 2).reshape(*query.shape[:2], -1)
    return y, k, v, (raw, capped, biased, weights)[call.get("qk_matmul_output_mode", 0)].astype(q.dtype)


def _bias(call: Call, queries: int, keys: int, mask, past: int | None, valid, dtype):
    """Returns what is added to the scores, -inf where a query must not see a key; None where it may see all."""
    bias = None
    if mask is not None:
        bias = jnp.where(mask, 0, -jnp.inf).astype(dtype) if mask.dtype == bool else jnp.asarray(mask)
        missing = keys - mask.shape[-1]
        if missing > 0:
            bias = jnp.pad(bias, [(0, 0)] * (mask.ndim - 1) + [(0, missing)], constant_values=-jnp.inf)
    # How far a key lies behind its query; the queries come after the keys that are known already.
    offset = 0 if past is None else past
    if valid is not None:
        valid = jnp.asarray(valid).reshape(-1, 1, 1, 1)
        offset = valid - queries if past is None else past
    allowed, behind = True, np.arange(queries)[:, None] + offset - np.arange(keys)
    if call.get("is_causal", 0):
        allowed = behind >= 0
    left, right = call.get("left_window_size", -1), call.get("right_window_size", -1)
    if left >= 0:
        allowed = allowed & (behind <= left)
    if right >= 0:
        allowed = allowed & (-behind <= right)
    if valid is not None:
        allowed = allowed & (np.arange(keys) < valid)
    if allowed is True:
        return bias
    hidden = jnp.where(allowed, 0, -jnp.inf).astype(dtype)
    return hidden if bias is None else bias + hidden


def _softmax(call: Call, scores, bias):
    """Returns the weights of all keys; they are zero for a query that may see none."""
    precision = call.get("softmax_precision")
    scores = scores if not precision else scores.astype(element_type(call, precision))
    if bias is None:
        return jax.nn.softmax(scores, -1)
    none = jnp.isneginf(bias.max(-1, keepdims=True))
    return jnp.where(none, 0, jax.nn.softmax(jnp.where(none, 0, scores), -1))


@operator("RotaryEmbedding")
def rotary_embedding(call, x, cos, sin, positions=None):
    heads = _heads(call, x, "num_heads").swapaxes(1, 2)  # [B, T, H, D]
    size = call.get("rotary_embedding_dim", 0) or heads.shape[-1]
    if positions is not None:
        cos, sin = jnp.asarray(cos)[positions], jnp.asarray(sin)[positions]
    if cos.shape[-1] != size // 2:
        raise call.refuse(f"the cosines have {cos.shape[-1]} frequencies, expected {size // 2}")
    cos, sin = cos[:, :, None], sin[:, :, None]
    turned, rest = heads[..., :size], heads[..., size:]
    if call.get("interleaved", 0):
        a, b = turned[..., ::2], turned[..., 1::2]
    else:
        a, b = turned[..., : size // 2], turned[..., size // 2 :]
    real, imaginary = cos * a - sin * b, sin * a + cos * b
    if call.get("interleaved", 0):
        turned = jnp.stack([real, imaginary], -1).reshape(turned.shape)
    else:
        turned = jnp.concatenate([real, imaginary], -1)
    y = jnp.concatenate([turned, rest], -1)
    return y.reshape(x.shape) if x.ndim == 3 else y.swapaxes(1, 2)
