"""What the front of pruned heads agrees on is counted and drawn."""

import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.pruning.explaining import explain
from experiments.pruning.presets import PRESETS
from jaxevo import pruning, trace
from jaxevo.data import Split
from jaxevo.network import Member
from tests.networks import build, pictures


@pytest.mark.parametrize("prune", ["features", "hidden"])
def test_the_most_frequent_units_are_counted_and_drawn(prune, tmp_path):
    whole = build(0, 8, ("plain", "plain"))
    backbone, _ = pruning.split(whole, next(cut for cut in trace(whole).cuts if cut.feature.kind == "vector"))
    settings = dataclasses.replace(PRESETS["quick"], hidden=(6,), prune=prune)
    head = pruning.head(8, ("a", "b", "c"), settings.hidden)
    space = pruning.neurons(head, prune)
    genomes = np.asarray(space.sample(jax.random.key(0), 5)).copy()
    genomes[:, 1] = True
    params, state = head.init(jax.random.key(1))
    stacked = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (5, *leaf.shape)), params)
    front = types.SimpleNamespace(genomes=Member(genomes, stacked, state, ()), fitness=np.ones((5, 3)))
    outcome = types.SimpleNamespace(
        backbone=backbone, space=space, searches={"nsga2": types.SimpleNamespace(front=front)}
    )
    known = types.SimpleNamespace(test=Split(pictures(3, 12), np.zeros(12, np.int32)), classes=("a", "b", "c"))
    found = explain(settings, types.SimpleNamespace(known=known), outcome, tmp_path)
    assert len(found["units"]) == 4
    assert found["frequency"][found["units"].index(1)] == 1
    assert sorted(found["frequency"], reverse=True) == found["frequency"]
    assert (tmp_path / "units.png").stat().st_size > 1000
