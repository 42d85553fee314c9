"""Children of masks over neurons of a network that begins with two dense layers: corrections to shared base products.

A mask changes a few columns of each kernel. With `x` shared by all children, `W` a kernel, `d` what is added to its
columns [., R] and `E` [R, C] which columns those are,

    x (W1 + d1 E1) = x W1 + (x d1) E1

and, as the activation `a` after it differs in those channels alone,

    a' (W2 + d2 E2) = a W2 + ((a' - a) E1^T) (E1 W2) + (a' d2) E2

so that both large products `x W1` and `a W2` are computed once for all children. From the third layer on everything
differs, and is computed for each child. R is the number of units of a mask, C that of channels.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.extend import core

from jaxevo.graph import NetworkGraph, Piece, piece
from jaxevo.graph.program import Equation, evaluate_equation, open_jaxpr
from jaxevo.space import INPUTS, Segment, Step, Work
from jaxevo.subspace.children import Mutation, values
from jaxevo.subspace.masks import Base, Masks
from jaxevo.subspace.pieces import Drawn, changed, mutation_of, terms_of

#: What acts on each entry of its operands by itself.
_ENTRYWISE = frozenset((
    "abs", "add", "and", "ceil", "clamp", "convert_element_type", "copy", "cos", "custom_jvp_call", "div", "eq",
    "erf", "exp", "expm1", "floor", "ge", "gt", "integer_pow", "is_finite", "jit", "le", "log", "log1p", "logistic",
    "lt", "max", "min", "mul", "ne", "neg", "not", "or", "pjit", "pow", "rsqrt", "select_n", "sign", "sin", "sqrt",
    "square", "stop_gradient", "sub", "tanh", "xor",
))  # fmt: skip


class Start(NamedTuple):
    """The start of a network: a product, what acts on each of its channels alone, and another product.

    first, second: numbers of the leaves that are the kernels [., C].
    before: the piece from the inputs to what the first product reads, None where it reads the inputs themselves.
    between: the piece from the first product to what the second one reads.
    after: the piece from the second product to the outputs, None where that is the output.
    """

    first: int
    second: int
    before: Piece | None
    between: Piece
    after: Piece | None


def corrected(graph: NetworkGraph, masks: Masks) -> Work | None:
    """Divides the children of masks over neurons into what all share and the corrections of each.

    Args:
      graph: the network; its outputs are one array.
      masks: masks over neurons.

    Returns:
      The division, or None where the network does not begin with two dense layers, or a mask holds everything.
    """
    start = _start(graph, masks)
    if start is None or masks.subspaces == 1:
        return None
    shared = Segment("products", _shared(graph, start), lambda base: _named(graph, base.params))
    own = Segment("corrections", _corrections(start), lambda _: {}, _maker(graph, masks, start))

    def plan(genome: Mutation) -> tuple[Step, ...]:
        return Step(0, (), (INPUTS,)), Step(1, terms_of(genome), (0,))

    return Work((shared, own), plan)


def _start(graph: NetworkGraph, masks: Masks) -> Start | None:
    """Finds two dense layers at the start of a network, or None."""
    program, chosen = graph.program, masks.chosen
    products = [e for e in program.equations if e.primitive == "dot_general" and e.writes[0] in program.dynamic][:2]
    if len(products) < 2 or not all(_is_dense(graph, masks, e) for e in products):
        return None
    one, two = products
    read, after = one.reads[0], two.writes[0]
    outer = two.reads[0]
    try:
        before = None if read in program.inputs else piece(graph, program.inputs, (read,))  # type: ignore[arg-type]
        between = piece(graph, (one.writes[0],), (outer,))  # type: ignore[arg-type]
        rest = None if after in program.outputs else piece(graph, (after,), program.outputs)
    except ValueError:
        # A way around one of the products: the network is none of this kind.
        return None
    mutated = dict(zip(chosen.leaves, chosen.layers, strict=True))
    home = mutated[one.reads[1]]  # type: ignore[index]
    channels = program.avals[one.writes[0]].shape[-1:]
    alike = all(mutated[i] == home and program.avals[i].shape == channels for i in between.parameters if i in mutated)
    entrywise = all(
        _is_entrywise(program.equations[i])
        for i in between.equations
        if program.equations[i].writes[0] in program.dynamic
    )
    untouched = before is None or not any(leaf in mutated for leaf in before.parameters)
    if not (alike and entrywise and untouched):
        return None
    return Start(one.reads[1], two.reads[1], before, between, rest)  # type: ignore[arg-type]


def _is_dense(graph: NetworkGraph, masks: Masks, equation: Equation) -> bool:
    """Says whether an equation is a product of vectors [B, .] with a mutated kernel [., C] that nothing else reads."""
    program, kernel = graph.program, equation.reads[1]
    if (
        kernel is None
        or kernel not in masks.chosen.leaves
        or program.readers[kernel] != (program.producer[equation.writes[0]],)
    ):
        return False
    plain = equation.params["dimension_numbers"] == (((1,), (0,)), ((), ()))
    return plain and len(program.avals[kernel].shape) == 2 and len(program.avals[equation.writes[0]].shape) == 2


def _is_entrywise(equation: Equation) -> bool:
    return equation.primitive in _ENTRYWISE and all(_entrywise(v) for v in equation.params.values())


def _entrywise(value) -> bool:
    """Says whether a program in an equation's parameters acts on each entry by itself; anything else does."""
    if not isinstance(value, core.Jaxpr | core.ClosedJaxpr):
        return True
    inner = open_jaxpr(value)[0].eqns
    return all(e.primitive.name in _ENTRYWISE and all(_entrywise(v) for v in e.params.values()) for e in inner)


def _named(graph: NetworkGraph, params) -> dict[str, jax.Array]:
    return dict(zip(graph.paths, jax.tree.leaves(params), strict=True))


def _shared(graph: NetworkGraph, start: Start):
    def product(leaf, x, leaves):
        equation = graph.program.equations[graph.program.readers[leaf][0]]
        return evaluate_equation(equation, [x, leaves[graph.paths[leaf]]])[0]

    def apply(leaves, variant, inputs):
        del variant
        given = jax.tree.leaves(inputs)
        x = given[0] if start.before is None else start.before.apply(leaves, *given)[0]
        first = product(start.first, x, leaves)
        (a,) = start.between.apply(leaves, first)
        return {"x": x, "first": first, "a": a, "second": product(start.second, a, leaves)}

    return apply


def _corrections(start: Start):
    def apply(made, variant, shared):
        del variant
        own, first, second = made["leaves"], made["first"], made["second"]
        (a,) = start.between.apply(own, shared["first"] + (shared["x"] @ first["columns"]) @ first["places"])
        moved = (a - shared["a"]) @ first["places"].T
        product = shared["second"] + moved @ made["rows"] + (a @ second["columns"]) @ second["places"]
        return product if start.after is None else start.after.apply(own, product)[0]

    return apply


def _maker(graph: NetworkGraph, masks: Masks, start: Start):
    """Returns what makes the columns that a mutation changes, and the small leaves as they are with it."""
    chosen, kernels = masks.chosen, (start.first, start.second)
    parts = [part for part in (start.between, start.after) if part is not None]
    numbers = sorted({leaf for part in parts for leaf in part.parameters})
    mine = [index for index, leaf in enumerate(chosen.leaves) if leaf in numbers]
    names = [graph.paths[chosen.leaves[index]] for index in mine]

    def make(base: Base, variant):
        (term,) = map(mutation_of, variant)
        leaves = _named(graph, base.params)
        slots = masks.of(base, jax.random.wrap_key_data(term.noise), term.subspace)
        added = values(base, masks, slots.coordinates, term)
        first, second = (_columns(masks, slots, added, chosen.leaves.index(leaf)) for leaf in kernels)
        drawn = Drawn(slots.coordinates[None], added[None])
        own = {graph.paths[leaf]: leaves[graph.paths[leaf]] for leaf in numbers}
        rows = first["places"] @ leaves[graph.paths[start.second]]
        return {
            "first": first,
            "second": second,
            "rows": rows,
            "leaves": own | dict(zip(names, changed(chosen, mine, [own[name] for name in names], drawn), strict=True)),
        }

    return jax.jit(make)


def _columns(masks: Masks, slots, added: jax.Array, index: int) -> dict[str, jax.Array]:
    """Returns the columns [., R] that a mutation adds to a kernel, and their places [R, C]."""
    inputs, channels = masks.chosen.shapes[index]
    within = slots.coordinates - masks.chosen.offsets[index]
    inside = (within >= 0) & (within < inputs * channels)
    row, channel = jnp.where(inside, within // channels, inputs), jnp.where(inside, within % channels, channels)
    dtype = masks.chosen.dtype
    columns = jnp.zeros((inputs, masks.units), dtype).at[row, slots.ranks].add(added.astype(dtype), mode="drop")
    places = jnp.zeros((masks.units, channels), dtype).at[slots.ranks, channel].set(1, mode="drop")
    return {"columns": columns, "places": places}
