"""Calls, loops and branches."""

from collections.abc import Sequence

import numpy as np

from jaxevo.interop.onnx.emission import code_of
from jaxevo.interop.onnx.lengths import Batch
from jaxevo.interop.onnx.primitives.table import primitive
from jaxevo.interop.onnx.views import View

#: Calls that only wrap what is inside, and the parameter that holds it.
_INSIDE = {
    "checkpoint": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "remat": "jaxpr",
    "remat2": "jaxpr",
}


@primitive(*_INSIDE)
def inside(call, *values):
    return call.inline(_INSIDE[call.primitive], values)


@primitive("scan")
def scan(call, *values):
    constants, carried = _counts(call)
    outer, state, rows = values[:constants], values[constants : constants + carried], values[constants + carried :]
    emission = call.emission
    if not rows:
        raise call.refuse("repeats without reading rows; give the loop its number of steps as rows to read")
    inputs = [view.write(emission) for view in (*state, *rows)]
    with emission.scope() as nodes:
        own = [View(emission.name("state"), _plain(view.shape), view.shape, view.dtype) for view in state]
        own += [View(emission.name("row"), _plain(view.shape[1:]), view.shape[1:], view.dtype) for view in rows]
        found = call.inline("jaxpr", (*outer, *own))
        graph = _graph(emission, nodes, own, found)
    backwards = int(call["reverse"])
    count, written = len(rows), len(call.shapes) - carried
    # ONNX has no attribute that is an empty list.
    directions = {"scan_output_directions": [backwards] * written} if written else {}
    names = emission.emit_several(
        "Scan",
        inputs,
        len(call.shapes),
        body=graph,
        num_scan_inputs=count,
        scan_input_directions=[backwards] * count,
        **directions,
    )
    return tuple(call.result(name, index=index) for index, name in enumerate(names))


def _counts(call) -> tuple[int, int]:
    """Returns how many values a scan reads in every step, and how many it hands on from step to step."""
    grouped = call.get("ft_in", None)
    if grouped is None:
        return call["num_consts"], call["num_carry"]
    # jax 0.12 says it as groups: what is read in every step, what is handed on, and rows.
    constants, carried, _ = grouped.unpack()
    return len(constants), len(carried)


@primitive("while")
def loop(call, *values):
    first, second = call["cond_nconsts"], call["body_nconsts"]
    outer, inner, state = values[:first], values[first : first + second], values[first + second :]
    emission = call.emission
    (goes_on,) = call.inline("cond_jaxpr", (*outer, *state))
    inputs = ["", goes_on.write(emission), *(view.write(emission) for view in state)]
    with emission.scope() as nodes:
        step = View(emission.name("step"), (), (), np.dtype(np.int64))
        condition = View(emission.name("condition"), (), (), np.dtype(bool))
        own = [View(emission.name("state"), _plain(view.shape), view.shape, view.dtype) for view in state]
        found = call.inline("body_jaxpr", (*inner, *own))
        (again,) = call.inline("cond_jaxpr", (*outer, *found))
        graph = _graph(emission, nodes, [step, condition, *own], [again, *found])
    names = emission.emit_several("Loop", inputs, len(state), body=graph)
    return tuple(call.result(name, index=index) for index, name in enumerate(names))


@primitive("cond")
def branch(call, which, *values):
    first, second = call.pair("branches")
    return _branch(call, which, list(zip(first, second, strict=True)), values, 0)


def _branch(call, which, pairs, values, number):
    """Writes the branch of index `number` and, around it, the choice of a later one."""
    emission = call.emission
    if number == len(pairs) - 1:
        return call.inline(pairs[number], values)
    name = which.write(emission)
    if which.dtype != np.bool_:
        name = emission.emit("Greater", name, emission.constant(np.asarray(number, which.dtype)))
    graphs = []
    for later in (True, False):
        with emission.scope() as nodes:
            found = _branch(call, which, pairs, values, number + 1) if later else call.inline(pairs[number], values)
            graphs.append(_graph(emission, nodes, [], found))
    names = emission.emit_several("If", [name], len(call.shapes), then_branch=graphs[0], else_branch=graphs[1])
    return tuple(call.result(one, index=index) for index, one in enumerate(names))


def _plain(shape: Sequence) -> tuple[int, ...]:
    return tuple(range(len(shape)))


def _graph(emission, nodes, inputs, outputs):
    """Returns a graph inside another one; what it gives has names of its own."""
    helper = emission.onnx.helper
    names = [emission.give(view.write(emission), emission.name("result")) for view in outputs]
    return helper.make_graph(
        nodes,
        emission.name("graph"),
        [helper.make_tensor_value_info(view.tensor, code_of(view.dtype), lengths_of(view.shape)) for view in inputs],
        [
            helper.make_tensor_value_info(name, code_of(view.dtype), lengths_of(view.shape))
            for name, view in zip(names, outputs, strict=True)
        ],
    )


def lengths_of(shape: Sequence) -> list[int | str | None]:
    """Returns a shape as files say it: the batch by name, lengths of several batches left open."""
    return [("batch" if n.times == 1 else None) if isinstance(n, Batch) else n for n in shape]
