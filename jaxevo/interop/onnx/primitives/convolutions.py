"""Convolutions, plain and transposed."""

from jaxevo.interop.onnx.primitives.table import primitive


@primitive("conv_general_dilated")
def convolution(call, x, kernel):
    if call["batch_group_count"] != 1:
        raise call.refuse("groups the batch, which ONNX's convolutions do not")
    x_order, kernel_order, out_order = call["dimension_numbers"]
    groups, pads = call["feature_group_count"], call["padding"]
    steps, gaps, spread = call["window_strides"], call["lhs_dilation"], call["rhs_dilation"]
    emission, spatial = call.emission, range(2, len(x_order))
    name, weights = x.write(emission, x_order), kernel.write(emission, kernel_order)
    reach = [(kernel.shape[kernel_order[axis]] - 1) * step for axis, step in zip(spatial, spread, strict=True)]
    shared = {
        "dilations": list(spread),
        "group": groups,
        "kernel_shape": [kernel.shape[kernel_order[a]] for a in spatial],
    }
    if any(gap > 1 for gap in gaps):
        if any(step > 1 for step in steps):
            raise call.refuse("both spreads its input and strides over it, which ONNX's convolutions do not")
        weights = _mirrored(emission, weights, groups, [kernel.shape[axis] for axis in kernel_order])
        inside = [(length - low, length - high) for length, (low, high) in zip(reach, pads, strict=True)]
        more = [max(-high, 0) for _, high in inside]
        if any(low < 0 for low, _ in inside) or any(n >= gap for n, gap in zip(more, gaps, strict=True)):
            raise call.refuse(
                f"pads by {list(pads)} around an input that it spreads by {list(gaps)}, which is too much"
            )
        around = [*(low for low, _ in inside), *(max(high, 0) for _, high in inside)]
        name = emission.emit(
            "ConvTranspose", name, weights, strides=list(gaps), pads=around, output_padding=more, **shared
        )
        return call.result(name, out_order)
    if any(low < 0 or high < 0 for low, high in pads):
        name = _cropped(call, name, x, x_order, pads)
        pads = [(max(low, 0), max(high, 0)) for low, high in pads]
    around = [*(low for low, _ in pads), *(high for _, high in pads)]
    return call.result(emission.emit("Conv", name, weights, strides=list(steps), pads=around, **shared), out_order)


def _cropped(call, name, x, order, pads):
    """Cuts off what negative padding takes away."""
    ints = call.emission.ints
    axes = list(range(2, len(order)))
    starts = [max(-low, 0) for low, _ in pads]
    limits = [x.shape[order[axis]] + min(high, 0) for axis, (_, high) in zip(axes, pads, strict=True)]
    return call.emission.emit("Slice", name, ints(starts), ints(limits), ints(axes))


def _mirrored(emission, name, groups, shape):
    """Returns the kernel of the transposed convolution: turned around, outputs and inputs swapped in groups."""
    ints, (out, inputs, *size) = emission.ints, shape
    spatial = list(range(2, len(shape)))
    ones = [-1] * len(spatial)
    name = emission.emit("Slice", name, ints(ones), ints([-(n + 1) for n in size]), ints(spatial), ints(ones))
    if groups == 1:
        return emission.emit("Transpose", name, perm=[1, 0, *spatial])
    name = emission.emit("Reshape", name, ints([groups, out // groups, inputs, *size]))
    name = emission.emit("Transpose", name, perm=[0, 2, 1, *(axis + 1 for axis in spatial)])
    return emission.emit("Reshape", name, ints([groups * inputs, out // groups, *size]))
