"""Calls of `jaxevo.search`."""

from collections.abc import Iterator

import numpy as np
from hypothesis import strategies as st

from jaxevo import search
from tests.faults.calls.making import Call, call, of
from tests.faults.world import World
from tests.faults.wrong import (
    Kind,
    arrays,
    callables,
    counts,
    flags,
    instances,
    keys,
    names,
    numbers,
    paths,
    spaces,
    things,
)


def searches(world: World) -> Iterator[Call]:
    """Yields the calls."""
    space, strategy = spaces(*world.objects), instances(search.Strategy, others=world.objects)
    yield call(
        "nsga2",
        search.nsga2,
        space=of(space, world.pruned),
        population=of(counts(2), 4),
        offspring=of(counts(1, optional=True), None),
    )
    yield call(
        "truncation",
        search.truncation,
        space=of(space, world.pruned),
        population=of(counts(2), 4),
        elite=of(counts(1, 3, optional=True), None),
        objectives=of(counts(1), 1),
    )
    yield call(
        "random_search",
        search.random_search,
        space=of(space, world.pruned),
        population=of(counts(1), 4),
        distinct=of(flags(), True),
        total=of(counts(1, optional=True), None),
    )
    yield call(
        "gomea",
        search.gomea,
        space=of(spaces(*world.objects, world.vectors), world.switches),
        population=of(counts(2), 8),
        clusters=of(counts(1, 8, optional=True), None),
        linkage=of(names("tree", "kernels", "univariate"), "kernels"),
        neighbours=of(counts(1, 7, optional=True), None),
    )
    yield call(
        "surrogate",
        search.surrogate,
        space=of(spaces(*world.objects, world.vectors), world.switches),
        population=of(counts(1), 4),
        candidates=of(counts(4), 8),
        known=of(Kind(st.sampled_from(["x", 3, {0: 1.0}, {-1: abs}, {"cost": abs}, [abs], object()])), None),
        reference=of(Kind(st.sampled_from(["x", 3, [np.nan, 0.0], [[0.0]], {}, object()])), None),
        start=of(Kind(st.sampled_from(["x", 3, np.zeros(2), {}, [1.0], np.full((1, 1), 0.5), object()])), None),
        optimism=of(numbers(0), 0.5),
    )
    yield call(
        "replace_worst",
        search.replace_worst,
        space=of(spaces(*world.objects), world.mixing),
        population=of(counts(2), 4),
        fraction=of(numbers(0, 1, open_high=True), 0.25),
        parents=of(numbers(0, 1, open_high=True, optional=True), None),
        mates=of(names("best", "itself"), "best"),
        breeding=of(things(optional=True), None),
        begin=of(callables(optional=True), None),
    )
    yield call(
        "evolution_strategy",
        search.evolution_strategy,
        space=of(spaces(*world.objects, world.pruned), world.vectors),
        population=of(Kind(st.one_of(counts(2).wrong, st.integers(1, 99).map(lambda n: 2 * n + 1))), 4),
        sigma=of(numbers(open_low=True), 0.1),
        optimizer=of(things(), world.optimizer),
        start=of(Kind(st.sampled_from(["x", 3, np.zeros(2), {}, [1.0], object()])), None),
        antithetic=of(flags(), True),
        shaping=of(names("ranks", "standardised"), "ranks"),
    )
    yield call(
        "evosax",
        search.evosax,
        algorithm=of(names("CMA_ES", "Open_ES", "DifferentialEvolution", "PSO"), "CMA_ES"),
        space=of(spaces(*world.objects, world.pruned), world.vectors),
        population=of(counts(2), 4),
        start=of(Kind(st.sampled_from(["x", 3, np.zeros(2), {}, [1.0], object()])), None),
        scale=of(numbers(open_low=True), 1.0),
        params=of(Kind(st.sampled_from(["x", 3, {"std_int": 1.0}, {"std_init": "x"}, [], {3: 1.0}, object()])), None),
        options=of(Kind(st.sampled_from(["x", 3, {"optimiser": 1}, [], {3: 1.0}, object()])), None),
    )
    yield call("keeping", search.keeping, strategy=of(strategy, world.strategy))
    yield call("repeated", search.repeated, strategy=of(strategy, world.strategy), runs=of(counts(2), 2))
    yield call(
        "step",
        search.step,
        strategy=of(Kind(st.one_of(strategy.wrong, st.just(world.strategy))), search.truncation(world.pruned, 4)),
        evaluate=of(callables(), world.scored),
    )
    yield call(
        "run",
        search.run,
        key=of(keys(), world.key),
        strategy=of(strategy, world.strategy),
        evaluate=of(callables(), world.scored),
        generations=of(counts(1), 1),
        checkpoint=of(paths(optional=True, missing=False), None),
        every=of(counts(1), 1),
        budget=of(counts(1, optional=True), None),
        progress=of(flags(), False),
        settings=of(things(lambda value: isinstance(value, dict), optional=True), None),
        callback=of(callables(optional=True), None),
    )
    fitness = np.array([[1.0, 2.0], [2.0, 1.0], [0.0, 0.0]])
    several = arrays(fitness, finite=False, extra=[fitness[0], fitness[:, :0], 3, fitness * 1j, {}, {"a": 1}])
    # No points at all are a set like any other.
    matrix = Kind(several.wrong.filter(lambda value: np.shape(value) != (0, 2)))
    for name in ("ranks", "front"):
        yield call(name, getattr(search, name), fitness=of(matrix, fitness))
    yield call(
        "crowding",
        search.crowding,
        fitness=of(Kind(st.one_of(matrix.wrong, arrays(fitness).wrong.filter(lambda value: np.size(value)))), fitness),
    )
    yield call(
        "hypervolume",
        search.hypervolume,
        fitness=of(matrix, fitness),
        reference=of(arrays(np.zeros(2), extra=[np.zeros(3), 0.0, [0.0]]), np.zeros(2)),
    )
