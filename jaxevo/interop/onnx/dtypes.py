"""Types of ONNX tensors as numpy's, and what JAX makes of them."""

import jax
import ml_dtypes
import numpy as np

#: Element types of ONNX by their codes; strings (8) have none.
DTYPES: dict[int, np.dtype] = {
    code: np.dtype(dtype)
    for code, dtype in {
        1: np.float32,
        2: np.uint8,
        3: np.int8,
        4: np.uint16,
        5: np.int16,
        6: np.int32,
        7: np.int64,
        9: np.bool_,
        10: np.float16,
        11: np.float64,
        12: np.uint32,
        13: np.uint64,
        14: np.complex64,
        15: np.complex128,
        16: ml_dtypes.bfloat16,
        17: ml_dtypes.float8_e4m3fn,
        18: ml_dtypes.float8_e4m3fnuz,
        19: ml_dtypes.float8_e5m2,
        20: ml_dtypes.float8_e5m2fnuz,
        21: ml_dtypes.uint4,
        22: ml_dtypes.int4,
        23: ml_dtypes.float4_e2m1fn,
        24: ml_dtypes.float8_e8m0fnu,
        25: ml_dtypes.uint2,
        26: ml_dtypes.int2,
    }.items()
}

#: Types of which several elements share a byte, with the bits of one.
PACKED: dict[int, int] = {21: 4, 22: 4, 23: 4, 25: 2, 26: 2}


def canonical(dtype: np.dtype) -> np.dtype:
    """Returns the type that JAX computes with in place of `dtype`: 32 bits for 64, unless 64 are switched on."""
    return np.dtype(jax.dtypes.canonicalize_dtype(dtype))


def saturated(value: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Returns whole numbers in a type of fewer bits, those outside of its range at its ends."""
    limits, own = np.iinfo(dtype), np.iinfo(value.dtype)
    low, high = max(limits.min, own.min), min(limits.max, own.max)
    # One repeated number stays one.
    index = tuple(slice(0, 1) if stride == 0 else slice(None) for stride in value.strides)
    return np.broadcast_to(np.clip(value[index], low, high).astype(dtype), value.shape)


def is_floating(dtype: np.dtype) -> bool:
    """Returns whether numbers of this type are learned: real floating-point numbers of 16 bits and more."""
    return jax.numpy.issubdtype(dtype, np.floating) and np.dtype(dtype).itemsize >= 2
