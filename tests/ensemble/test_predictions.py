"""What networks say is gathered one after another."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxevo.data import Split
from jaxevo.ensemble import predict
from tests.ensemble.said import network

INPUTS = np.random.default_rng(0).normal(size=(11, 5)).astype(np.float32)
SPLIT = Split(INPUTS, np.zeros(11, np.int32))


@pytest.mark.parametrize("batch", [4, 11, 256])
def test_it_is_what_each_network_votes_with_whatever_the_batch(batch):
    members = [network(0), network(1, output="probabilities"), network(2)]
    made = []

    def one_by_one():
        for member in members:
            made.append(member.name)
            yield member

    said = predict(one_by_one(), SPLIT, batch)
    assert made == ["net0", "net1", "net2"]
    want = np.stack([jax.nn.softmax(INPUTS @ member.params["w"]) for member in members])
    np.testing.assert_allclose(said, want, rtol=1e-5)
    assert said.dtype == np.float32


def test_values_are_given_as_they_are():
    values = network(0, output="values")
    np.testing.assert_allclose(predict([values], SPLIT)[0], INPUTS @ values.params["w"], rtol=1e-5)


def test_networks_of_one_function_share_its_program():
    traces = []

    def apply(params, inputs):
        traces.append(1)
        return inputs @ params["w"]

    predict([dataclasses.replace(network(seed), apply=apply) for seed in range(4)], SPLIT, 4)
    assert len(traces) == 1


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: predict([], SPLIT), ValueError, "predict: networks is empty"),
        (lambda: predict(network(0), SPLIT), TypeError, r"predict: networks is .*write \[network\]"),
        (lambda: predict(["net"], SPLIT), TypeError, "predict: networks holds 'net'"),
        (lambda: predict([network(0)], INPUTS), TypeError, "split is a ndarray"),
        (lambda: predict([network(0)], SPLIT, 0), ValueError, "batch size is 0"),
        (lambda: predict([network(0)], Split(INPUTS[:, :3], SPLIT.labels)), ValueError, "predict of 'net0'"),
    ],
)
def test_wrong_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
