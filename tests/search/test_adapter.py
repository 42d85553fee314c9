"""Every strategy of evosax climbs, in a compiled loop, and none lets a failure win."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from evosax import algorithms as library

from jaxevo import checkpoint, search
from jaxevo.search import adapter, algorithms
from tests.search import spheres, toys

KEY = jax.random.key(3)
NAMES = sorted(kind.__name__ for kind in library.algorithms.values())

OPTIMIZER = optax.adam(0.2)

#: Without these options some move their mean by a thousandth in a generation, or never less than by a noise of 1.
SLOW = ("ARS", "ASEBO", "ESMC", "GuidedES", "NoiseReuseES", "Open_ES", "PersistentES", "PGPE", "SV_Open_ES")
OPTIONS = {
    **{name: {"optimizer": OPTIMIZER} for name in SLOW},
    "iAMaLGaM_Univariate": {"std_schedule": optax.constant_schedule(0.1)},
}


def build(name, population=16, **settings):
    return search.evosax(name, spheres.space(), population, **{"options": OPTIONS.get(name), **settings})


def test_all_strategies_of_evosax_are_known():
    assert set(NAMES) == {kind.__name__ for kind in algorithms.strategies().values()}
    assert len(NAMES) == 37


@pytest.mark.parametrize("name", NAMES)
def test_it_climbs_in_a_compiled_loop_and_no_failure_wins(name):
    state, best = spheres.scanned(build(name, 8 if name == "LM_MA_ES" else 16), 30, KEY)
    assert int(state.generation) == 30
    assert state.archive.fitness[0, 0] == best.max() > best[0]
    assert np.isfinite(spheres.distance(state.asked)).all()
    # Random search learns nothing; all others come closer to the optimum on average.
    assert name == "RandomSearch" or best[-5:].mean() > best[0] / 2
    assert checkpoint.digest(state), "a checkpoint can hold it"


@pytest.mark.parametrize("name", ["SimpleES", "PSO"])
def test_a_continued_run_ends_with_the_same_bits(tmp_path, name):
    def go(generations, **settings):
        return search.run(KEY, build(name), spheres.evaluate, generations, progress=False, **settings)

    expected = go(5)
    for generations in (2, 5):
        result = go(generations, checkpoint=tmp_path / "run")
    toys.assert_same_bits((result.state, result.front, result.best), (expected.state, expected.front, expected.best))
    assert result.history[-1]["best"]["objective 1"] == result.front.fitness[0, 0] == result.state.archive.fitness[0, 0]
    assert len(result.front.fitness) == 1


@pytest.mark.parametrize("name", ["CMA_ES", "DifferentialEvolution"])
def test_numbers_may_be_64_bits_wide_by_default(name):
    with jax.enable_x64(True):
        found = search.run(jax.random.key(3), build(name), spheres.evaluate, 3, progress=False)
    assert int(found.state.generation) == 3
    assert np.isfinite(found.front.fitness).all()


def test_settings_tell_optimisers_apart():
    def settings(optimizer):
        return build("Open_ES", options={"optimizer": optimizer, "use_antithetic_sampling": True}).settings

    assert settings(optax.adam(0.2)) == settings(optax.adam(0.2))
    assert settings(optax.adam(0.2)) != settings(optax.adam(0.2001))
    assert build("DifferentialEvolution").settings["options"] == {}
    assert build("SV_CMA_ES").settings["options"] == {"num_populations": 2}


def test_other_scales_and_parameters_are_the_same_program():
    def go(scale, width):
        strategy = build("SimpleES", scale=scale, params={"std_init": width})
        state = strategy.init(KEY)
        for generation in range(3):
            genomes = strategy.ask(KEY, state)
            state = strategy.tell(jax.random.fold_in(KEY, generation), state, *spheres.evaluate(None, {}, genomes))
        return state

    wide = go(1.0, 1.0)
    jax.block_until_ready(wide)
    programs = adapter._init._cache_size(), adapter._tell._cache_size()
    narrow = go(0.1, 0.5)
    assert (adapter._init._cache_size(), adapter._tell._cache_size()) == programs
    assert (narrow.genomes["a"].std(axis=0) < wide.genomes["a"].std(axis=0) / 5).all()


@pytest.mark.parametrize("name", ["SimpleES", "PSO"])
def test_it_starts_where_it_is_told(name):
    start = {"a": np.array([5.0, 6.0]), "b": np.array([[7.0, 8.0]])}
    strategy = build(name, start=start, scale=1e-3)
    genomes = strategy.ask(KEY, strategy.init(KEY))
    near = spheres.distance(jax.tree.map(lambda leaf, goal: leaf - goal, genomes, start))
    if name == "PSO":
        assert near[0] < 1e-5
        sample = spheres.sample(jax.random.split(KEY)[0], 16)
        np.testing.assert_allclose(genomes["a"][1:], sample["a"][1:], rtol=1e-5)
    else:
        assert (near < 1e-2).all()


@pytest.mark.parametrize("name", ["SimpleES", "PSO"])
def test_a_generation_that_failed_altogether_teaches_nothing(name):
    strategy = build(name)
    before = strategy.init(KEY)
    after = strategy.tell(KEY, before, strategy.ask(KEY, before), jnp.full((16, 1), jnp.nan))
    assert int(after.generation) == 1
    assert after.archive.fitness[0, 0] == -np.inf
    if name == "PSO":
        toys.assert_same_bits(after.asked, before.asked)
    else:
        toys.assert_same_bits((after.search.mean, after.search.std), (before.search.mean, before.search.std))
        assert not np.array_equal(after.asked["a"], before.asked["a"]), "it draws others"


def test_mixed_dtypes_are_kept():
    def sample(key, n):
        return {"half": jax.random.normal(key, (n, 3), jnp.bfloat16), "whole": jax.random.normal(key, (n,))}

    strategy = search.evosax("HillClimbing", spheres.space(sample), 8)
    state = strategy.init(KEY)
    state = strategy.tell(KEY, state, strategy.ask(KEY, state), np.arange(8.0)[:, None])
    assert jax.tree.map(lambda leaf: (leaf.dtype, leaf.shape), state.asked) == {
        "half": (jnp.bfloat16, (8, 3)),
        "whole": (jnp.float32, (8,)),
    }


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: build("CMAES"), ValueError, "algorithm is 'CMAES'.*did you mean 'CMA_ES'.*All of them: ARS, ASEBO"),
        (lambda: build("openES"), ValueError, "did you mean 'Open_ES'"),
        (lambda: build("LGA"), ValueError, "did you mean 'LearnedGA'"),
        (lambda: build(None), ValueError, "algorithm is None"),
        (lambda: build("Open_ES", 7), ValueError, "Open_ES refuses population 7 with 4 numbers.*must be even"),
        (lambda: build("PGPE", 15), ValueError, "PGPE refuses population 15"),
        (lambda: build("DifferentialEvolution", 3), ValueError, "DifferentialEvolution refuses population 3"),
        (lambda: build("LM_MA_ES"), ValueError, "population is 16 for 4 numbers.*NaN above 8"),
        (lambda: build("CMA_ES", 1), ValueError, "population is 1, expected at least 2"),
        (lambda: build("SV_CMA_ES", 15), ValueError, r"options\['num_populations'\] is 2.*divides population 15"),
        (lambda: build("SV_CMA_ES", 2), ValueError, "divides population 2 into populations of at least 2"),
        (lambda: build("CMA_ES", params={"std": 1}), ValueError, "params has 'std', expected.*'std_init'"),
        (lambda: build("CMA_ES", params={"std_init": "1"}), ValueError, r"params\['std_init'\] is '1'"),
        (lambda: build("CMA_ES", params=3), TypeError, "params is 3"),
        (lambda: build("CMA_ES", options={"optimiser": 1}), ValueError, "options has 'optimiser', expected arguments"),
        (lambda: build("EvoTF_ES", options={"params_path": "a.pkl"}), ValueError, "options has 'params_path'"),
        (lambda: build("EvoTF_ES", options={"model_config": {}}), TypeError, r"options\['model_config'\] is {}.*hash"),
        (lambda: build("CMA_ES", options=3), TypeError, "options is 3"),
        (lambda: build("CMA_ES", scale=0), ValueError, "scale is 0, expected a finite number above 0"),
        (lambda: build("CMA_ES", start={"a": np.zeros(2)}), ValueError, r"start has shapes .*expected .*'b': \[1, 2\]"),
        (
            lambda: build("CMA_ES", start={"a": np.full(2, np.nan), "b": np.zeros((1, 2))}),
            ValueError,
            "start holds a number that is not finite",
        ),
        (lambda: search.evosax("CMA_ES", None, 8), TypeError, "evosax: space is None"),
        (lambda: search.evosax("CMA_ES", toys.space(), 8), TypeError, r"space 'toy' holds bool at genome\['bits'\]"),
        (
            lambda: search.evosax("CMA_ES", spheres.space(lambda key, n: jnp.zeros((n, 0))), 8),
            TypeError,
            "holds no number",
        ),
        (
            lambda: build("CMA_ES").tell(KEY, None, spheres.sample(KEY, 16), np.zeros((16, 2))),
            ValueError,
            "evosax CMA_ES: fitness has 2 objectives, expected 1",
        ),
    ],
)
def test_wrong_arguments_are_refused_by_name_before_anything_is_compiled(call, error, message):
    with pytest.raises(error, match=message):
        call()
