"""What a pruned network costs, as polynomials in the numbers of units that are kept.

Every convolution and product costs the product of the lengths of its axes, and every length is a number of units, a sum
or a product of some. G is the number of groups, M that of monomials.
"""

import collections
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from jaxevo.graph.cost import positions
from jaxevo.graph.layers import parameters_of
from jaxevo.graph.program import Equation
from jaxevo.pruning.axes.dependencies import BATCH, Dependencies
from jaxevo.space import Cost

#: Monomials, each the sorted tuple of the groups whose counts are multiplied, and their coefficients.
Terms = dict[tuple[int, ...], int]


class Polynomial(NamedTuple):
    """A polynomial in the counts of G groups.

    factors: int [M, D], groups whose counts are multiplied; G stands for a factor of one.
    coefficients: int64 [M].
    largest: its value at full counts.
    """

    factors: np.ndarray
    coefficients: np.ndarray
    largest: int

    def __call__(self, counts: Any) -> Any:
        """Evaluates it at counts [G]: exactly on the host; traced as int32, or as float32 where that is too narrow."""
        if not isinstance(counts, jax.core.Tracer):
            whole = np.append(np.asarray(counts, np.int64), 1)
            return int((whole[self.factors].prod(1) * self.coefficients).sum())
        dtype = jnp.int32 if self.largest < 2**31 else jnp.float32
        whole = jnp.append(counts.astype(dtype), jnp.ones((), dtype))
        return (whole[self.factors].prod(1) * jnp.asarray(self.coefficients, dtype)).sum()


def costs(found: Dependencies) -> Cost:
    """Returns multiply-adds for one example and parameters as `Polynomial`s in the counts of the groups [G]."""
    program, graph = found.at(BATCH), found.graph
    products: Terms = collections.Counter()
    for equation in program.equations:
        if any(value in program.dynamic for value in equation.reads):
            products.update(_product(found, _axes(found, equation)))
    # The batch is a factor of them all.
    products = {term: number // BATCH for term, number in products.items()}
    weights: Terms = collections.Counter()
    for leaf in parameters_of(graph.program, range(len(graph.program.equations))):
        weights.update(_product(found, found.axes[leaf]))
    return Cost(_polynomial(found, products, graph.multiply_adds), _polynomial(found, weights, graph.parameters))


def _axes(found: Dependencies, equation: Equation) -> list[int]:
    """Returns the labels of the axes whose lengths multiply to an equation's multiply-adds, none for most equations."""
    out = list(found.axes[equation.writes[0]])
    reads: list[tuple[int, ...]] = [() if value is None else found.axes[value] for value in equation.reads]
    if equation.primitive == "conv_general_dilated":
        spec = equation.params["dimension_numbers"].rhs_spec
        places = [(reads[0] if of_input else out)[axis] for of_input, axis in positions(equation.params)]
        return [*places, *(reads[1][place] for place in spec[1:])]
    if equation.primitive == "dot_general":
        (summed, _), _ = equation.params["dimension_numbers"]
        return [*out, *(reads[0][place] for place in summed)]
    return []


def _product(found: Dependencies, axes: Iterable[int]) -> Terms:
    axes = list(axes)
    total: Terms = {(): 1} if axes else {}
    for axis in axes:
        total = _times(total, _length(found, axis))
    return total


def _length(found: Dependencies, axis: int) -> Terms:
    made = found.labels.made(axis)
    if not found.within(axis) or made is None:
        return {tuple(found.within(axis)): 1} if found.within(axis) else {(): found.labels.size(axis)}
    kind, parts = made
    if kind == "product":
        return _product(found, parts)
    total: Terms = collections.Counter()
    for part in parts:
        total.update(_length(found, part))
    return total


def _times(a: Terms, b: Terms) -> Terms:
    total: Terms = collections.Counter()
    for one, x in a.items():
        for other, y in b.items():
            total[tuple(sorted((*one, *other)))] += x * y
    return total


def _polynomial(found: Dependencies, terms: Terms, whole: int) -> Polynomial:
    sizes = [group.size for group in found.groups]
    # What depends on no group is not counted equation by equation: loops have a cost as well.
    constant = whole - sum(number * math.prod(sizes[g] for g in term) for term, number in terms.items() if term)
    terms = {(): constant, **{term: number for term, number in terms.items() if term}}
    degree = max(map(len, terms))
    factors = np.array([(*term, *[len(sizes)] * (degree - len(term))) for term in terms], np.int32)
    return Polynomial(factors.reshape(len(terms), degree), np.array(list(terms.values()), np.int64), whole)
