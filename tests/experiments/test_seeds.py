"""What is said of several seeds, and settings that come back from the JSON of a run."""

import dataclasses
import json

import numpy as np
import pytest
from scipy import stats

from experiments.stitching.presets import PRESETS, settings_of
from experiments.stitching.seeds import summary
from tests.experiments import tiny


def entry(name, parents, dominates=()):
    return {"name": name, "valid": 0.8, "test": 0.7, "macs": 10, "stitches": len(parents) - 1, "parents": parents,
            "dominates": list(dominates)}  # fmt: skip


def result(seed, evolved, random):
    front = [entry("a[0]", ["a"]), entry("a[0]>b[1]", ["a", "b"], ["b"] if seed else [])]
    return {
        "seed": seed,
        "parents": [entry("a[0-1]", ["a"]), entry("b[0-1]", ["b"])],
        "front": front,
        "fronts": {"nsga2": front, "random search": front},
        "retrained": None,
        "hypervolume": {"parents": 0.1, "nsga2": evolved, "random search": random, "reference": {}},
        "searches": {"nsga2": {"distinct_evaluations": 7}},
    }


def test_the_summary_counts_and_measures_differences():
    found = summary([result(0, 0.12, 0.11), result(1, 0.14, 0.15), result(2, 0.13, 0.12)])
    assert found["dominating"] == 2
    assert [row["stitched"] for row in found["rows"]] == [1, 1, 1]
    random = found["differences"]["nsga2 - random search"]
    assert (random["better"], random["of"]) == (2, 3)
    values = [0.01, -0.01, 0.01]
    assert np.isclose(random["mean"], np.mean(values))
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert np.allclose([random["low"], random["high"]], [low, high])
    assert found["differences"]["nsga2 - parents"]["better"] == 3


def test_what_was_retrained_is_compared_with_what_was_retrained():
    seeds = [result(seed, 0.12, 0.11) for seed in (1, 2)]
    for seed, volume in zip(seeds, (0.14, 0.16), strict=True):
        seed["retrained"] = {"parents": seed["parents"], "front": seed["front"]}
        seed["hypervolume"] |= {"parents, retrained too": 0.11, "front, retrained too": volume}
    found = summary(seeds)
    assert found["dominating_retrained"] == 2
    differences = found["differences"]
    assert list(differences) == [
        "nsga2 - parents",
        "nsga2 - random search",
        "front, retrained too - parents, retrained too",
    ]
    assert np.isclose(differences["front, retrained too - parents, retrained too"]["mean"], 0.04)


def test_one_seed_has_no_interval():
    assert summary([result(0, 0.12, 0.11)])["differences"]["nsga2 - parents"]["low"] is None


@pytest.mark.smoke
@pytest.mark.parametrize("settings", [*PRESETS.values(), tiny.SETTINGS], ids=[*PRESETS, "tiny"])
def test_settings_come_back_from_json(settings):
    known = json.loads(json.dumps({**dataclasses.asdict(settings), "seed": 3}))
    back = settings_of(known)
    assert json.dumps(dataclasses.asdict(back)) == json.dumps(dataclasses.asdict(settings))
    assert type(back.search) is type(settings.search)
    assert back.parents[0].family == settings.parents[0].family
