"""The benchmark of sharing: four ways that agree, and the least work counted on its own."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from experiments.benchmarks.least import count, stitches
from experiments.benchmarks.sharing import _cover, _difference, figures, of_run
from experiments.benchmarks.ways import WAYS, Problem, Timing
from experiments.stitching.presets import PRESETS
from jaxevo import stitching
from jaxevo.evaluation.schedule import schedule
from tests.stitching.merging import examples, small

#: Images, and images at a time: three batches, the last one not full.
IMAGES, BATCH = 20, 8


@pytest.fixture(scope="module")
def merged():
    return small()


@pytest.fixture(scope="module")
def genomes(merged):
    drawn = stitching.switches(merged, probability=0.5).sample(jax.random.key(0), 8)
    return np.unique(np.asarray(jax.vmap(merged.graph.canonical)(drawn)), axis=0)


@pytest.fixture(scope="module")
def timings(merged, genomes):
    problem = Problem(merged, genomes, _cover(merged, genomes), examples(IMAGES), BATCH)
    return {name: way(problem) for name, way in WAYS.items()}


def test_all_four_ways_give_every_network_the_same_scores(timings, genomes):
    for timing in timings.values():
        assert timing.fitness.shape == (len(timing.which), 2)
    assert len(timings["shared"].fitness) == len(timings["per_network"].fitness) == len(genomes)
    assert np.isfinite(timings["shared"].fitness).all()
    assert _difference(timings) <= 1e-5


def test_sharing_runs_the_least_number_of_segments_and_the_others_run_all(timings, merged, genomes):
    work, adds = count(merged.graph, genomes)
    batches = -(-IMAGES // BATCH)
    assert timings["shared"].segments == work.least * batches
    assert timings["segments"].segments == timings["per_network"].segments == work.alone * batches
    assert timings["masked"].segments == len(genomes) * len(merged.graph.segments) * batches
    assert work.least < work.alone
    assert 0 < adds.least < adds.alone


def test_the_least_work_is_what_the_schedule_of_shared_evaluation_holds(merged, genomes):
    plans = [merged.graph.plan(genome) for genome in genomes]
    work, _ = count(merged.graph, genomes)
    assert (work.alone, work.least) == (sum(map(len, plans)), len(schedule(plans).units))
    assert count(merged.graph, [genomes[0], genomes[0]])[0].least == len(plans[0])


def test_stitches_are_counted_where_they_are_used(merged):
    genome = np.zeros(len(merged.graph.options), np.int32)
    assert stitches(merged.graph, genome) == 0
    genome[0] = 1
    assert stitches(merged.graph, genome) == 1
    # The output is the second network's now, which does not read the first one's switch.
    genome[-1] = 1
    assert stitches(merged.graph, genome) == 0


def test_figures_are_seconds_and_work_over_those_of_sharing(merged, genomes):
    timings = {
        name: Timing(1.0, seconds, 10**6, 1, np.arange(1), np.ones((1, 2)))
        for name, seconds in {"per_network": 9.0, "masked": 5.0, "segments": 3.0, "shared": 1.0}.items()
    }
    found = figures(timings, *count(merged.graph, genomes), merged, len(genomes), 4)
    assert found["ratios"] == {
        "per_network_over_shared": 5.0, "masked_over_shared": 3.0, "segments_over_shared": 2.0,
    }  # fmt: skip
    assert found["run_ratios"]["per_network_over_shared"] == 9.0
    assert found["runs"]["least"] == 4 * count(merged.graph, genomes)[0].least
    assert found["multiply_add_ratios"]["segments_over_shared"] > 1
    assert found["max_relative_difference"] == 0


@pytest.mark.parametrize(("scores", "expected"), [([0.5, 2.0], 0.0), ([0.5, 2.2], 0.1), ([np.nan, 2.0], np.nan)])
def test_the_largest_difference_is_relative_and_a_failure_by_one_way_alone_shows(scores, expected):
    timings = {
        "masked": Timing(1, 1, 1, 1, np.array([1]), np.array([scores])),
        "shared": Timing(1, 1, 1, 1, np.arange(2), np.array([[np.nan, 9.0], [0.5, 2.0]])),
    }
    np.testing.assert_allclose(_difference(timings), expected)


def test_the_pair_of_a_finished_run_comes_from_its_settings(tmp_path):
    with pytest.raises(SystemExit, match="holds no finished run"):
        of_run(tmp_path)
    settings = dataclasses.asdict(PRESETS["quick"])
    known = {**settings, "seed": 4, "preset": "quick", "data_fingerprint": "0"}
    (tmp_path / "settings.json").write_text(json.dumps(known))
    (tmp_path / "result.json").write_text("{}")
    pair = of_run(tmp_path)
    assert json.loads(json.dumps(dataclasses.asdict(pair.settings))) == json.loads(json.dumps(settings))
    assert (pair.seed, pair.path) == (4, tmp_path)
