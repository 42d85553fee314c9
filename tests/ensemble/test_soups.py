"""Averages of weights are what they say, and the greedy one takes in only what helps."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo import evaluation
from jaxevo.data import Split
from jaxevo.ensemble import average, greedy_average
from jaxevo.network import Network
from tests.ensemble.said import SPEC, logits, network

TRUTH = network(0).params["w"]
INPUTS = np.random.default_rng(1).normal(size=(300, 5)).astype(np.float32)
VALID = Split(INPUTS, np.asarray(jnp.argmax(INPUTS @ TRUTH, axis=1), np.int32))


def near(seed, distance):
    """A network some way from the truth."""
    noise = jax.random.normal(jax.random.key(seed), TRUTH.shape)
    return dataclasses.replace(network(seed), params={"w": TRUTH + distance * noise})


@pytest.mark.smoke
def test_a_uniform_average_is_the_mean_of_parameters_one_network_at_a_time():
    members = [network(seed) for seed in range(5)]
    mixed = average(member for member in members)
    np.testing.assert_allclose(mixed.params["w"], np.mean([m.params["w"] for m in members], axis=0), rtol=1e-5)
    assert (mixed.name, mixed.classes) == ("average of 5", ("a", "b", "c"))
    assert (average(members[:1]).params["w"] == members[0].params["w"]).all()


def test_half_precision_is_added_up_in_single_and_given_back_in_half():
    half = [dataclasses.replace(n, params={"w": n.params["w"].astype(jnp.bfloat16)}) for n in map(network, range(64))]
    mixed = average(half).params["w"]
    assert mixed.dtype == jnp.bfloat16
    want = np.mean([np.asarray(member.params["w"], np.float32) for member in half], axis=0)
    np.testing.assert_allclose(np.asarray(mixed, np.float32), want, atol=2e-3)


def greedy_by_hand(members, score):
    """Recipe 1 of the paper, word by word."""
    order = sorted(range(len(members)), key=lambda index: -score([members[index]]))
    ingredients = []
    for index in order:
        if not ingredients or score([members[i] for i in [*ingredients, index]]) >= score(
            [members[i] for i in ingredients]
        ):
            ingredients.append(index)
    return ingredients


@pytest.mark.parametrize("metric", [evaluation.accuracy, -evaluation.nll])
def test_a_greedy_average_follows_the_recipe_and_beats_every_member(metric):
    members = [near(seed, 0.4 + 0.15 * seed) for seed in range(1, 7)]

    def score(chosen):
        said = INPUTS @ np.mean([member.params["w"] for member in chosen], axis=0)
        log_p = said - np.log(np.exp(said).sum(1, keepdims=True))
        right = said.argmax(1) == VALID.labels
        return right.mean() if metric.name == "accuracy" else log_p[np.arange(300), VALID.labels].mean()

    soup = greedy_average(members, VALID, metric, batch=128)
    assert soup.chosen.tolist() == greedy_by_hand(members, score)
    np.testing.assert_allclose(soup.scores, [score([member]) for member in members], rtol=1e-5)
    np.testing.assert_allclose(soup.score, score([members[index] for index in soup.chosen]), rtol=1e-5)
    assert soup.score >= soup.scores.max()
    assert 1 < len(soup.chosen) < 6


def test_networks_may_be_made_when_they_are_asked_for_and_a_broken_one_is_never_taken():
    asked = []

    class Lazy:
        def __len__(self):
            return 3

        def __getitem__(self, index):
            asked.append(index)
            broken = dataclasses.replace(network(9), params={"w": jnp.full((5, 3), jnp.nan)})
            return broken if index == 0 else near(index, 0.2)

    soup = greedy_average(Lazy(), VALID, evaluation.accuracy)
    assert 0 not in soup.chosen
    assert np.isnan(soup.scores[0])
    assert sorted(asked) == [0, 1, 1, 2, 2]
    with pytest.raises(ValueError, match="no network has a finite accuracy"):
        greedy_average([Lazy()[0]], VALID, evaluation.accuracy)


def squashed(params, inputs):
    return jnp.tanh(logits(params, inputs))


def counted(count):
    return Network(lambda p, x: x @ p["w"] + p["n"], {"w": TRUTH, "n": jnp.int32(count)}, SPEC)


def test_equal_functions_that_were_made_apart_are_one_architecture():
    apart = [dataclasses.replace(net, apply=lambda p, x: x @ p["w"]) for net in map(network, range(2))]
    assert average([network(2), *apart]).params["w"].shape == (5, 3)
    assert int(average([counted(3), counted(3)]).params["n"]) == 3


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: average([]), ValueError, "average: networks is empty"),
        (lambda: average(network(0)), TypeError, "average: networks is"),
        (lambda: average([network(0), 3]), TypeError, "average: networks holds 3"),
        (lambda: average([network(0), network(1, width=4, classes=None)]), ValueError, "differ in shape of output"),
        (
            lambda: average([network(0), dataclasses.replace(network(1), apply=squashed)]),
            ValueError,
            "'net0' and 'net1' differ in what they compute.*can vote",
        ),
        (
            lambda: average(
                [network(0), dataclasses.replace(network(1), params={"v": TRUTH}, apply=lambda p, x: x @ p["v"])]
            ),
            ValueError,
            "differ in names, shapes or dtypes of parameters",
        ),
        (
            lambda: average([counted(1), counted(2)]),
            ValueError,
            r"params\['n'\], which is int32 and cannot be averaged",
        ),
        (lambda: greedy_average([], VALID, evaluation.accuracy), ValueError, r"len\(networks\) is 0"),
        (lambda: greedy_average([network(0)], VALID, evaluation.nll), ValueError, "write -nll"),
        (lambda: greedy_average([network(0)], VALID, -evaluation.parameters), ValueError, "looks at genomes"),
        (lambda: greedy_average(network(0), VALID, evaluation.accuracy), TypeError, "greedy_average: networks is"),
    ],
)
def test_what_is_no_set_of_networks_of_one_architecture_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("labels", "message"),
    [(VALID.labels[:, None], r"expected whole numbers \[N\]"), (VALID.labels + 1, r"lie in \[1, 3\]")],
)
def test_labels_that_do_not_fit_are_refused(labels, message):
    with pytest.raises(ValueError, match=f"greedy_average: split.labels .*{message}"):
        greedy_average([network(0)], Split(INPUTS, labels), evaluation.accuracy)
