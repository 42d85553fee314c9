"""The ways to score mutated members of a network that the benchmark of populations compares.

A way is built once for a problem, and then scores all its members on all its images whenever it is called.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from evosax.algorithms import Open_ES

from experiments import zoo
from jaxevo import evaluation, subspace
from jaxevo.data import Split
from jaxevo.network import Network, spec
from jaxevo.space import Space
from jaxevo.subspace.choosing import scatter

SIGMA, SUBSPACES = 0.02, 64

Score = Callable[[], np.ndarray]


class Problem(NamedTuple):
    """What is scored.

    network: the parent.
    split: the images.
    batch: images at a time.
    members: number of members.
    """

    network: Network
    split: Split
    batch: int
    members: int


def resnet() -> Network:
    """A ResNet-20 of 0.27 M parameters on pictures [32, 32, 3], with a stem of stride 2; random weights."""
    made, rng = zoo.build("resnet", (32, 32, 3), 10, depths=(3, 3, 3)), np.random.default_rng(0)

    def draw(path, leaf):
        name = jax.tree_util.keystr(path)
        if "kernel" in name:
            return rng.normal(0, np.sqrt(2 / np.prod(leaf.shape[:-1])), leaf.shape).astype(leaf.dtype)
        return np.full(leaf.shape, "scale" in name or "var" in name, leaf.dtype)

    # Drawn on the host: compiling the initialisation takes longer than anything that is measured here.
    shapes = jax.eval_shape(made.init, jax.random.key(0))
    return made.network(*jax.tree_util.tree_map_with_path(draw, shapes))


def mlp() -> Network:
    """Dense layers 784-512-512-10, 0.67 M parameters; random weights."""
    widths, keys = (784, 512, 512, 10), jax.random.split(jax.random.key(0), 3)
    layers = [
        {"kernel": jax.random.normal(key, (a, b)) * np.sqrt(2 / a), "bias": jnp.zeros(b)}
        for key, a, b in zip(keys, widths, widths[1:], strict=False)
    ]

    def apply(params, x):
        for layer in params[:-1]:
            x = jax.nn.relu(x @ layer["kernel"] + layer["bias"])
        return x @ params[-1]["kernel"] + params[-1]["bias"]

    return Network(apply, layers, spec(np.zeros((1, 784), np.float32)), "mlp")


NETWORKS = {"resnet": resnet, "mlp": mlp}


def examples(network: Network, count: int) -> Split:
    """Random inputs with random labels."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(count, *network.inputs.shape)).astype(np.float32)
    return Split(inputs, rng.integers(0, 10, count).astype(np.int32))


def inference(problem: Problem) -> Score:
    """The parent, as often as there are members: plain inference."""
    run, params = _counting(problem), jax.device_put(problem.network.params)
    return lambda: _finish([run(params) for _ in range(problem.members)], problem)


def sparse(problem: Problem) -> Score:
    """`evaluation.population` of sparse children, everything drawn on the fly."""
    return _evaluated(problem, subspace.partition(problem.network, SUBSPACES, SIGMA))


def dense(problem: Problem) -> Score:
    """`evaluation.population` of dense children, everything drawn on the fly."""
    return _evaluated(problem, subspace.partition(problem.network, 1, SIGMA))


def sparse_ahead(problem: Problem) -> Score:
    """Sparse children whose masks and noise were drawn before the clock starts."""
    return _ahead(problem, subspace.partition(problem.network, SUBSPACES, SIGMA))


def dense_ahead(problem: Problem) -> Score:
    """Dense children whose noise was drawn before the clock starts."""
    return _ahead(problem, subspace.partition(problem.network, 1, SIGMA))


def layerwise(problem: Problem) -> Score:
    """`evaluation.shared` of children that each mutate one layer; layers are as many as members, or taken in turn."""
    layers = len(subspace.sparse(problem.network, 1.0, SIGMA, granularity="layer").params.units.size)
    return _shared(problem, subspace.partition(problem.network, layers, SIGMA, granularity="layer"))


def neuron(problem: Problem) -> Score:
    """`evaluation.shared` of children of masks over neurons, as corrections to shared products."""
    return _shared(problem, subspace.partition(problem.network, SUBSPACES, SIGMA, granularity="neuron"))


def loop(problem: Problem) -> Score:
    """One by one: draws a dense mutation leaf by leaf, adds it, and runs the jitted network."""
    run, params = _counting(problem), jax.device_put(problem.network.params)
    leaves, structure = jax.tree.flatten(params)

    def child(key):
        keys = jax.random.split(key, len(leaves))
        return structure.unflatten(
            [leaf + SIGMA * jax.random.normal(k, leaf.shape) for k, leaf in zip(keys, leaves, strict=True)]
        )

    keys = jax.random.split(jax.random.key(1), problem.members)
    return lambda: _finish([run(child(key)) for key in keys], problem)


def evosax(problem: Problem) -> Score:
    """evosax's Open_ES on the ravelled network: asks for the population, and runs it vmapped."""
    strategy = Open_ES(problem.members, problem.network.params, std_schedule=optax.constant_schedule(SIGMA))
    settings = strategy.default_params
    state = strategy.init(jax.random.key(1), problem.network.params, settings)
    count = jax.jit(jax.vmap(functools.partial(_correct, problem.network), (0, None, None)))
    batches = _batches(problem)

    def score():
        population, _ = strategy.ask(jax.random.key(2), state, settings)
        found = [count(population, inputs, labels) for inputs, labels in batches]
        return np.asarray(sum(found)) / len(problem.split.labels)

    return score


def _evaluated(problem: Problem, space: Space) -> Score:
    evaluate = evaluation.population(space, problem.split, [evaluation.accuracy], batch=problem.batch)
    genomes = space.sample(jax.random.key(1), problem.members)
    return lambda: np.asarray(evaluate(None, space.params, genomes)[1])[:, 0]


def _shared(problem: Problem, space: Space) -> Score:
    evaluate = evaluation.shared(space, problem.split, [evaluation.accuracy], batch=problem.batch)
    genomes, nothing = space.sample(jax.random.key(1), problem.members), evaluate.memory

    def score():
        # Networks that were scored before would not be run again.
        evaluate.restore(nothing)
        return evaluate(None, space.params, genomes)[1][:, 0]

    return score


def _ahead(problem: Problem, space: Space) -> Score:
    assert space.child is not None
    run, masks = _counting(problem), space.child.make.masks  # type: ignore[attr-defined]

    @jax.jit
    def draw(base, genome):
        key = jax.random.wrap_key_data(genome.noise[0])
        slots = masks.of(base, key, genome.subspace[0])
        return slots.coordinates, SIGMA * masks.draw(key, genome.subspace[0])

    @jax.jit
    def add(base, coordinates, values):
        return masks.chosen.unflatten(base.params, scatter(base.flat, coordinates, values))

    base = space.params
    genomes = space.sample(jax.random.key(1), problem.members)
    drawn = [draw(base, jax.tree.map(lambda leaf, i=i: leaf[i], genomes)) for i in range(problem.members)]
    return lambda: _finish([run(add(base, *one)) for one in drawn], problem)


def _counting(problem: Problem) -> Callable:
    """Returns the function that counts correct answers of parameters on all batches, in the jitted network."""
    count, batches = jax.jit(functools.partial(_correct, problem.network)), _batches(problem)
    return lambda params: [count(params, inputs, labels) for inputs, labels in batches]


def _correct(network: Network, params, inputs, labels):
    return (network.apply(params, inputs).argmax(-1) == labels).sum()


def _batches(problem: Problem) -> list:
    size, split = problem.batch, problem.split
    assert len(split.labels) % size == 0
    starts = range(0, len(split.labels), size)
    return jax.device_put([(split.inputs[i : i + size], split.labels[i : i + size]) for i in starts])


def _finish(counts: list, problem: Problem) -> np.ndarray:
    return np.array([sum(int(part) for part in parts) for parts in counts]) / len(problem.split.labels)


WAYS: dict[str, Callable[[Problem], Score]] = {
    "inference": inference,
    "sparse": sparse,
    "sparse_ahead": sparse_ahead,
    "dense": dense,
    "dense_ahead": dense_ahead,
    "layerwise": layerwise,
    "neuron": neuron,
    "loop": loop,
    "evosax": evosax,
}
