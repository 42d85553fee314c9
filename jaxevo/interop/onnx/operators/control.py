"""Branches and loops whose course is known before the network runs."""

import contextlib
import contextvars
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxevo.interop.onnx.table import is_static, module_of, operator

#: Steps up to which a loop is written out, so that a body may shape its values by the number of the step.
UNROLLED = 64
#: Steps of a loop and of all loops inside it that are written out, which multiply.
MOST_STEPS = 256

_STEPS: contextvars.ContextVar[list[int] | None] = contextvars.ContextVar("steps", default=None)


@contextlib.contextmanager
def _counted() -> Iterator[list[int]]:
    """Yields the count of steps that the outermost loop began."""
    begun = _STEPS.get()
    if begun is not None:
        yield begun
        return
    count = [0]
    token = _STEPS.set(count)
    try:
        yield count
    finally:
        _STEPS.reset(token)


@operator("If")
def branch(call, condition):
    taken = call.static(condition, "the condition").all()
    return call.attributes["then_branch" if taken else "else_branch"]()


@operator("Loop")
def loop(call, trips=None, condition=None, *state):
    most = None if trips is None else int(call.static(trips, "the number of trips").reshape(()))
    # The largest numbers say "until the condition is false".
    most = None if most is not None and most >= 2**31 - 1 else most
    goes_on = condition is None or bool(call.static(condition, "the condition").all())
    if most is not None and most > UNROLLED and goes_on:
        return _scanned(call, most, state)
    with _counted() as steps:
        return _written_out(call, most, goes_on, state, steps)


def _written_out(call, most, goes_on, state, steps):
    body, rows, step = call.attributes["body"], [], 0
    while goes_on and (most is None or step < most):
        if step > UNROLLED:
            raise call.refuse(f"does not end within {UNROLLED} steps and has no number of trips; give it one")
        steps[0] += 1
        if steps[0] > MOST_STEPS:
            raise call.refuse(
                f"comes to more than {MOST_STEPS} steps with the loops around it, expected fewer, since each is "
                "written out"
            )
        condition, *found = body(np.asarray(step, np.int64), np.asarray(True), *state)
        state, row = tuple(found[: len(state)]), found[len(state) :]
        rows.append(row)
        goes_on = bool(call.static(condition, "the condition after a step").all())
        step += 1
    if not rows and len(call.outputs) > len(state):
        raise call.refuse("takes no step, so that the shape of what it collects is unknown; remove it from the model")
    return (*state, *(module_of(*column).stack(column) for column in zip(*rows, strict=True)))


def _scanned(call, most, state):
    body = call.attributes["body"]

    def step(carry, index):
        condition, *found = body(index, np.asarray(True), *carry)
        if not is_static(condition) or not condition.all():
            raise call.refuse(f"may stop before its {most} trips, expected a loop that takes all of them")
        carried = tuple(jnp.asarray(new, old.dtype) for new, old in zip(found, carry, strict=False))
        return carried, tuple(jnp.asarray(value) for value in found[len(carry) :])

    last, rows = lax.scan(step, tuple(jnp.asarray(value) for value in state), jnp.arange(most))
    return (*last, *rows)


@operator("Scan")
def scan(call, *values):
    if call.opset < 9:
        raise call.refuse("is of an opset before 9; convert the model with onnx.version_converter.convert_version")
    body, count = call.attributes["body"], call.get("num_scan_inputs")
    kept = len(values) - count
    carry, inputs = values[:kept], values[kept:]
    axes = call.get("scan_input_axes", (0,) * count)
    ways = call.get("scan_input_directions", (0,) * count)
    rows = tuple(
        jnp.flip(moved, 0) if way else moved
        for moved, way in zip((jnp.moveaxis(x, a, 0) for x, a in zip(inputs, axes, strict=True)), ways, strict=True)
    )

    def step(carry, row):
        found = body(*carry, *row)
        carried = tuple(jnp.asarray(new, old.dtype) for new, old in zip(found, carry, strict=False))
        return carried, tuple(jnp.asarray(value) for value in found[kept:])

    last, columns = lax.scan(step, tuple(jnp.asarray(value) for value in carry), rows)
    axes = call.get("scan_output_axes", (0,) * len(columns))
    ways = call.get("scan_output_directions", (0,) * len(columns))
    return (*last, *(_laid_out(c, a, way) for c, a, way in zip(columns, axes, ways, strict=True)))


def _laid_out(column: jax.Array, axis: int, backwards: int) -> jax.Array:
    column = jnp.flip(column, 0) if backwards else column
    return jnp.moveaxis(column, 0, axis)
