"""Signal processing of ONNX. A complex number is two real ones on the last axis."""

import jax.numpy as jnp
import numpy as np

from jaxevo.interop.onnx.operators.quantisation import element_type
from jaxevo.interop.onnx.table import Call, is_static, operator


def _integer(call: Call, value, what: str) -> int:
    return int(call.static(value, what).reshape(()))


def _complex(x):
    """Joins the last axis into complex numbers, or drops it where it is real."""
    x = jnp.asarray(x).astype(jnp.promote_types(x.dtype, jnp.float32))
    return x[..., 0] if x.shape[-1] == 1 else x[..., 0] + 1j * x[..., 1]


def _transform(call: Call, signal, length: int, axis: int, inverse: bool, onesided: bool, dtype):
    """Returns the discrete Fourier transform of a real or complex signal, as pairs of real numbers."""
    if inverse and onesided:
        return jnp.fft.irfft(signal, length, axis)[..., None].astype(dtype)
    if onesided and jnp.iscomplexobj(signal):
        raise call.refuse("onesided is 1 for a complex signal, expected a real one")
    transform = jnp.fft.ifft if inverse else jnp.fft.rfft if onesided else jnp.fft.fft
    y = transform(signal, length, axis)
    return jnp.stack([y.real, y.imag], -1).astype(dtype)


@operator("DFT")
def dft(call, x, dft_length=None, axis=None):
    # The axis became an input in opset 20, and its default the last one of the signal.
    standard = call.get("axis", 1) if call.opset < 20 else -2
    axis = standard if axis is None else _integer(call, axis, "axis")
    axis, inverse, onesided = axis % x.ndim, bool(call.get("inverse", 0)), bool(call.get("onesided", 0))
    if dft_length is not None:
        length = _integer(call, dft_length, "dft_length")
    else:
        length = 2 * (x.shape[axis] - 1) if inverse and onesided else x.shape[axis]
    if is_static(x):
        call.check_room((*x.shape[:axis], length, *x.shape[axis + 1 :]))
    return _transform(call, _complex(x), length, axis, inverse, onesided, x.dtype)


@operator("STFT")
def stft(call, signal, frame_step, window=None, frame_length=None):
    step = _integer(call, frame_step, "frame_step")
    if frame_length is not None:
        length = _integer(call, frame_length, "frame_length")
    else:
        length = signal.shape[1] if window is None else window.shape[0]
    starts = np.arange((signal.shape[1] - length) // step + 1) * step
    frames = jnp.asarray(signal)[:, starts[:, None] + np.arange(length)]  # [B, frames, length, 1 or 2]
    frames = frames if window is None else frames * window[:, None]
    return _transform(call, _complex(frames), length, 2, False, bool(call.get("onesided", 1)), signal.dtype)


def _window(call: Call, size, terms: tuple[float, ...]) -> np.ndarray:
    """Returns a sum of cosines over `size` elements; a periodic window leaves out the last one of a longer window."""
    count = _integer(call, size, "size")
    call.check_room((count,))
    turn = 2 * np.pi * np.arange(count) / (count if call.get("periodic", 1) else count - 1)
    values = sum(share * np.cos(order * turn) for order, share in enumerate(terms))
    return np.asarray(values).astype(element_type(call, call.get("output_datatype", 1)))


@operator("HannWindow")
def hann_window(call, size):
    return _window(call, size, (0.5, -0.5))


@operator("HammingWindow")
def hamming_window(call, size):
    return _window(call, size, (25 / 46, -21 / 46))


@operator("BlackmanWindow")
def blackman_window(call, size):
    return _window(call, size, (0.42, -0.5, 0.08))


@operator("MelWeightMatrix")
def mel_weight_matrix(call, num_mel_bins, dft_length, sample_rate, lower_edge_hertz, upper_edge_hertz):
    bins, length = _integer(call, num_mel_bins, "num_mel_bins"), _integer(call, dft_length, "dft_length")
    call.check_room((length // 2 + 1, bins))
    rate = _integer(call, sample_rate, "sample_rate")
    low, high = (
        2595 * np.log10(1 + float(call.static(edge, "an edge of the mel spectrum")) / 700)
        for edge in (lower_edge_hertz, upper_edge_hertz)
    )
    mels = low + np.arange(bins + 2) * (high - low) / (bins + 2)
    edges = ((length + 1) * 700 * (10 ** (mels / 2595) - 1) // rate).astype(int)
    start, peak, end = edges[:-2], edges[1:-1], edges[2:]
    place = np.arange(length // 2 + 1)[:, None]
    rising = np.where(peak > start, (place - start) / np.maximum(peak - start, 1), place >= peak)
    falling = (end - place) / np.maximum(end - peak, 1)
    matrix = np.where(place <= peak, rising, falling)
    return np.clip(matrix, 0, 1).astype(element_type(call, call.get("output_datatype", 1)))
