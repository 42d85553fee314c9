"""Evolution strategies climb by the published estimate of the slope, whatever the optimiser."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxevo import search
from jaxevo.search import evolution
from tests.search import spheres, toys

KEY = jax.random.key(5)
SGD = optax.sgd(0.5)
MOMENTUM = optax.sgd(0.5, momentum=0.9)


def build(population=8, sigma=0.1, optimizer=SGD, **settings):
    return search.evolution_strategy(spheres.space(), population, sigma, optimizer, **settings)


def flat(genomes):
    return np.concatenate([np.reshape(leaf, (len(leaf), -1)) for leaf in jax.tree.leaves(genomes)], axis=1)


def mean(state):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(state.mean)])


@pytest.mark.parametrize("shaping", ["ranks", "standardised"])
def test_it_climbs_in_a_compiled_loop_and_no_failure_wins(shaping):
    strategy = build(16, 0.3, optax.adam(0.2), shaping=shaping)
    state, best = spheres.scanned(strategy, 40, KEY)
    assert np.linalg.norm(mean(state)) < 0.5
    assert state.archive.fitness[0, 0] == best.max() > -0.2
    assert int(state.generation) == 40


@pytest.mark.parametrize("shaping", ["ranks", "standardised"])
def test_the_mean_moves_by_the_published_estimate(shaping):
    strategy = build(shaping=shaping)
    before = strategy.init(KEY)
    genomes = strategy.ask(jax.random.key(1), before)
    fitness = np.array([3.0, 1, 4, 1.5, 9, 2, 6, 5])
    after = strategy.tell(None, before, genomes, fitness[:, None])
    noise = (flat(genomes) - mean(before)) / 0.1
    shaped = np.argsort(np.argsort(fitness)) / 7 - 0.5
    if shaping == "standardised":
        shaped = (fitness - fitness.mean()) / fitness.std()
    expected = mean(before) + 0.5 * (shaped @ noise) / (8 * 0.1)
    np.testing.assert_allclose(mean(after), expected, rtol=1e-4)
    np.testing.assert_allclose(noise[0::2], -noise[1::2], atol=1e-4)


def test_children_are_noise_of_their_own_index():
    strategy = build(antithetic=False)
    state = strategy.init(KEY)
    genomes = strategy.ask(jax.random.key(1), state)
    noise = (flat(genomes) - mean(state)) / 0.1
    keys = jax.random.split(jax.random.fold_in(jax.random.key(1), 5), 2)
    np.testing.assert_allclose(noise[5, :2], jax.random.normal(keys[0], (2,)), rtol=1e-3)
    assert np.abs(noise[0::2] + noise[1::2]).min() > 1e-3


def test_equal_children_rank_equal_and_failures_last():
    fitness = jnp.array([1.0, jnp.nan, 1.0, 2.0, jnp.inf])
    np.testing.assert_allclose(evolution._centred_ranks(fitness), [0.125, -0.375, 0.125, 0.5, -0.375])
    assert not evolution._centred_ranks(jnp.ones(4)).any()
    shaped = evolution._standardised(fitness)
    assert shaped.argmax() == 3
    np.testing.assert_allclose([shaped.mean(), shaped.std()], [0, 1], atol=1e-6)
    assert shaped[1] == shaped[4] == shaped[0], "the worst that did not fail"
    assert not evolution._standardised(jnp.ones(4)).any()


def test_a_generation_that_failed_altogether_moves_nothing():
    strategy = build(optimizer=MOMENTUM)
    state = strategy.init(KEY)
    state = strategy.tell(None, state, *spheres.evaluate(None, {}, strategy.ask(KEY, state)))
    after = strategy.tell(None, state, strategy.ask(KEY, state), np.full((8, 1), np.nan))
    toys.assert_same_bits((after.mean, after.optimizer_state), (state.mean, state.optimizer_state))


def test_a_continued_run_ends_with_the_same_bits_and_another_optimiser_is_refused(tmp_path):
    def go(generations, optimizer=MOMENTUM, **settings):
        strategy = build(optimizer=optimizer)
        return search.run(KEY, strategy, spheres.evaluate, generations, progress=False, **settings)

    expected = go(5)
    for generations in (2, 5):
        result = go(generations, checkpoint=tmp_path / "run")
    toys.assert_same_bits((result.state, result.best), (expected.state, expected.best))
    with pytest.raises(ValueError, match="strategy settings optimizer is"):
        go(5, optax.sgd(0.5, momentum=0.91), checkpoint=tmp_path / "run")


def test_another_sigma_is_the_same_program():
    def go(sigma):
        strategy = build(sigma=sigma)
        state = strategy.init(KEY)
        for _ in range(2):
            center = mean(state)
            state = strategy.tell(None, state, *spheres.evaluate(None, {}, strategy.ask(KEY, state)))
        return np.std(flat(state.genomes) - center)

    wide, programs = go(1.0), (evolution._ask._cache_size(), evolution._tell._cache_size())
    np.testing.assert_allclose(go(0.1), wide / 10, rtol=1e-3)
    assert (evolution._ask._cache_size(), evolution._tell._cache_size()) == programs


def test_it_starts_where_it_is_told_and_keeps_dtypes():
    def sample(key, n):
        return {"half": jax.random.normal(key, (n, 3), jnp.bfloat16), "whole": jax.random.normal(key, (n,))}

    start = {"half": np.ones(3), "whole": 2.0}
    strategy = search.evolution_strategy(spheres.space(sample), 4, 1e-3, SGD, start=start)
    state = strategy.init(KEY)
    genomes = strategy.ask(KEY, state)
    state = strategy.tell(None, state, genomes, np.arange(4.0)[:, None])
    assert genomes["half"].dtype == jnp.bfloat16
    np.testing.assert_allclose(genomes["whole"], 2, atol=1e-2)
    assert state.mean["half"].dtype == jnp.float32


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: build(7), ValueError, "population is 7, expected an even number; or pass antithetic=False"),
        (lambda: build(1, antithetic=False), ValueError, "population is 1"),
        (lambda: build(sigma=-1), ValueError, "sigma is -1, expected a finite number above 0"),
        (lambda: build(optimizer="adam"), TypeError, "optimizer is 'adam', expected an optax optimiser"),
        (lambda: build(shaping="rank"), ValueError, "shaping is 'rank', expected one of"),
        (lambda: build(antithetic=1), TypeError, "antithetic is 1"),
        (lambda: build(start=3), ValueError, "start has shapes"),
        (lambda: search.evolution_strategy(toys.space(), 4, 0.1, SGD), TypeError, "holds bool at genome"),
        (
            lambda: build().tell(None, None, spheres.sample(KEY, 8), np.zeros((8, 2))),
            ValueError,
            "evolution_strategy: fitness has 2 objectives",
        ),
    ],
)
def test_wrong_arguments_are_refused_by_name(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_of_repeated_runs_the_best_of_all_generations_is_found():
    def evaluate(key, params, genomes):
        del key, params
        return genomes, -np.square(flat(genomes)).sum(1)[:, None]

    result = search.run(KEY, search.repeated(build(optimizer=optax.sgd(30.0)), 2), evaluate, 6, progress=False)
    held = max(float(one.archive.fitness.max()) for one in result.state.runs)
    assert result.front.fitness.max() == held == max(*result.history[-1]["best"].values(), -np.inf)
    assert result.population.fitness.max() < held
