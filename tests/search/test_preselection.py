"""Search with a model: its guesses, what it makes of them, and how much scoring they save."""

import jax
import numpy as np
import pytest

from jaxevo import search
from jaxevo.search import pareto, preselection
from tests.compilations import count_compilations
from tests.search import toys

KEY = jax.random.key(3)
WEIGHTS = np.random.default_rng(0).normal(size=toys.GENES)


def smooth(genomes):
    """A sum over genes with some pairs that go together, and how few genes are set: a model can learn the first."""
    genomes = np.asarray(genomes, float)
    pairs = (genomes[:, ::2] * genomes[:, 1::2]) @ WEIGHTS[::2]
    return np.stack([genomes @ WEIGHTS + 0.5 * pairs, -genomes.sum(1)], axis=1)


def volume(batches, count):
    fitness = smooth(np.concatenate(batches)[:count])
    return search.hypervolume(fitness, np.array([-8.0, -toys.GENES - 1.0]))


def go(strategy, generations, **settings):
    evaluate = toys.Counting(smooth)
    return search.run(KEY, strategy, evaluate, generations, progress=False, **settings), evaluate.batches


@pytest.mark.smoke
def test_fewer_networks_are_scored_for_a_better_front_than_by_chance_or_nsga2():
    space = toys.genes_space()
    told = {1: lambda genome: -genome.sum().astype(float)}
    _, ours = go(search.surrogate(space, 8, candidates=256, known=told), 12)
    _, chance = go(search.random_search(space, 8), 40)
    _, theirs = go(search.nsga2(space, 24), 40)
    assert volume(ours, 96) > volume(chance, 320)
    assert volume(ours, 96) > volume(theirs, 320)


def test_no_network_is_scored_twice_until_none_is_left():
    silent = toys.genes_space(lambda genome: genome * (np.arange(toys.GENES) < 5))
    result, batches = go(search.surrogate(silent, 4, candidates=64), 50)
    seen = np.concatenate(batches)[:, :5]
    assert len(seen) == len(np.unique(seen, axis=0)) <= 32
    assert len(seen) > 28
    assert len(result.history) < 50
    np.testing.assert_array_equal(result.population.genomes, np.concatenate(batches))


def test_it_starts_from_what_it_is_given():
    start = np.eye(toys.GENES, dtype=int)
    _, batches = go(search.surrogate(toys.genes_space(), 4, start=np.concatenate([start, start[:3]])), 2)
    np.testing.assert_array_equal(batches[0][: toys.GENES], start)
    assert [len(batch) for batch in batches] == [toys.GENES + 4, 4]


def test_what_failed_is_no_example_for_the_model():
    def failing(genomes):
        fitness = smooth(genomes)
        return np.where(np.asarray(genomes)[:, :1] == 1, np.nan, fitness)

    for score in (failing, lambda genomes: smooth(genomes) * np.nan):
        evaluate = toys.Counting(score)
        result = search.run(KEY, search.surrogate(toys.genes_space(), 4), evaluate, 4, progress=False)
        assert result.history[-1]["evaluations"] == 16


def test_guesses_are_those_of_a_gaussian_process():
    gaussian = pytest.importorskip("sklearn.gaussian_process")
    kernels = pytest.importorskip("sklearn.gaussian_process.kernels")
    rng = np.random.default_rng(1)
    known, asked = rng.integers(0, 3, (40, 12)), rng.integers(0, 3, (7, 12))
    values = known @ rng.normal(size=12) + 0.1 * rng.normal(size=40)
    between, across = preselection._distances(known, known), preselection._distances(asked, known)
    means, deviations = preselection._regression(between, across, values)
    # Genes that differ are half the squared distance of the vectors that tell each gene's option by a one.
    codes = [np.eye(3)[rows].reshape(len(rows), -1) for rows in (known, asked)]
    scaled, found = (values - values.mean()) / values.std(), []
    for length in preselection.LENGTHS:
        for noise in preselection.NOISES:
            shape = kernels.RBF(np.sqrt(12 * length)) + kernels.WhiteKernel(noise)
            first = gaussian.GaussianProcessRegressor(shape, optimizer=None).fit(codes[0], scaled)
            variance = scaled @ first.alpha_ / len(scaled)
            # The factor before white noise as well: one variance for all.
            whole = kernels.ConstantKernel(variance) * shape
            process = gaussian.GaussianProcessRegressor(whole, optimizer=None, alpha=1e-12).fit(codes[0], scaled)
            found.append((process.log_marginal_likelihood_value_, variance * noise, process))
    _, noise, likeliest = max(found, key=lambda one: one[0])
    expected, spread = likeliest.predict(codes[1], return_std=True)
    np.testing.assert_allclose(means, expected * values.std() + values.mean(), rtol=1e-6)
    np.testing.assert_allclose(deviations, np.sqrt(spread**2 - noise) * values.std(), rtol=1e-5)


def test_the_chosen_add_most_to_the_front_one_after_another():
    rng = np.random.default_rng(2)
    fitness, guesses = rng.random((20, 2)), rng.random((30, 2)) + 0.1
    worst = np.array([-0.1, -0.2])
    front, expected = fitness, []
    for _ in range(5):
        volumes = [search.hypervolume(np.vstack([front, guess]), worst) for guess in guesses]
        expected.append(int(np.argmax(volumes)))
        front = np.vstack([front, guesses[expected[-1]]])
    assert preselection._best(fitness, guesses, worst, 5).tolist() == expected
    # Below the reference nothing counts.
    low = np.array([[5.0, -1.0], [0.2, 1.2]])
    assert preselection._best(fitness, low, worst, 1).tolist() == [1]


def test_the_model_is_fitted_to_the_front_and_the_latest(monkeypatch):
    monkeypatch.setattr(preselection, "MOST", 10)
    genomes = np.asarray(toys.genes_space().sample(KEY, 40))
    state = preselection.SurrogateState(genomes, smooth(genomes), np.asarray(1))
    front = pareto.front(state.fitness)
    seen = []
    monkeypatch.setattr(
        preselection, "_regression", lambda between, across, values: seen.append(values) or (values[:1],) * 2
    )
    preselection._guess(toys.genes_space(), state, genomes[:1])
    latest = [i for i in range(40) if i not in front][-(10 - len(front)) :]
    np.testing.assert_array_equal(seen[0], state.fitness[[*latest, *front], 0])
    # Never more than that, however long the front is.
    monkeypatch.setattr(preselection, "MOST", len(front))
    preselection._guess(toys.genes_space(), state, genomes[:1])
    np.testing.assert_array_equal(seen[2], state.fitness[front, 0])


def test_a_longer_search_compiles_nothing_more():
    space = toys.genes_space()
    strategy = search.surrogate(space, 4, candidates=64, known={1: lambda genome: -genome.sum().astype(float)})
    state = strategy.init(KEY)
    compiled = []
    for generation in range(8):
        with count_compilations() as names:
            genomes = strategy.ask(jax.random.fold_in(KEY, generation), state)
        state = strategy.tell(KEY, state, genomes, smooth(genomes))
        compiled.append(len(names))
    # What was scored grows: its canonical forms are computed in programs for powers of two, here 8, 16 and 32.
    assert sum(compiled[2:]) == 3


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"population": 0}, ValueError, "surrogate: population is 0"),
        ({"population": 8, "candidates": 4}, ValueError, "surrogate: candidates is 4, expected at least 8"),
        ({"known": [len]}, TypeError, "surrogate: known is"),
        ({"known": {1: lambda genome: genome["bits"]}}, ValueError, r"surrogate: known\[1\] fails on a genome"),
        ({"known": {1: lambda genome: genome}}, ValueError, r"surrogate: known\[1\] returns"),
        ({"reference": [0.0, np.nan]}, ValueError, "surrogate: reference is"),
        ({"start": np.zeros((2, 3), int)}, ValueError, r"surrogate: start has shape \[2, 3\], expected whole numbers"),
        ({"optimism": -1}, ValueError, "surrogate: optimism is -1"),
    ],
)
def test_wrong_arguments_are_refused_by_name(settings, error, message):
    with pytest.raises(error, match=message):
        search.surrogate(toys.genes_space(), **settings)


def test_other_genomes_and_other_objectives_are_refused():
    with pytest.raises(ValueError, match="expected one array of integers"):
        search.surrogate(toys.space())
    with pytest.raises(ValueError, match="fitness has 2 objectives, but known are \\[2\\]"):
        go(search.surrogate(toys.genes_space(), 4, known={2: lambda genome: genome.sum()}), 1)
    with pytest.raises(ValueError, match="fitness has 2 objectives"):
        go(search.surrogate(toys.genes_space(), 4, reference=[0.0]), 1)


def test_a_run_goes_on_with_the_same_bits(tmp_path):
    def make():
        return search.surrogate(toys.genes_space(), 4, candidates=64)

    whole, _ = go(make(), 5)
    go(make(), 2, checkpoint=tmp_path / "run")
    again, _ = go(make(), 5, checkpoint=tmp_path / "run")
    toys.assert_same_bits(whole.state, again.state)
