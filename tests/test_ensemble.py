"""Votes are means of probabilities, and greedy selection does what a brute force does."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo.ensemble import greedy, vote
from jaxevo.network import Convention, Network

SPEC = jax.ShapeDtypeStruct((5,), jnp.float32)


def network(seed, output="logits", classes=("a", "b", "c"), width=3):
    weights = jax.random.normal(jax.random.key(seed), (5, width))

    def apply(params, inputs):
        logits = inputs @ params["w"]
        return jax.nn.softmax(logits) if output == "probabilities" else logits

    return Network(apply, {"w": weights}, SPEC, name=f"net{seed}", output=output, classes=classes)


def images(n=9):
    return jax.random.normal(jax.random.key(7), (n, 5))


@pytest.mark.smoke
def test_a_vote_is_the_mean_of_probabilities_whatever_members_give():
    members = [network(0), network(1, output="probabilities"), network(2, classes=None)]
    voted = vote(members)
    want = np.mean([jax.nn.softmax(images() @ member.params["w"]) for member in members], axis=0)
    np.testing.assert_allclose(voted(images()), want, rtol=1e-6)
    assert voted.output == "probabilities"
    assert voted.classes == ("a", "b", "c")
    assert voted.params == tuple(member.params for member in members)
    assert voted.name == "net0 + net1 + net2"


def test_weights_are_scaled_and_a_vote_of_one_is_that_network():
    members = [network(0), network(1)]
    first = jax.nn.softmax(members[0](images()))
    np.testing.assert_allclose(vote(members[:1])(images()), first, rtol=1e-6)
    np.testing.assert_allclose(vote(members, weights=[5, 0])(images()), first, rtol=1e-6)
    np.testing.assert_allclose(vote(members, weights=[2, 2])(images()), vote(members)(images()), rtol=1e-6)


def test_votes_nest_and_values_are_averaged_as_they_are():
    members = [network(seed) for seed in range(4)]
    nested = vote([vote(members[:2]), vote(members[2:])])
    np.testing.assert_allclose(nested(images()), vote(members)(images()), rtol=1e-5)
    values = [network(seed, output="values") for seed in range(2)]
    want = (values[0](images()) + values[1](images())) / 2
    np.testing.assert_allclose(vote(values)(images()), want, rtol=1e-5)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (network(1, classes=("a", "b", "d")), "different classes"),
        (network(1, width=4, classes=None), r"shape of output: \(3,\) and \(4,\)"),
        (network(1, output="values"), "kind of output"),
        (dataclasses.replace(network(1), convention=Convention("CHW")), "convention"),
        (dataclasses.replace(network(1), inputs=jax.ShapeDtypeStruct((6,), jnp.float32)), "inputs"),
    ],
)
def test_networks_that_answer_different_questions_are_refused(other, message):
    with pytest.raises(ValueError, match=f"vote: networks 'net0' and 'net1'.*{message}"):
        vote([network(0), other])


@pytest.mark.parametrize("weights", [[1], [1, -1], [0, 0], [np.nan, 1]])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ValueError, match="vote: weights are"):
        vote([network(0), network(1)], weights=weights)


def test_what_is_no_list_of_networks_is_refused():
    with pytest.raises(ValueError, match="networks is empty"):
        vote([])
    with pytest.raises(TypeError, match="expected a list of jaxevo Networks"):
        vote([network(0), "net1"])


def candidates(members=6, n=40, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=n)
    logits = rng.normal(size=(members, n, classes)) + 0.8 * np.eye(classes)[labels]
    odds = np.exp(logits)
    return odds / odds.sum(-1, keepdims=True), labels


def brute_force(probabilities, labels, size, metric):
    chosen = []
    for _ in range(size):
        scores = []
        for member in range(len(probabilities)):
            mean = np.mean(probabilities[[*chosen, member]], axis=0)
            right = mean.argmax(1) == labels
            scores.append(np.mean(right) if metric == "accuracy" else np.mean(np.log(mean[range(len(labels)), labels])))
        chosen.append(int(np.argmax(scores)))
    return chosen


@pytest.mark.smoke
@pytest.mark.parametrize("metric", ["nll", "accuracy"])
@pytest.mark.parametrize("seed", range(3))
def test_greedy_equals_a_brute_force(metric, seed):
    probabilities, labels = candidates(seed=seed)
    assert greedy(probabilities, labels, 10, metric).tolist() == brute_force(probabilities, labels, 10, metric)


def test_an_ensemble_may_take_a_member_twice_and_never_one_that_is_not_finite():
    probabilities, labels = candidates()
    probabilities[0] = np.eye(4)[labels]
    assert greedy(probabilities, labels, 3, "nll").tolist() == [0, 0, 0]
    probabilities[0, 3, 1] = np.nan
    assert 0 not in greedy(probabilities, labels, 8)
    with pytest.raises(ValueError, match="no candidate that is finite"):
        greedy(np.full_like(probabilities, np.nan), labels, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probabilities": np.ones((3, 4))}, r"shape \[3, 4\], expected \[M, N, ..., C\]"),
        ({"probabilities": np.full((6, 40, 4), 2.0)}, "softmax first"),
        ({"labels": np.zeros(39, int)}, r"expected whole numbers \[40\]"),
        ({"labels": np.full(40, 4)}, "expected 0 to 3"),
        ({"size": 0}, "size is 0"),
        ({"metric": "acuracy"}, "metric is 'acuracy'"),
    ],
)
def test_greedy_refuses_wrong_arguments_by_name(change, message):
    probabilities, labels = candidates()
    arguments = {"probabilities": probabilities, "labels": labels, "size": 2} | change
    with pytest.raises(ValueError, match=f"greedy: .*{message}"):
        greedy(**arguments)


@pytest.mark.parametrize("metric", ["nll", "accuracy"])
def test_greedy_on_maps_chooses_as_on_their_positions_that_count(metric):
    rng = np.random.default_rng(3)
    said = np.asarray(jax.nn.softmax(rng.normal(size=(6, 5, 3, 2, 4)) * 3))
    labels = rng.integers(-1, 4, size=(5, 3, 2))
    counts = labels >= 0
    assert (greedy(said, labels, 4, metric) == greedy(said[:, counts], labels[counts], 4, metric)).all()


def test_greedy_refuses_maps_that_do_not_fit():
    said = np.full((2, 5, 3, 4), 0.25)
    with pytest.raises(ValueError, match=r"expected whole numbers \[5, 3\]"):
        greedy(said, np.zeros(5, int), 1)
    with pytest.raises(ValueError, match=r"lie in \[-1, -1\], expected 0 to 3, or -1"):
        greedy(said, np.full((5, 3), -1), 1)


def test_a_vote_of_maps_is_the_mean_of_probabilities_at_each_position():
    members = [network(seed) for seed in range(2)]
    spread = jax.ShapeDtypeStruct((2, 3, 5), jnp.float32)
    maps = [dataclasses.replace(member, inputs=spread) for member in members]
    pictures = jax.random.normal(jax.random.key(8), (4, 2, 3, 5))
    want = vote(members)(pictures.reshape(-1, 5)).reshape(4, 2, 3, 3)
    np.testing.assert_allclose(vote(maps)(pictures), want, rtol=1e-5)
