"""Votes are means of what members answer."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo.ensemble import vote
from jaxevo.network import Convention
from tests.ensemble.said import network


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


def test_a_vote_of_maps_is_the_mean_of_probabilities_at_each_position():
    members = [network(seed) for seed in range(2)]
    spread = jax.ShapeDtypeStruct((2, 3, 5), jnp.float32)
    maps = [dataclasses.replace(member, inputs=spread) for member in members]
    pictures = jax.random.normal(jax.random.key(8), (4, 2, 3, 5))
    want = vote(members)(pictures.reshape(-1, 5)).reshape(4, 2, 3, 3)
    np.testing.assert_allclose(vote(maps)(pictures), want, rtol=1e-5)
