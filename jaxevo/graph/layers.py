"""Equations grouped into layers: a convolution or product with all that follows it, sums and other joints on their own.

A layer begins at an *anchor* (a convolution, product, pool or loop, or an equation in which two layers meet) and takes
in whatever depends on that anchor alone: bias, normalisation, activation. Where a value inside is read by other layers
and everything after it goes through it (a residual stream that a normalisation reads), or where the spatial shape
changes (a global average), the layer is split.
"""

import itertools
from typing import NamedTuple

from jaxevo.graph.features import Feature
from jaxevo.graph.program import Program

_ANCHORS = {
    "conv_general_dilated": "conv",
    "dot_general": "dense",
    "scan": "scan",
    "while": "while",
    "cond": "cond",
    "reduce_window_max": "pool",
    "reduce_window_sum": "pool",
    "reduce_window_min": "pool",
    "reduce_window": "pool",
    "sort": "sort",
    "gather": "gather",
}
_JOINTS = {"add": "sum", "sub": "sum", "mul": "product", "concatenate": "concat", "dot_general": "matmul"}

#: Region of what is computed from the inputs before the first layer.
_INPUT = -1


class Layer(NamedTuple):
    """A group of equations that do one thing.

    name: from the parameters' path, else the modules' names, else the kind; unique in its graph.
    kind: "conv", "depthwise", "dense", "norm", "pool", "sum", "product", "concat", "matmul", "reshape", "scan", ...
    equations: indices of its equations that depend on the inputs, in order.
    parameters: numbers of the parameter leaves that it reads, directly or by way of folded equations.
    reads: numbers of the values it takes from other layers or the inputs.
    value: number of its last value.
    """

    name: str
    kind: str
    equations: tuple[int, ...]
    parameters: tuple[int, ...]
    reads: tuple[int, ...]
    value: int


def group(program: Program, kinds: tuple[Feature, ...], paths: tuple[str, ...]) -> tuple[Layer, ...]:
    """Groups the equations of a program into layers.

    Args:
      program: the program.
      kinds: a `Feature` for each value.
      paths: path of each parameter leaf.

    Returns:
      The layers, in an order in which they can run.
    """
    regions: dict[int, list[int]] = {}
    for index, region in _regions(program).items():
        regions.setdefault(region, []).append(index)
    parts = [part for members in regions.values() for part in _split(program, kinds, members)]
    parts.sort(key=lambda part: part[0])
    names: dict[str, int] = {}
    root = _root(program)
    return tuple(_layer(program, kinds, paths, root, part, names) for part in parts)


def _regions(program):
    """Assigns each equation that depends on the inputs to the anchor that it hangs on."""
    home = dict.fromkeys(program.inputs, _INPUT)
    found = {}
    for index, equation in enumerate(program.equations):
        sources = {home[v] for v in equation.reads if v in program.dynamic}
        if not sources:
            continue
        begins = equation.primitive in _ANCHORS or len(sources) > 1
        found[index] = index if begins else sources.pop()
        home.update(dict.fromkeys(equation.writes, found[index]))
    return found


def _split(program, kinds, members):
    """Cuts a region where a value is read outside, or the spatial shape changes, and all that follows goes through."""
    inside = set(members)
    cuts = _articulations(program, members)
    parts, start = [], 0
    for (position, value), (_, following) in itertools.pairwise(cuts):
        outside = value in program.outputs or any(r not in inside for r in program.readers.get(value, ()))
        reshaped = kinds[value].space != kinds[following].space or kinds[value].kind != kinds[following].kind
        if outside or reshaped:
            parts.append(members[start : position + 1])
            start = position + 1
    parts.append(members[start:])
    return parts


def _articulations(program, members):
    """Returns (position, value) wherever only one value of the region is still to be read within it, and the last."""
    last_read = {
        value: max((members.index(r) for r in program.readers.get(value, ()) if r in members), default=-1)
        for index in members
        for value in program.equations[index].writes
    }
    found, alive = [], set()
    for position, index in enumerate(members):
        written = program.equations[index].writes
        alive = {v for v in alive | set(written) if last_read[v] > position}
        if position == len(members) - 1 or alive == {written[0]}:
            found.append((position, written[0]))
    return found


def _root(program):
    """Returns the module around all equations, which parameters' paths do not name; "" where there is none."""
    first = {equation.scope.split("/")[0] for equation in program.equations}
    return first.pop() if len(first) == 1 else ""


def _layer(program, kinds, paths, root, part, names):
    own = {value for index in part for value in program.equations[index].writes}
    reads = dict.fromkeys(v for i in part for v in program.equations[i].reads if v in program.dynamic and v not in own)
    parameters = parameters_of(program, part)
    kind = _kind(program, kinds, part)
    name = _name(program, paths, root, part, parameters, kind)
    names[name] = names.get(name, 0) + 1
    if names[name] > 1:
        name = f"{name}#{names[name]}"
    return Layer(name, kind, tuple(part), parameters, tuple(reads), program.equations[part[-1]].writes[0])


def parameters_of(program: Program, equations) -> tuple[int, ...]:
    """Returns the numbers of the parameter leaves that equations read, directly or by way of folded equations."""
    found, stack, seen = {}, [v for i in equations for v in program.equations[i].reads if v is not None], set()
    while stack:
        value = stack.pop()
        if value in seen or value in program.dynamic:
            continue
        seen.add(value)
        if value < program.leaves:
            found[value] = None
        elif value in program.producer:
            stack.extend(v for v in program.equations[program.producer[value]].reads if v is not None)
    return tuple(sorted(found))


def _kind(program, kinds, part):
    equations = [program.equations[i] for i in part]
    first = equations[0]
    dynamic = [v for v in first.reads if v in program.dynamic]
    if len(set(dynamic)) > 1 and first.primitive not in ("scan", "while", "cond"):
        return _JOINTS.get(first.primitive, "joint")
    if first.primitive == "conv_general_dilated":
        channels = kinds[dynamic[0]].channels if kinds[dynamic[0]].channel is not None else 0
        return "depthwise" if first.params["feature_group_count"] == channels > 1 else "conv"
    if first.primitive in _ANCHORS:
        return _ANCHORS[first.primitive]
    before, after = kinds[dynamic[0]], kinds[equations[-1].writes[0]]
    reduces = any(e.primitive.startswith("reduce_") for e in equations)
    if before.shape == after.shape:
        return "norm" if reduces else "elementwise"
    return "pool" if reduces else "reshape"


def _name(program, paths, root, part, parameters, kind):
    anchor = [v for v in program.equations[part[0]].reads if v is not None and v < program.leaves]
    if anchor or parameters:
        path = paths[(anchor or parameters)[0]].split("/")[:-1]
        path = [p for p in path if p not in ("params", "batch_stats", "state")]
        return "/".join(path) or kind
    scope = program.equations[part[0]].scope.removeprefix(root).strip("/")
    return f"{scope}/{kind}" if scope else kind
