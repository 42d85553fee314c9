import json
import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxevo import checkpoint, search, stopping
from tests.search import spheres, toys

KEY = jax.random.key(0)


def go(strategy=None, evaluate=None, generations=4, key=KEY, **settings):
    settings = {"progress": False} | settings
    return search.run(
        key, strategy or search.nsga2(toys.space(), 8), evaluate or toys.evaluate, generations, **settings
    )


def assert_same_results(a, b):
    toys.assert_same_bits(a.state, b.state)
    toys.assert_same_bits((a.front, a.best), (b.front, b.best))
    assert (a.history, a.objectives) == (b.history, b.objectives)


STRATEGIES = [
    lambda: search.nsga2(toys.space(), 8),
    lambda: search.nsga2(toys.space(), 8, offspring=2),
    lambda: search.truncation(toys.space(), 8, objectives=2),
    lambda: search.random_search(toys.space(), 8, total=44),
]


def test_the_result_is_sorted_and_says_what_happened():
    seen = []
    result = go(evaluate=toys.Remembering(), callback=lambda entry, state: seen.append((entry, state)))
    assert result.objectives == ("weight", "-count")
    assert (np.diff(result.front.fitness[:, 0]) <= 0).all()
    assert result.front.fitness[0, 0] == result.population.fitness[:, 0].max()
    np.testing.assert_array_equal(result.best["bits"], result.front.genomes["bits"][0])
    assert [entry["generation"] for entry in result.history] == [1, 2, 3, 4]
    assert [entry["evaluations"] for entry in result.history] == [8, 16, 24, 32]
    assert [entry["remembered"] for entry in result.history] == [8, 16, 24, 32]
    assert result.history[-1]["best"]["weight"] == result.front.fitness[0, 0]
    assert result.history[-1]["front"] == len(result.front.fitness)
    assert [entry for entry, _ in seen] == list(result.history)
    toys.assert_same_bits(seen[-1][1], result.state)


def test_nothing_wins_where_everything_fails():
    result = go(evaluate=lambda key, params, genomes: (genomes, np.full((8, 1), np.nan)))
    assert result.best is None
    assert len(result.front.fitness) == 0
    assert result.history[-1]["best"] == {"objective 1": None}


def test_other_keys_give_other_searches():
    assert go().history != go(key=jax.random.key(1)).history


GOMEAS = [
    lambda: search.gomea(toys.genes_space(), 8),
    lambda: search.gomea(toys.genes_space(), 8, linkage="kernels"),
]


@pytest.mark.parametrize("make", GOMEAS)
def test_a_continued_gomea_ends_with_the_same_bits_whatever_step_it_was_killed_at(tmp_path, make):
    expected = go(make(), toys.Counting(), 40)
    assert expected.state.rounds > 2
    for generations in (1, 2, 3, 17, 18, 40):
        result = go(make(), toys.Counting(), generations, checkpoint=tmp_path / "run", every=5)
    assert_same_results(result, expected)


@pytest.mark.parametrize("make", [*GOMEAS, lambda: search.nsga2(toys.genes_space(), 8)])
def test_a_budget_is_met_exactly_and_a_run_continued_within_it_has_the_same_bits(tmp_path, make):
    expected = go(make(), toys.Counting(), 500, budget=101)
    assert expected.history[-1]["distinct_evaluations"] == 101
    assert expected.history[-2]["distinct_evaluations"] < 101
    for generations in (1, 4, 500, 500):
        result = go(make(), toys.Counting(), generations, checkpoint=tmp_path / "run", budget=101)
    assert_same_results(result, expected)
    with pytest.raises(ValueError, match=r"budget is 100, but checkpoint .* is at 101; ask for at least as many"):
        go(make(), toys.Counting(), 500, checkpoint=tmp_path / "run", budget=100)


def test_a_budget_can_be_raised(tmp_path):
    make = GOMEAS[0]
    for budget in (50, 90):
        result = go(make(), toys.Counting(), 500, checkpoint=tmp_path / "run", budget=budget)
        assert result.history[-1]["distinct_evaluations"] == budget


def test_a_strategy_that_needs_whole_batches_gets_them_and_stops_after_the_budget():
    strategy = search.truncation(toys.genes_space(), 8, objectives=2)
    result = go(strategy, toys.Counting(), 500, budget=12)
    assert result.history[-1]["distinct_evaluations"] >= 12 > result.history[-2]["distinct_evaluations"]
    assert result.history[-1]["evaluations"] == 8 * len(result.history)


@pytest.mark.parametrize("make", STRATEGIES)
def test_a_continued_run_ends_with_the_same_bits(tmp_path, make):
    expected = go(make(), toys.Remembering(), 7)
    for generations in (2, 3, 7, 7):
        result = go(make(), toys.Remembering(), generations, checkpoint=tmp_path / "run", every=2)
    assert_same_results(result, expected)


@pytest.mark.smoke
def test_a_run_that_fails_half_way_continues_from_its_last_checkpoint(tmp_path):
    expected = go(evaluate=toys.Remembering(), generations=6)

    def interrupt(entry, state):
        if entry["generation"] == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go(evaluate=toys.Remembering(), generations=6, checkpoint=tmp_path / "run", every=3, callback=interrupt)
    evaluate = toys.Remembering()
    result = go(evaluate=evaluate, generations=6, checkpoint=tmp_path / "run", every=3)
    assert_same_results(result, expected)
    assert evaluate.seen.shape == (48, toys.BITS)


def test_a_cut_newest_checkpoint_falls_back_with_a_warning_and_the_same_bits(tmp_path):
    expected = go(evaluate=toys.Remembering(), generations=6)
    go(evaluate=toys.Remembering(), generations=4, checkpoint=tmp_path / "run")
    data = max((tmp_path / "run" / "step_00000004" / "arrays").rglob("d/*"), key=lambda file: file.stat().st_size)
    os.truncate(data, data.stat().st_size // 2)
    with pytest.warns(UserWarning, match="skipped a damaged checkpoint: .*step_00000004"):
        result = go(evaluate=toys.Remembering(), generations=6, checkpoint=tmp_path / "run")
    assert_same_results(result, expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strategy": search.truncation(toys.space(), 8, objectives=2)}, "strategy is 'nsga2' there and 'truncation'"),
        ({"strategy": search.nsga2(toys.space(), 10)}, "population is 8 there and 10 here"),
        ({"strategy": search.nsga2(toys.space(), 8, 2)}, "strategy settings offspring is 8 there and 2 here"),
        ({"strategy": search.nsga2(toys.space(name="other"), 8)}, "space is 'toy' there and 'other' here"),
        ({"strategy": search.nsga2(toys.space(params={"weight": jnp.ones(10)}), 8)}, "parameters is '"),
        (
            {"strategy": search.nsga2(toys.space(settings={"key": [0, 7]}), 8)},
            r"space settings key is 'absent' there and \[0, 7\] here",
        ),
        (
            {"strategy": search.nsga2(toys.space(sample=lambda key, n: {"bits": jnp.zeros((n, 3), bool)}), 8)},
            r"genome \['bits'\] is 'bool\[10\]' there and 'bool\[3\]' here",
        ),
        ({"key": jax.random.key(1)}, r"key is \[0, 0\] there and \[0, 1\] here"),
        ({"settings": {"data": "mnist5k"}}, "settings data is 'digits' there and 'mnist5k' here"),
        ({"evaluate": toys.Remembering()}, r"objectives is \[\] there and \['weight', '-count'\] here"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_with_both_values(foreign, changes, message):
    with pytest.raises(ValueError, match=f"is of another run: .*{message}"):
        go(**({"settings": {"data": "digits"}, "checkpoint": foreign, "generations": 1} | changes))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    path = tmp_path_factory.mktemp("foreign") / "run"
    go(generations=1, checkpoint=path, settings={"data": "digits"})
    return path


def test_fewer_generations_than_the_checkpoint_has_are_refused(tmp_path):
    go(generations=3, checkpoint=tmp_path / "run")
    with pytest.raises(ValueError, match=r"generations is 2, but checkpoint .* is at 3"):
        go(generations=2, checkpoint=tmp_path / "run")


def test_a_signal_ends_a_run_once_the_generation_is_saved_and_it_goes_on_with_the_same_bits(tmp_path, capsys):
    expected = go(evaluate=toys.Remembering(), generations=9)
    settings = {"generations": 9, "checkpoint": tmp_path / "run", "every": 4}

    def signalled(entry, state):
        if entry["generation"] == 5:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(stopping.Stopped) as end:
        go(evaluate=toys.Remembering(), callback=signalled, **settings)
    assert end.value.code == 128 + signal.SIGTERM
    assert "call run with the same arguments to go on" in capsys.readouterr().err
    assert checkpoint.Folder(tmp_path / "run").steps() == [4, 6]
    assert_same_results(go(evaluate=toys.Remembering(), **settings), expected)


def test_the_history_lies_beside_the_checkpoints_line_by_line_and_a_cut_one_is_mended(tmp_path):
    file = tmp_path / "run" / "history.jsonl"
    read = []

    def look(entry, state):
        read.append([json.loads(line) for line in file.read_text().splitlines()])

    result = go(evaluate=toys.Remembering(), generations=4, checkpoint=tmp_path / "run", every=3, callback=look)
    assert read == [list(result.history[:count]) for count in range(1, 5)]
    with file.open("a") as opened:
        opened.write('{"generation": 5, "evalu')
    result = go(evaluate=toys.Remembering(), generations=6, checkpoint=tmp_path / "run")
    assert [json.loads(line) for line in file.read_text().splitlines()] == list(result.history)


def test_what_is_not_finite_is_null_in_the_history(tmp_path):
    go(evaluate=lambda key, params, genomes: (genomes, np.full((8, 1), np.nan)), checkpoint=tmp_path / "run")
    assert "NaN" not in (tmp_path / "run" / "history.jsonl").read_text()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: search.run(0, None, None, 1), TypeError, "run: key is 0"),
        (lambda: search.run(KEY, "nsga2", toys.evaluate, 1), TypeError, "run: strategy is 'nsga2'"),
        (lambda: go(evaluate=3), TypeError, "run: evaluate is 3"),
        (lambda: go(generations=0), ValueError, "run: generations is 0"),
        (lambda: go(every=0), ValueError, "run: every is 0"),
        (lambda: go(budget=0), ValueError, "run: budget is 0"),
        (
            lambda: go(budget=9),
            ValueError,
            r"run: budget is 9, but evaluate has no report\(\) with distinct_evaluations",
        ),
        (lambda: go(callback=1), TypeError, "run: callback is 1"),
        (
            lambda: go(evaluate=lambda k, p, g: (g, np.zeros(8))),
            ValueError,
            r"evaluate: fitness is \[8\] for 8 genomes",
        ),
    ],
)
def test_wrong_arguments_are_refused_by_name(call, error, message):
    with pytest.raises(error, match=message):
        call()


class Three:
    """An evaluation that names three objectives and must not be asked to score."""

    objectives = ("a", "b", "c")

    def __call__(self, key, params, genomes):
        raise AssertionError("scored before the objectives were counted")


@pytest.mark.parametrize("start", [lambda *given: search.run(KEY, *given, 1, progress=False), search.step])
@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        (lambda: search.truncation(toys.space(), 4, objectives=2), "truncation: fitness has 3 objectives, expected 2"),
        (
            lambda: search.evolution_strategy(spheres.space(), 4, 0.1, optax.sgd(1e-2)),
            "evolution_strategy: fitness has 3 objectives, expected 1",
        ),
        (lambda: search.evosax("CMA_ES", spheres.space(), 4), "evosax CMA_ES: fitness has 3 objectives, expected 1"),
        (
            lambda: search.surrogate(toys.genes_space(), 4, known={3: lambda genome: genome.sum()}),
            r"surrogate: fitness has 3 objectives, but known are \[3\]",
        ),
        (
            lambda: search.repeated(search.surrogate(toys.genes_space(), 4, reference=[0, 0]), 2),
            r"surrogate: fitness has 3 objectives, but known are \[\] and reference is \[0, 0\]",
        ),
    ],
)
def test_objectives_that_a_strategy_cannot_go_by_are_refused_before_anything_is_scored(start, strategy, message):
    with pytest.raises(ValueError, match=message):
        start(strategy(), Three())


def test_settings_that_json_cannot_hold_are_refused(tmp_path):
    with pytest.raises(TypeError, match=r"run: settings is .*JSON"):
        go(settings={"data": {1, 2}}, checkpoint=tmp_path / "run")


def test_a_memory_that_cannot_be_restored_is_refused():
    def evaluate(key, params, genomes):
        raise AssertionError

    evaluate.memory = {}
    with pytest.raises(TypeError, match="memory but no restore"):
        go(evaluate=evaluate)


def test_a_budget_of_a_run_that_could_not_count_on_is_refused(tmp_path):
    def evaluate(key, params, genomes):
        raise AssertionError

    evaluate.report = lambda: {"distinct_evaluations": 0}
    with pytest.raises(ValueError, match="run: budget is 9, but evaluate has no memory"):
        go(evaluate=evaluate, budget=9, checkpoint=tmp_path / "run")


def test_objectives_must_name_every_column():
    evaluate = toys.Remembering()
    evaluate.objectives = ("weight",)
    with pytest.raises(ValueError, match=r"names 1 objectives .* has 2 columns"):
        go(evaluate=evaluate)


def test_a_space_without_genomes_ends_with_an_error():
    space = toys.space(sample=lambda key, n: {"bits": jnp.zeros((0, toys.BITS), bool)})
    with pytest.raises(ValueError, match="asked for no genome at all"):
        go(search.random_search(space, 4, distinct=False))
