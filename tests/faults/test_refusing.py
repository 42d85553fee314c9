"""A checkpoint is taken up by the run that it is of: other data, networks and versions are refused with both values."""

import importlib.metadata

import jax
import numpy as np
import pytest

from jaxevo import evaluation, search, subspace
from jaxevo.data import Split
from tests.subspace.parents import dense

RNG = np.random.default_rng(0)
VALID = Split(RNG.normal(size=(10, 8, 8, 3)).astype(np.float32), RNG.integers(0, 3, 10).astype(np.int32))
OTHER = Split(VALID.inputs, (VALID.labels + 1) % 3)


def space(parent=None):
    return subspace.partition(parent or dense(), 2, 0.1, granularity="layer")


def identity(kind, split=VALID, batch=4):
    return kind(space(), split, [evaluation.accuracy], batch=batch).identity


@pytest.mark.parametrize("kind", [evaluation.population, evaluation.shared])
def test_an_evaluation_knows_its_examples_whatever_their_batches(kind):
    assert identity(kind) == identity(kind, batch=3)
    assert identity(kind) != identity(kind, OTHER)


@pytest.fixture(scope="module")
def go(tmp_path_factory):
    path = tmp_path_factory.mktemp("refusing") / "run"

    def run(split=VALID, where=None, generations=1):
        where = where or space()
        strategy = search.truncation(where, 4, 2)
        evaluate = evaluation.population(where, split, [evaluation.accuracy], batch=10)
        return search.run(jax.random.key(0), strategy, evaluate, generations, checkpoint=path, progress=False)

    run()
    return run


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda patch: {"split": OTHER}, r"evaluation examples is '\w+' there and '\w+' here"),
        (lambda patch: {"where": space(parent=dense((192, 16, 3)))}, r"parameters is '\w+' there and '\w+' here"),
        (
            lambda patch: patch.setattr(importlib.metadata, "version", lambda name: "9.9") or {},
            r"jaxevo is '[\d.]+' there and '9.9' here",
        ),
    ],
)
def test_another_run_is_refused_with_both_values(go, monkeypatch, change, message):
    with pytest.raises(ValueError, match=f"is of another run: .*({message}).*; name another folder"):
        go(**change(monkeypatch))


def test_the_same_run_is_not(go):
    assert len(go(generations=2).history) == 2
