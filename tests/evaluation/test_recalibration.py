"""Recalibrated statistics are those of training mode on the data, in every layer, and repair a network."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxevo import training
from jaxevo.data import Split
from jaxevo.evaluation import recalibrate
from jaxevo.graph import batch_normalisations, trace
from jaxevo.graph.program import run_equations
from jaxevo.interop import from_flax, trainable_from_flax
from jaxevo.network import Network
from tests.networks import build
from tests.normalised import Linen, equinox, from_nnx_module, linen, offspring, split

KEY = jax.random.key(0)


def train_mode(module, variables, inputs):
    """What Flax stores after one step with momentum 0: the statistics of this batch in every layer."""
    return module.apply(variables, inputs, train=True, mutable=["batch_stats"])[1]["batch_stats"]


def close(a, b, rtol=1e-4, atol=1e-5):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol, atol=atol), a, b)


def distance(a, b):
    return float(jnp.abs(a - b).max() / jnp.abs(b).max())


@pytest.mark.smoke
def test_on_one_batch_they_are_what_flax_stores_in_training_mode():
    (module, variables, network), examples = linen(), split(16)
    found = recalibrate(network, examples, batch=16)
    close(found.params["batch_stats"], train_mode(module, variables, examples.inputs))
    close(found.params["params"], variables["params"], rtol=0, atol=0)
    assert found.name == network.name


def test_over_batches_means_and_second_moments_are_averaged():
    (module, variables, network), examples = linen(), split(48)
    found = recalibrate(network, examples, batch=16).params["batch_stats"]
    # Three batches, each of every third example.
    parts = [train_mode(module, variables, examples.inputs[k::3]) for k in range(3)]
    for name, stored in found.items():
        means, variances = (np.stack([part[name][which] for part in parts]) for which in ("mean", "var"))
        np.testing.assert_allclose(stored["mean"], means.mean(0), rtol=1e-4, atol=1e-5)
        second = (variances + means**2).mean(0)
        np.testing.assert_allclose(stored["var"], second - means.mean(0) ** 2, rtol=1e-4, atol=1e-5)


def test_a_trained_network_changes_little_and_a_scrambled_one_is_repaired():
    # A last stretch at rest, so that the running averages are those of the weights that come out.
    optimizer = optax.adam(optax.piecewise_constant_schedule(1e-2, {24: 0.0}))
    examples = split(64)
    trainable = trainable_from_flax(Linen(momentum=0.9), examples.inputs)
    update = training.supervised(trainable, training.cross_entropy, optimizer)
    member = training.start(KEY, trainable, optimizer)
    member, _ = training.fit(KEY, member, update, examples, epochs=32, batch=32)
    network = from_flax(Linen(), {"params": member.params, **member.state}, examples.inputs)
    outputs = network(examples.inputs)
    assert distance(recalibrate(network, examples, batch=32)(examples.inputs), outputs) < 0.05
    scrambled = {**network.params, "batch_stats": jax.tree.map(lambda s: s[::-1] * 3 + 1, member.state["batch_stats"])}
    broken = dataclasses.replace(network, params=scrambled)
    assert distance(broken(examples.inputs), outputs) > 0.3
    assert distance(recalibrate(broken, examples, batch=32)(examples.inputs), outputs) < 0.05


def normalised_moments(network, examples):
    """Mean and variance of what each normalisation reads in inference, less what it stores."""
    graph = trace(network)
    found, leaves = batch_normalisations(graph), jax.tree.leaves(network.params)
    program = graph.at(len(examples.inputs))
    known = {**program.constants, **dict(enumerate(leaves)), program.inputs[0]: examples.inputs}
    values = run_equations(program.equations, known)
    differences = []
    for one in found:
        x = np.asarray(values[one.value])
        rest = tuple(axis for axis in range(x.ndim) if axis not in one.axes)
        differences.append(np.abs(x.mean(rest) - np.ravel(values[one.mean.value])).max())
        differences.append(np.abs(x.var(rest) - np.ravel(values[one.variance.value])).max())
    return max(differences)


@pytest.mark.parametrize("make", [offspring, from_nnx_module, lambda: equinox("ema"), lambda: equinox("batch")])
def test_with_one_batch_every_network_stores_the_moments_of_what_it_normalises(make):
    network, examples = make(), split(24)
    if network.inputs.shape[0] == 3:
        examples = Split(examples.inputs.transpose(0, 3, 1, 2), examples.labels)
    found = recalibrate(network, examples, batch=24)
    assert normalised_moments(network, examples) > 0.1
    assert normalised_moments(found, examples) < 1e-4
    assert jax.tree.structure(found.params) == jax.tree.structure(network.params)
    changed = [
        path
        for path, a, b in zip(trace(network).paths, *map(jax.tree.leaves, (network.params, found.params)), strict=True)
        if not np.array_equal(a, b)
    ]
    assert len(changed) == 2 * len(batch_normalisations(trace(network)))


def test_examples_are_spread_over_a_sorted_split():
    network, examples = linen()[2], split(64)
    order = np.argsort(examples.labels, kind="stable")
    sorted_split = Split(examples.inputs[order] + examples.labels[order][:, None, None, None], examples.labels[order])
    few = recalibrate(network, sorted_split, batch=8, examples=32).params["batch_stats"]["BatchNorm_0"]
    all_of_them = recalibrate(network, sorted_split, batch=64).params["batch_stats"]["BatchNorm_0"]
    spread = np.sqrt(all_of_them["var"])
    assert (np.abs(few["mean"] - all_of_them["mean"]) < 0.3 * spread).all()


def shared_statistics():
    """A network that uses one normalisation twice."""
    network = linen()[2]

    def twice(params, inputs):
        norm = params["norm"]
        for _ in range(2):
            inputs = jnp.tanh((inputs - norm["mean"]) * jax.lax.rsqrt(norm["var"] + 1e-5))
        return inputs.mean((1, 2))

    return Network(twice, {"norm": {"mean": jnp.zeros(3), "var": jnp.ones(3)}}, network.inputs, "twice")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"network": linen}, TypeError, "network is a function, expected a jaxevo.Network"),
        ({"network": build(0, 4, ("plain",))}, ValueError, "has no batch normalisation that stores statistics"),
        ({"network": shared_statistics()}, ValueError, "'norm/mean' of 'twice' is a statistic of several values"),
        ({"split": split(8).inputs}, TypeError, "expected a jaxevo.data.Split"),
        ({"split": Split(np.ones((4, 9, 9, 3), np.float32), np.zeros(4, int))}, ValueError, r"expected \[B, 8, 8, 3\]"),
        ({"batch": 1}, ValueError, "batch is 1, expected a whole number of at least 2"),
        ({"batch": 2.5}, ValueError, r"batch size is 2\.5"),
        ({"examples": 1}, ValueError, "examples is 1"),
        ({"examples": 8.0}, ValueError, r"examples is 8\.0"),
    ],
)
def test_wrong_arguments_are_refused_by_name(change, error, message):
    arguments = {"network": linen()[2], "split": split(8), "batch": 4} | change
    network, examples = arguments.pop("network"), arguments.pop("split")
    with pytest.raises(error, match=f"recalibrate.*{message}"):
        recalibrate(network, examples, **arguments)
