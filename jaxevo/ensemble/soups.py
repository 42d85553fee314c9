"""Averages of weights (model soups): networks of one architecture become one network, which costs what each costs.

Source: Wortsman et al. 2022, "Model soups: averaging weights of multiple fine-tuned models improves accuracy without
increasing inference time" (arXiv 2203.05482). M is the number of networks.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.checks import check_weights
from jaxevo.data import Split, check_batch, check_targets
from jaxevo.ensemble.predictions import predict
from jaxevo.ensemble.voting import check_equal
from jaxevo.evaluation.metrics import Metric, check_metrics
from jaxevo.graph import trace
from jaxevo.network import Network, batched, check_inputs
from jaxevo.search.strategy import check_count

PyTree = Any


class Soup(NamedTuple):
    """What `greedy_average` made.

    network: the average.
    chosen: indices of the networks that are in it, in the order in which they came in.
    scores: what each of the M networks scored alone.
    score: what the average scores.
    """

    network: Network
    chosen: np.ndarray
    scores: np.ndarray
    score: float


def average(networks: Iterable[Network]) -> Network:
    """Averages the parameters of networks of one architecture (uniform soup, Wortsman et al. 2022, table 2).

    Statistics of normalisations are averaged like all else; gather them anew with `evaluation.recalibrate` where the
    networks are far apart.

    Args:
      networks: the M networks, at least one; an iterator that makes each when it is asked for holds one at a time.

    Returns:
      The first network with the mean of all parameters, added up in float32 (float64 where they are).

    Raises:
      TypeError: where one is no `Network`.
      ValueError: where there are none, or two differ in architecture or in parameters that are no floating numbers.
    """
    if isinstance(networks, Network | jax.Array | np.ndarray) or not isinstance(networks, Iterable):
        raise TypeError(f"average: networks is a {type(networks).__name__}, expected several jaxevo Networks")
    mixed, count = None, 0
    for network in networks:
        mixed = _Mixed.of("average", network) if mixed is None else mixed.stir(network)
        check_weights("average", "networks", network.params)
        count += 1
    if mixed is None:
        raise ValueError("average: networks is empty, expected at least one")
    return mixed.network(count)


def greedy_average(networks: Sequence[Network], split: Split, metric: Metric, batch: int = 256) -> Soup:
    """Averages those networks of one architecture that help (greedy soup, Wortsman et al. 2022, recipe 1).

    Networks are tried from the best to the worst; each stays in the average where that scores at least as well with it
    as without.

    Args:
      networks: the M networks, at least one; whatever has a length and gives a network for an index will do, so that no
        more than one need exist at a time. Each is asked for twice at most.
      split: the examples to judge by, the valid split.
      metric: what to judge by, larger-is-better, such as `evaluation.accuracy` or `-evaluation.nll`.
      batch: examples per call.

    Returns:
      The average and what is in it. A network that scores NaN is never in it.

    Raises:
      TypeError: where one is no `Network`, split no `Split`, or metric no `Metric`.
      ValueError: where there are none or all score NaN, two differ in architecture, the metric is one of genomes or
        better when smaller, or examples do not fit.
    """
    (metric,) = check_metrics("greedy_average", [metric])
    if metric.needs != "outputs":
        raise ValueError(f"greedy_average: metric {metric.name!r} looks at genomes, expected one over outputs")
    if isinstance(networks, Network | jax.Array | np.ndarray) or not hasattr(networks, "__getitem__"):
        raise TypeError(f"greedy_average: networks is a {type(networks).__name__}, expected a list of jaxevo Networks")
    check_count("greedy_average", "len(networks)", len(networks), 1)
    check_batch("greedy_average", split, batch)
    scores = np.zeros(len(networks))
    for index in range(len(networks)):
        network = _check_network("greedy_average", networks[index])
        if not index:
            _check_labels(network, split, metric)
        scores[index] = _score(network, split, metric, batch)
    order = [int(index) for index in np.argsort(-scores, kind="stable") if np.isfinite(scores[index])]
    if not order:
        raise ValueError(f"greedy_average: no network has a finite {metric.name}, expected at least one")
    mixed, chosen, best = _Mixed.of("greedy_average", networks[order[0]]), [order[0]], scores[order[0]]
    for index in order[1:]:
        tried = mixed.stir(networks[index])
        score = _score(tried.network(len(chosen) + 1), split, metric, batch)
        if score >= best:
            mixed, best = tried, score
            chosen.append(index)
    return Soup(mixed.network(len(chosen)), np.array(chosen), scores, float(best))


@dataclasses.dataclass(frozen=True)
class _Mixed:
    """Networks added up.

    where: who adds them, the start of messages.
    first: the first of them.
    architecture: tells which one it is; a trace, made only where it is needed.
    total: sum of the parameters that are floating numbers; the others as they are.
    """

    where: str
    first: Network
    architecture: Callable[[], str]
    total: PyTree

    @classmethod
    def of(cls, where: str, network: Any) -> "_Mixed":
        network = _check_network(where, network)
        architecture = functools.cache(lambda: trace(network).fingerprint)
        return cls(where, network, architecture, jax.tree.map(_wide, network.params))

    def stir(self, network: Any) -> "_Mixed":
        """Returns the sum with one network more."""
        self._check_alike(_check_network(self.where, network))
        return dataclasses.replace(self, total=jax.tree.map(_add, self.total, network.params))

    def network(self, count: int) -> Network:
        """Returns the average of the `count` networks in it."""

        def mean(total, like):
            return (total / count).astype(like.dtype) if _averaged(like) else like

        params = jax.tree.map(mean, self.total, self.first.params)
        return dataclasses.replace(self.first, params=params, name=f"average of {count}")

    def _check_alike(self, network: Network) -> None:
        """Raises ValueError unless a network is the same function of parameters of equal shapes as the first."""
        first = self.first
        check_equal(self.where, first, network)
        leaves, others = (jax.tree_util.tree_flatten_with_path(net.params)[0] for net in (first, network))
        what = None
        if [(path, leaf.shape, leaf.dtype) for path, leaf in leaves] != [
            (path, leaf.shape, leaf.dtype) for path, leaf in others
        ]:
            what = "names, shapes or dtypes of parameters"
        elif network.apply is not first.apply and trace(network).fingerprint != self.architecture():
            what = "what they compute"
        if what:
            raise ValueError(
                f"{self.where}: networks {first.name!r} and {network.name!r} differ in {what}; expected networks of "
                "one architecture, such as children of one parent; others can vote (ensemble.vote)"
            )
        for (path, leaf), (_, other) in zip(leaves, others, strict=True):
            if not _averaged(leaf) and not np.array_equal(np.asarray(leaf), np.asarray(other)):
                raise ValueError(
                    f"{self.where}: networks {first.name!r} and {network.name!r} differ in "
                    f"params{jax.tree_util.keystr(path)}, which is {leaf.dtype} and cannot be averaged"
                )


def _check_network(where: str, network: Any) -> Network:
    if not isinstance(network, Network):
        raise TypeError(f"{where}: networks holds {network!r}, expected jaxevo Networks")
    return network


def _check_labels(network: Network, split: Split, metric: Metric) -> None:
    """Refuses labels that do not fit what a network says, before anything is compiled."""
    if metric.reads == "anything":
        return
    check_inputs("greedy_average: split", network.inputs, split.inputs)
    shape = jax.eval_shape(network.apply, network.params, batched(network.inputs, 1)).shape
    check_targets("greedy_average: split.labels", split.labels, shape, metric.reads)


def _averaged(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.floating)


def _wide(leaf: Any) -> Any:
    return jnp.asarray(leaf, jnp.promote_types(leaf.dtype, jnp.float32)) if _averaged(leaf) else leaf


def _add(total: Any, leaf: Any) -> Any:
    return total + leaf if _averaged(leaf) else total


def _score(network: Any, split: Split, metric: Metric, batch: int) -> float:
    """Returns what a network scores; NaN where it says something that is not finite."""
    said = jnp.asarray(predict([network], split, batch)[0])
    if not bool(jnp.isfinite(said).all()):
        return float("nan")
    if network.output != "values":
        said = jnp.log(jnp.maximum(said, jnp.finfo(jnp.float32).tiny))
    state = metric.update(metric.init(), said, jnp.asarray(split.labels), jnp.ones(len(split), bool))  # type: ignore
    return float(metric.finish(state))  # type: ignore
