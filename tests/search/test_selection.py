import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo import search
from tests.search import toys


def first_objective(key, params, genomes):
    genomes, fitness = toys.evaluate(key, params, genomes)
    return genomes, fitness[:, :1]


def test_the_elite_returns_unchanged_and_best_first():
    strategy = search.truncation(toys.space(), 12, elite=3)
    state = strategy.init(jax.random.key(0))
    toys.assert_same_bits(strategy.ask(jax.random.key(1), state), state.genomes)
    _, fitness = first_objective(None, strategy.space.params, state.genomes)
    state = strategy.tell(jax.random.key(2), state, state.genomes, fitness)
    genomes = strategy.ask(jax.random.key(3), state)
    best = np.argsort(-fitness[:, 0], stable=True)[:3]
    np.testing.assert_array_equal(genomes["bits"][:3], state.genomes["bits"][best])


def test_failures_stay_out_of_the_elite():
    strategy = search.truncation(toys.space(), 4, elite=2)
    state = strategy.init(jax.random.key(0))
    fitness = jnp.array([[jnp.nan], [1.0], [jnp.inf], [2.0]])
    state = strategy.tell(jax.random.key(0), state, state.genomes, fitness)
    genomes = strategy.ask(jax.random.key(1), state)
    np.testing.assert_array_equal(genomes["bits"][:2], state.genomes["bits"][jnp.array([3, 1])])


@pytest.mark.smoke
def test_a_scanned_run_gives_the_bits_of_a_run():
    strategy = search.truncation(toys.space(), 16, elite=4)
    key, generations = jax.random.key(7), 8
    result = search.run(key, strategy, first_objective, generations, progress=False)
    state = search.Evolving(strategy.space.params, strategy.init(jax.random.fold_in(key, 0)))
    keys = jax.vmap(lambda g: jax.random.fold_in(key, g))(jnp.arange(1, generations + 1))
    one_generation = search.step(strategy, first_objective)
    scanned, metrics = jax.jit(lambda s, k: jax.lax.scan(lambda s, k: one_generation(k, s), s, k))(state, keys)
    toys.assert_same_bits(scanned.search, result.state)
    assert metrics["best"][:, 0].tolist() == [entry["best"]["objective 1"] for entry in result.history]
    assert (np.diff(metrics["best"][:, 0]) >= 0).all(), "the elite is never lost"


def test_a_compiled_step_captures_no_parameters():
    weight = jnp.ones(500_000)

    def evaluate(key, params, genomes):
        return genomes, genomes["bits"].sum(axis=1, keepdims=True) * params["weight"].sum()

    strategy = search.truncation(toys.space(params={"weight": weight}), 4)
    state = search.Evolving(strategy.space.params, strategy.init(jax.random.key(0)))
    closed = jax.make_jaxpr(search.step(strategy, evaluate))(jax.random.key(1), state)
    assert sum(np.size(constant) for constant in closed.consts) < 1000


def test_host_strategies_are_not_compiled():
    with pytest.raises(ValueError, match="step: strategy 'nsga2' runs on the host"):
        search.step(search.nsga2(toys.space(), 4), toys.evaluate)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: search.truncation(toys.space(), 1), ValueError, "truncation: population is 1"),
        (lambda: search.truncation(toys.space(), 8, elite=8), ValueError, "truncation: elite is 8.*between 1 and 7"),
        (lambda: search.truncation(None, 8), TypeError, "truncation: space is None"),
        (
            lambda: search.run(jax.random.key(0), search.truncation(toys.space(), 4), toys.evaluate, 1, progress=False),
            ValueError,
            "truncation: fitness has 2 objectives, expected 1.*objectives=2",
        ),
    ],
)
def test_wrong_arguments_are_refused_by_name(call, error, message):
    with pytest.raises(error, match=message):
        call()
