"""Products of matrices and tensors."""

from jaxevo.interop.onnx.primitives.table import primitive


@primitive("dot_general")
def product(call, x, y):
    (x_sum, y_sum), (x_batch, y_batch) = call["dimension_numbers"]
    x_free = [axis for axis in range(len(x.shape)) if axis not in (*x_sum, *x_batch)]
    y_free = [axis for axis in range(len(y.shape)) if axis not in (*y_sum, *y_batch)]
    if len(x_sum) != 1 or len(y_free) > 1:
        return _einsum(call, x, y, (x_sum, y_sum), (x_batch, y_batch))
    emission, names = call.emission, []
    # A product of matrices: batch axes first, then rows, then columns; an axis that is missing has length 1.
    rows = max(1, len(x_free))
    for view, order, batch, lacking in (
        (x, (*x_batch, *x_free, *x_sum), len(x_batch), rows - len(x_free)),
        (y, (*y_batch, *y_sum, *y_free), len(y_batch), (rows - 1 if y_batch else 0)),
    ):
        name = _wide(call, view, view.write(emission, order))
        if lacking:
            name = emission.emit("Unsqueeze", name, emission.ints(range(batch, batch + lacking)))
        names.append(name)
    if not y_free:
        names[1] = emission.emit("Unsqueeze", names[1], emission.ints([-1]))
    count = len(x_batch) + len(x_free)
    axes = [
        *range(len(x_batch)),
        *([None] if not x_free else range(len(x_batch), count)),
        *([count] if y_free else [None]),
    ]
    return call.result(emission.emit("MatMul", *names), axes)


def _einsum(call, x, y, summed, batches):
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    x_names, y_names = [""] * len(x.shape), [""] * len(y.shape)
    for first, second in (*zip(*batches, strict=True), *zip(*summed, strict=True)):
        x_names[first] = y_names[second] = next(letters)
    out = [x_names[axis] for axis in batches[0]]
    for names in (x_names, y_names):
        for axis, name in enumerate(names):
            if not name:
                names[axis] = next(letters)
                out.append(names[axis])
    equation = f"{''.join(x_names)},{''.join(y_names)}->{''.join(out)}"
    tensors = [_wide(call, view, view.write(call.emission)) for view in (x, y)]
    return call.result(call.emission.emit("Einsum", *tensors, equation=equation))


def _wide(call, view, name):
    # Narrow integers are multiplied in the type of the sum.
    return name if view.dtype == call.dtypes[0] else call.emission.cast(name, call.dtypes[0])
