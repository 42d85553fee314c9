"""Shared evaluation runs each distinct piece of work once, remembers networks, and frees features."""

import collections
import dataclasses
import gc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo import evaluation, stitching
from jaxevo.data import Split
from jaxevo.evaluation import memory
from jaxevo.evaluation.schedule import peak_bytes, schedule
from jaxevo.space import INPUTS, Segment, Step, Work
from tests.evaluation.masks import masks
from tests.stitching.merging import examples, small

METRICS = [evaluation.accuracy, -evaluation.nll]


@pytest.fixture(scope="module")
def merged():
    return small(fitted=False)


@pytest.fixture(scope="module")
def space(merged):
    return stitching.switches(merged, probability=0.4)


@pytest.fixture(scope="module")
def genomes(space):
    return space.sample(jax.random.key(0), 12)


@pytest.fixture(scope="module")
def evaluated(space, genomes):
    """An evaluation after its first population, and the fitness that it gave."""
    evaluate = evaluation.shared(space, examples(20), METRICS, batch=8)
    return evaluate, evaluate(None, space.params, genomes)[1]


def work_of(genome, pairs):
    """Every piece of work of a genome with all choices upstream of it, read from the genes alone.

    Two genes for each pair, the switch of the first parent and that of the second, then the output's.
    """
    found = set()

    def note(*work):
        found.add(work)
        return work

    def piece(side, index):
        if index == 0:
            return note("piece", side, 0)
        if genome[2 * (index - 1) + side]:
            return note("piece", side, index, note("stitch", index - 1, piece(1 - side, index - 1)))
        return note("piece", side, index, piece(side, index - 1))

    if genome[-1] < 2:
        piece(int(genome[-1]), pairs)
    else:
        note("vote", piece(0, pairs), piece(1, pairs))
    return found


def uses_parameters_of(work, side):
    return any(w[0] == "piece" and w[1] == side for w in work)


def test_segments_run_the_least_possible_number_of_times(merged, evaluated, genomes):
    evaluate, _ = evaluated
    least = set().union(*(work_of(genome, len(merged.pairs)) for genome in np.asarray(genomes)))
    alone = sum(len(work_of(genome, len(merged.pairs))) for genome in np.unique(np.asarray(genomes), axis=0))
    batches = 3  # 20 examples, 8 at a time
    assert evaluate.report()["segment_runs"] == len(least) * batches < alone * batches


def test_networks_scored_before_and_genes_that_change_nothing_run_nothing(merged, space, genomes):
    evaluate = evaluation.shared(space, examples(20), METRICS, batch=8)
    genomes = np.asarray(genomes)
    _, fitness = evaluate(None, space.params, genomes)
    before = evaluate.report()
    used = np.asarray(jax.vmap(merged.graph.used_genes)(genomes))
    assert not used.all()
    twins = np.where(used, genomes, (genomes + 1) % merged.graph.options).astype(genomes.dtype)
    assert np.array_equal(evaluate(None, space.params, genomes)[1], fitness)
    assert np.array_equal(evaluate(None, space.params, twins)[1], fitness)
    distinct = len({frozenset(work_of(genome, len(merged.pairs))) for genome in genomes})
    assert before == {
        "evaluations": 12,
        "distinct_evaluations": distinct,
        "segment_runs": before["segment_runs"],
        "examples": 20,
    }
    assert evaluate.report() == {**before, "evaluations": 36}


def test_the_peak_of_a_small_schedule_is_the_one_counted_by_hand():
    # Segment k makes k bytes of the 1 byte of inputs. Two networks: 1 -> 5 -> 2 and 1 -> 3.
    plans = [
        (Step(1, (), (INPUTS,)), Step(5, (), (0,)), Step(2, (), (1,))),
        (Step(1, (), (INPUTS,)), Step(3, (), (0,))),
    ]

    def shape(unit, reads):
        assert len(reads) == len(unit.reads)
        return jax.ShapeDtypeStruct((unit.segment,), np.int8)

    plan = schedule(plans)
    assert [unit.segment for unit in plan.units] == [1, 5, 2, 3]
    assert plan.outputs == (2, 3)
    assert plan.frees == ((), (), (1, 2), (0, 3))
    # Inputs 1, the shared feature 1, then 5 and 2 beside them; 5 and 2 are gone when 3 is made.
    assert peak_bytes(plan, shape, jax.ShapeDtypeStruct((1,), np.int8)) == 1 + 1 + 5 + 2


def test_the_features_alive_at_once_are_far_less_than_all_of_them(merged, space):
    genomes = np.asarray(space.sample(jax.random.key(5), 48))
    plan = schedule([merged.graph.plan(genome) for genome in genomes])
    made = []

    def shape(unit, reads):
        segment = merged.graph.segments[unit.segment]
        made.append(jax.eval_shape(segment.apply, segment.select(space.params), unit.variant, *reads))
        return made[-1]

    peak = peak_bytes(plan, shape, jax.ShapeDtypeStruct((8, 8, 8, 3), jnp.float32))
    assert peak < 0.2 * memory.tree_bytes(made)
    assert sorted(unit for freed in plan.frees for unit in freed) == list(range(len(plan.units)))


def test_no_feature_is_alive_after_an_evaluation(evaluated, space):
    evaluate, _ = evaluated
    evaluate(None, space.params, space.sample(jax.random.key(9), 2))
    gc.collect()
    alive = collections.Counter(array.shape for array in jax.live_arrays())
    assert not [shape for shape in alive if len(shape) == 4 and shape[0] == 8 and shape[-1] in (4, 8)]


def test_an_archive_is_taken_over_by_another_evaluation(evaluated, space, genomes):
    evaluate, fitness = evaluated
    other = evaluation.shared(space, examples(20), METRICS, batch=8)
    empty = other.memory
    assert len(jax.tree.leaves(empty["genomes"])[0]) == 0
    other.restore(jax.tree.map(np.array, evaluate.memory))
    assert np.array_equal(other(None, space.params, genomes)[1], fitness)
    assert other.report()["segment_runs"] == evaluate.report()["segment_runs"]
    other.restore(empty)
    assert set(other.report().values()) == {0, 20}
    assert np.array_equal(other(None, space.params, genomes[:1])[1], fitness[:1])
    assert other.report()["distinct_evaluations"] == 1


def test_other_parameters_forget_what_was_scored(space, genomes):
    evaluate = evaluation.shared(space, examples(20), METRICS, batch=20)
    _, first = evaluate(None, space.params, genomes[:2])
    runs = evaluate.report()["segment_runs"]
    _, other = evaluate(None, jax.tree.map(lambda leaf: leaf * 1.5, space.params), genomes[:2])
    assert evaluate.report()["segment_runs"] == 2 * runs
    assert evaluate.report()["distinct_evaluations"] == len(np.unique(first, axis=0))
    assert not np.allclose(first[:, 1], other[:, 1])


@pytest.mark.smoke
def test_every_example_counts_once_whatever_the_batch(space, genomes):
    split, few = examples(20), np.asarray(genomes[:3])
    expected = []
    for genome in few:
        logits = np.asarray(space.decode(space.params, genome)(split.inputs), np.float64)
        chosen = logits[np.arange(20), split.labels] - np.log(np.exp(logits).sum(1))
        expected.append([np.mean(logits.argmax(1) == split.labels), chosen.mean()])
    for batch in (1, 7, 64):
        evaluate = evaluation.shared(space, split, METRICS, batch=batch)
        np.testing.assert_allclose(evaluate(None, space.params, few)[1], expected, rtol=1e-5)


def test_broken_parameters_of_one_parent_spoil_only_the_networks_that_use_them(merged, space, genomes):
    first, second = space.params["parents"]
    params = {**space.params, "parents": (first, jax.tree.map(lambda leaf: leaf * np.nan, second))}
    genomes = np.concatenate([np.asarray(genomes), stitching.unstitched(merged)])
    _, fitness = evaluation.shared(space, examples(8), METRICS)(None, params, genomes)
    spoiled = [uses_parameters_of(work_of(genome, len(merged.pairs)), 1) for genome in genomes]
    assert 0 < sum(spoiled) < len(spoiled)
    assert np.array_equal(np.isnan(fitness).all(1), spoiled)
    assert np.array_equal(np.isnan(fitness).any(1), spoiled)


def test_segments_are_compiled_once_for_all_generations(space):
    traced = collections.Counter()

    def counting(segment):
        def apply(leaves, variant, *features):
            traced[segment.name, tuple(f.shape for f in jax.tree.leaves(features))] += 1
            return segment.apply(leaves, variant, *features)

        return Segment(segment.name, apply, segment.select)

    work = Work(tuple(counting(segment) for segment in space.work.segments), space.work.plan)
    evaluate = evaluation.shared(dataclasses.replace(space, work=work), examples(20), METRICS, batch=8)
    parents = space.sample(jax.random.key(1), 16)
    evaluate(None, space.params, parents)
    after_one = dict(traced)
    children = space.vary(jax.random.key(2), parents, parents[::-1])
    evaluate(None, space.params, children)
    assert evaluate.report()["distinct_evaluations"] > 16
    # Once when memory is estimated, and what JAX then compiles is that trace or one more.
    assert max(traced.values()) <= 2
    assert {name: traced[name] for name in after_one} == after_one
    assert len(traced) <= len(space.work.segments)


def test_segments_run_without_transfers_to_or_from_the_host(space, genomes):
    evaluate = evaluation.shared(space, examples(20), METRICS, batch=8)
    plan = schedule([space.work.plan(genome) for genome in np.asarray(jax.vmap(space.canonical)(genomes[:4]))])
    run, guarded = evaluate._run, []

    def under_guard(*arguments):
        # Excluded: the plan, which is made on the host, and the scores, which come back to it once per network.
        with jax.transfer_guard("disallow"):
            run(*arguments)
        guarded.append(True)

    evaluate._run = under_guard
    evaluate(None, space.params, genomes[:4])
    assert len(guarded) == 3
    assert evaluate.report()["segment_runs"] == 3 * len(plan.units)


def test_convolutions_rewritten_for_the_platform_give_the_same_scores(space, genomes, evaluated):
    fitness = evaluation.shared(space, examples(20), METRICS, batch=8, accelerate=True)(None, space.params, genomes)[1]
    np.testing.assert_allclose(fitness, evaluated[1], rtol=1e-5)


def test_networks_can_compute_in_bfloat16(space, genomes, evaluated):
    _, fitness = evaluation.shared(space, examples(20), METRICS, dtype="bfloat16")(None, space.params, genomes[:4])
    assert fitness.dtype == np.float32
    np.testing.assert_allclose(fitness[:, 1], evaluated[1][:4, 1], rtol=0.1)


def test_the_memory_that_is_needed_is_said_before_anything_runs(space, genomes, monkeypatch):
    small_batch, large = (evaluation.shared(space, examples(20), METRICS, batch=batch) for batch in (1, 20))
    assert memory.tree_bytes(space.params) < small_batch.memory_bytes(genomes) < large.memory_bytes(genomes)
    monkeypatch.setattr(memory, "available_bytes", lambda device: 1000)
    with pytest.raises(ValueError, match=r"shared: expects to need .* GiB .* lower batch"):
        large(None, space.params, genomes)
    assert large.report()["segment_runs"] == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda g: np.where(np.arange(11) < 10, g, 7), "gene 10 of the genome is 7, expected 0 to 2"),
        (lambda g: {"genes": g}, "genomes have structure"),
        (lambda g: g[0], r"genomes hold an array \[11\], expected \[n, 11\]"),
        (lambda g: g[:, :3], r"genomes hold an array \[12, 3\], expected \[n, 11\]"),
        (lambda g: g[:0], r"genomes hold arrays of \[0\] rows.*at least 1"),
        (lambda g: g.astype(np.float32), "genomes hold float32, expected int32"),
        (lambda g: None, "genomes have structure"),
    ],
)
def test_genomes_that_do_not_fit_the_space_are_refused(evaluated, space, genomes, wrong, message):
    with pytest.raises(ValueError, match=message):
        evaluated[0](None, space.params, wrong(np.asarray(genomes)))


def test_parameters_of_another_shape_are_refused(evaluated, space, genomes):
    with pytest.raises(ValueError, match="params have structure"):
        evaluated[0](None, space.params["parents"], genomes)
    with pytest.raises(ValueError, match=r"params hold an array \[2, .*expected \["):
        evaluated[0](None, jax.tree.map(lambda leaf: jnp.stack([leaf] * 2), space.params), genomes)


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"space": "switches"}, TypeError, "space is 'switches', expected a jaxevo Space"),
        (
            {"space": dataclasses.replace(masks(), work=None)},
            ValueError,
            "does not divide into segments; use evaluation.population",
        ),
        ({"split": np.ones(3)}, TypeError, "split is ndarray, expected inputs and labels"),
        (
            {"split": Split(np.ones((4, 9, 9, 3), np.float32), np.zeros(4, int))},
            ValueError,
            r"\[4, 9, 9, 3\], expected",
        ),
        ({"split": Split(np.ones((4, 8, 8, 3), np.float32), np.zeros(3, int))}, ValueError, r"labels have shape \[3\]"),
        ({"split": Split(np.ones((4, 8, 8, 3), np.float32), np.full(4, 3))}, ValueError, r"lie in \[3, 3\].*3 classes"),
        ({"metrics": [evaluation.nll]}, ValueError, "write -nll"),
        ({"metrics": []}, ValueError, "metrics"),
        ({"metrics": ["accuracy"]}, TypeError, "metrics holds 'accuracy', expected a Metric"),
        ({"batch": 0}, ValueError, "batch is 0"),
        ({"batch": 2.5}, ValueError, r"batch is 2\.5"),
        ({"mesh": "all"}, TypeError, "mesh is 'all'"),
        ({"dtype": "bfloat"}, ValueError, "dtype is 'bfloat', expected 'float32' or 'bfloat16'"),
    ],
)
def test_wrong_arguments_are_refused_by_name(space, change, error, message):
    arguments = {"space": space, "split": examples(8), "metrics": METRICS} | change
    with pytest.raises(error, match=message):
        evaluation.shared(**arguments)


def test_an_archive_of_another_space_is_refused(evaluated):
    with pytest.raises(ValueError, match=r"memory.* given to restore"):
        evaluated[0].restore(
            {"genomes": np.zeros((1, 3), np.int32), "fitness": np.zeros((1, 2)), "counts": np.zeros(2)}
        )
    with pytest.raises(ValueError, match=r"memory.* given to restore"):
        evaluated[0].restore({"fitness": np.zeros((1, 2))})
