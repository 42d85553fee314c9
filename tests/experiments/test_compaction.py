"""The benchmark of pruning measures what it says."""

import jax
import pytest

from experiments import zoo
from experiments.benchmarks import pruning


def test_a_network_and_its_half_are_timed_on_the_same_work():
    network = zoo.random_network(
        jax.random.key(0), "resnet", (8, 8, 1), 10, widths=(32, 64), depths=(1, 1), strides=(1, 2)
    )
    found = pruning.measure(network, batch=2, repeats=1)
    assert found["multiply_adds"]["half"] <= 0.5 * found["multiply_adds"]["original"]
    assert set(found["original_over_half"]) == {"replay", "xla"}
    seconds = found["seconds"]
    assert found["original_over_half"]["replay"] == seconds["original_replay"] / seconds["half_replay"]
    assert found["difference"] <= 1e-5
    assert 0 < found["active_share"] < 1


def test_networks_that_need_packages_say_which(monkeypatch):
    monkeypatch.setattr(pruning.pretrained, "missing", lambda name: ["torch"])
    with pytest.raises(SystemExit, match="efficientnet-lite0 needs torch; install with: pip install torch"):
        pruning.load("efficientnet-lite0")
