"""All stitches fitted in closed form, from one pass over the data.

With the parents frozen, a stitch trained on squared error is linear least squares. Its ridge is chosen for each stitch
by held-out error, since the best one differs by orders of magnitude with the position. What ridge shrinks is scaled
back: the covariance is moved half of the way to that of the feature it replaces, then each channel gets the variance of
the one it replaces, which keeps the layers behind it in the range they know.
"""

import dataclasses
import itertools
import numbers
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxevo.data import Split
from jaxevo.evaluation import Moments, grams
from jaxevo.graph import NetworkGraph
from jaxevo.graph.tracing import check_graph
from jaxevo.network import check_inputs, check_key
from jaxevo.stitching.joints import Similarity, alike, candidates, points
from jaxevo.stitching.merging import Merged, check_merged
from jaxevo.stitching.solving import choose, recolour, rescale, solve, swapped
from jaxevo.stitching.stitches import Stitch
from jaxevo.stitching.views import Views, ends_of

PyTree = Any
Match = Literal["nothing", "variance", "covariance"]

#: Ridges that are tried, as shares of the mean variance of the source's channels.
RIDGES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)


class Fit(NamedTuple):
    """How well a stitch fits.

    name: the stitch; with ":class" behind it, the part of it that makes class tokens.
    ridge: the ridge chosen, a share of the mean variance of the source's channels.
    error: squared error on held-out folds as a share of the target's variance, before variances are matched.
    cka: linear CKA of the two features.
    """

    name: str
    ridge: float
    error: float
    cka: float


def fit(
    key: jax.Array,
    merged: Merged,
    split: Split,
    *,
    batch: int = 64,
    positions: int = 4096,
    folds: int = 4,
    ridges: tuple[float, ...] = RIDGES,
    match: Match = "covariance",
    mesh: Mesh | None = None,
) -> tuple[Merged, tuple[Fit, ...]]:
    """Fits every stitch by ridge regression onto the feature that it replaces.

    Args:
      key: shuffles examples and samples positions.
      merged: the merged network.
      split: training examples; labels are not looked at.
      batch, positions, folds, mesh: as in `evaluation.grams`.
      ridges: those to choose from, shares of the mean variance of the source's channels, above 0.
      match: what the outputs shall have in common with the feature that they replace: "nothing" but the least error,
        the "variance" of each channel, or "covariance", half-way, and then the variances.

    Returns:
      The merged network with fitted stitches, and a `Fit` for each stitch.

    Raises:
      TypeError: where key, merged or split is none.
      ValueError: where ridges are not positive, match is none of those, examples do not fit the parents, or as
        `evaluation.grams` does.
    """
    check_merged("fit", merged)
    key = check_key("fit", key)
    _check_split("fit", split, merged.parents[0])
    known = isinstance(ridges, tuple | list) and all(isinstance(r, numbers.Real) and 0 < r < np.inf for r in ridges)
    if not known or not ridges:
        raise ValueError(f"fit: ridges is {ridges!r}, expected a tuple of positive shares such as (1e-4, 1e-2)")
    if match not in get_args(Match):
        raise ValueError(f"fit: match is {match!r}, expected one of {', '.join(map(repr, get_args(Match)))}")
    views = Views(merged.parents)
    tasks = [task for stitch in merged.stitches for task in _tasks(views, merged, stitch)]
    distinct = list(dict.fromkeys(task.pair for task in tasks))
    gathered = grams(
        key, views.features, merged.params["parents"], distinct, split, batch=batch, positions=positions, folds=folds,
        mesh=mesh,
    )  # fmt: skip
    found = dict(zip(distinct, gathered, strict=True))
    stitches, fits = {}, []
    for task in tasks:
        moments = swapped(found[task.pair]) if task.backwards else found[task.pair]
        kernel, bias, one = _fitted(task, moments, ridges, match)
        shapes = merged.params["stitches"][task.stitch]
        stitches.setdefault(task.stitch, {}).update(
            {
                f"{task.prefix}{name}": jnp.asarray(leaf, jnp.float32).reshape(shapes[f"{task.prefix}{name}"].shape)
                for name, leaf in (("kernel", kernel), ("bias", bias))
            }
        )
        fits.append(one)
    params = {**merged.params, "stitches": stitches}
    return dataclasses.replace(merged, params=params), tuple(fits)


class _Task(NamedTuple):
    """One regression: the views that it is between, and the leaves of the stitch that it gives."""

    stitch: str
    prefix: str
    pair: tuple[int, int]
    backwards: bool


def _tasks(views: Views, merged: Merged, stitch: Stitch) -> list[_Task]:
    source, target = ends_of(merged.pairs, stitch)
    if alike(stitch.reads, stitch.makes):
        # One table of moments serves the stitches of both ways.
        backwards = stitch.source != merged.pairs[stitch.pair].parents[0]
        ends = (target, source) if backwards else (source, target)
        return [_Task(stitch.name, "", (views.whole(*ends[0]), views.whole(*ends[1])), backwards)]
    tasks = [_Task(stitch.name, "", views.laid(source, target), False)]
    classes = views.classes(source, target)
    return tasks if classes is None else [*tasks, _Task(stitch.name, "class_", classes, False)]


def _fitted(task: _Task, moments: Moments, ridges, match: Match) -> tuple[np.ndarray, np.ndarray, Fit]:
    ridge, error = choose(moments, ridges)
    kernel, bias = solve(moments.folds.sum(0), moments.a, [ridge])[0]
    if match == "covariance":
        kernel = recolour(moments, kernel)
    if match != "nothing":
        kernel, bias = rescale(moments, kernel)
    name = task.stitch if not task.prefix else f"{task.stitch}:class"
    return kernel, bias, Fit(name, ridge, error, moments.cka())


def similarity(
    key: jax.Array,
    graphs: Sequence[NetworkGraph],
    split: Split,
    *,
    layers: bool = False,
    across: bool = False,
    batch: int = 64,
    positions: int = 4096,
    folds: int = 4,
    mesh: Mesh | None = None,
) -> Similarity:
    """Measures linear CKA between all points of networks that could be joined, for `stitching.match`.

    Args:
      key: shuffles examples and samples positions.
      graphs: the networks, at least two.
      split: examples.
      layers, across: as in `stitching.match`.
      batch, positions, folds, mesh: as in `evaluation.grams`.

    Returns:
      By indices of two networks, CKA in [0, 1], float64 [M, N]; NaN where two points cannot be joined.

    Raises:
      TypeError, ValueError: where a graph is no `NetworkGraph`, or as `fit` does.
    """
    if not isinstance(graphs, tuple | list) or len(graphs) < 2:
        raise TypeError(f"similarity: graphs is {graphs!r}, expected a sequence of at least two networks' graphs")
    for index, graph in enumerate(graphs):
        check_graph("similarity", f"network {index}", graph)
    _check_split("similarity", split, graphs[0])
    views, wanted = Views(tuple(graphs)), {}
    for p, q in itertools.combinations(range(len(graphs)), 2):
        first, second = points(graphs[p], layers), points(graphs[q], layers)
        for i, j in candidates(graphs[p], graphs[q], layers=layers, across=across):
            ends = (p, first[i].value), (q, second[j].value)
            one = alike(first[i].feature, second[j].feature)
            wanted[p, q, i, j] = (views.whole(*ends[0]), views.whole(*ends[1])) if one else views.laid(*ends)
    params = tuple(graph.network.params for graph in graphs)
    found = grams(
        key, views.features, params, list(wanted.values()), split, batch=batch, positions=positions, folds=folds,
        mesh=mesh,
    )  # fmt: skip
    tables = {
        (p, q): np.full((len(points(graphs[p], layers)), len(points(graphs[q], layers))), np.nan)
        for p, q in itertools.combinations(range(len(graphs)), 2)
    }
    for (p, q, i, j), moments in zip(wanted, found, strict=True):
        tables[p, q][i, j] = min(1.0, moments.cka())
    return tables


def _check_split(where, split, graph):
    if not isinstance(split, Split):
        raise TypeError(f"{where}: split is a {type(split).__name__}, expected a jaxevo.data.Split such as data.train")
    check_inputs(f"{where} on {graph.name!r}", graph.network.inputs, split.inputs)
