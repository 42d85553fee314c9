"""`run`: the only loop of a search. It asks, evaluates, tells, shows progress, and saves so that it can be killed.

Generation g, from 1, uses the key `fold_in(key, g)`, the first state `fold_in(key, 0)`; together with the state of the
strategy and what the evaluation remembers that is all there is to a run, so that a resumed one gives the same bits.
"""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo import checkpoint as checkpoints
from jaxevo import hosts, stopping
from jaxevo.checks import check_flag, check_path
from jaxevo.network import check_key
from jaxevo.programs import fold_in, split_key
from jaxevo.search import pareto
from jaxevo.search.journal import Journal
from jaxevo.search.progress import Progress
from jaxevo.search.resuming import Progressed, identify, resume, saver
from jaxevo.search.strategy import Scored, Strategy, check_count, check_scores, select, size

PyTree = Any


class Evolving(NamedTuple):
    """What a compiled loop over generations carries.

    params: the parameters that all networks share.
    search: the state of the strategy.
    """

    params: PyTree
    search: Any


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run found.

    front: the members of the population, or of the archive where the strategy keeps one, that no other dominates,
      best by the first objective first.
    best: the genome that is best by the first objective, None where no fitness is finite; in a space whose members are
      trained, the member. `space.network(result.best)` is its network.
    population: the strategy's population at the end.
    state: the strategy's state at the end.
    history: one dictionary per generation: its number, `evaluations` so far, `best` of each objective in the
      population or archive (None where none is finite), size of the `front`, and whatever the strategy and the
      evaluation report.
    objectives: names of the columns of the fitness.
    """

    front: Scored
    best: PyTree
    population: Scored
    state: Any
    history: tuple[dict[str, Any], ...]
    objectives: tuple[str, ...]


def run(
    key: jax.Array,
    strategy: Strategy,
    evaluate: Callable[[jax.Array, PyTree, PyTree], tuple[PyTree, Any]],
    generations: int,
    *,
    checkpoint: str | os.PathLike | None = None,
    every: int = 1,
    budget: int | None = None,
    progress: bool = True,
    settings: dict[str, Any] | None = None,
    callback: Callable[[dict[str, Any], Any], None] | None = None,
) -> Result:
    """Runs a search, or continues it.

    Args:
      key: a key.
      strategy: what proposes genomes.
      evaluate: `(key, params, genomes) -> (genomes, fitness [n, m])`, larger is better. Optional attributes:
        `objectives`, the names of the columns; `report()`, a dictionary of numbers for the history; `identity`, what
        else makes it this evaluation, as JSON can hold it, by which a checkpoint knows it; `memory`, a pytree
        of arrays that it carries from one generation to the next (its structure never changes, shapes may), with
        `restore(memory)` to take it back.
      generations: how many to run in all, those in the checkpoint included, at least 1. A strategy that has nothing
        left to ask ends the run earlier.
      checkpoint: folder to save to; where it holds this run already, the run continues from there. `history.jsonl` in
        it has a line for each generation as soon as it ends. SIGTERM and SIGINT wait for the generation under way to
        be saved, see `jaxevo.stopping`.
      every: generations between two checkpoints, at least 1; the last one is always saved, as is one after which a
        signal ends the run.
      budget: number of distinct networks after which to stop, at least 1, by what `evaluate.report()` says of
        `distinct_evaluations`; None for no limit. It is never exceeded by a host strategy: of a batch that could, only
        as many genomes are scored as networks are left. Other strategies stop after the batch that reaches it. A run
        that goes on with a larger budget is not the one that had it from the start: its cut batch stays cut.
      progress: whether to show where the run is.
      settings: whatever else makes it this run (data, seeds, networks), as JSON can hold it; a checkpoint with other
        settings is refused.
      callback: called with each new entry of the history and the strategy's state.

    Returns:
      What it found.

    Raises:
      TypeError, ValueError: where an argument is not as above, fitness does not fit its genomes, nothing at all could
        be asked, the checkpoint is of another run or further than asked for, or processes were given other arguments.
      jaxevo.checkpoint.UnsavedError: where a checkpoint cannot be written.
      jaxevo.stopping.Stopped: where a signal ended the run.
      RuntimeError: where another run uses the checkpoint.
    """
    key = check_key("run", key)
    _check(strategy, evaluate, callback)
    check_flag("run", "progress", progress)
    if settings is not None and not isinstance(settings, dict):
        raise TypeError(f"run: settings is {settings!r}, expected a dictionary of what JSON can hold, or None")
    if checkpoint is not None:
        check_path("run", "checkpoint", checkpoint)
    generations, every = check_count("run", "generations", generations, 1), check_count("run", "every", every, 1)
    budget = _check_budget(budget, evaluate, checkpoint is not None)
    started = Progressed(strategy.init(fold_in(key, 0)), [])
    identity = {}
    if checkpoint is not None or jax.process_count() > 1:
        identity = identify(key, strategy, evaluate, settings, started.search)
        hosts.agree("run", **identity, generations=generations, every=every, budget=budget, saves=bool(checkpoint))
    with contextlib.ExitStack() as stack:
        save = note = None
        if checkpoint is not None:
            stack.enter_context(stopping.after_steps("call run with the same arguments to go on"))
            folder = stack.enter_context(checkpoints.Folder(checkpoint))
            started = resume(folder, identity, evaluate, started)
            save = saver(folder, identity, evaluate)
        if budget is not None and not started.history:
            _check_fresh(evaluate, budget)
        reached = {"generations": (generations, len(started.history)), "budget": (budget, _distinct(started.history))}
        for name, (wanted, done) in reached.items():
            if wanted is not None and done > wanted:
                at = f"checkpoint {str(checkpoint)!r} is at {done}"
                raise ValueError(f"run: {name} is {wanted}, but {at}; ask for at least as many")
        if checkpoint is not None and hosts.leads():
            note = stack.enter_context(Journal(pathlib.Path(checkpoint), started.history)).add
        shown = stack.enter_context(Progress(generations, len(started.history), progress))
        ended = _loop(key, strategy, evaluate, generations, budget, started, save, note, every, shown, callback)
    return _result(evaluate, ended)


def step(strategy: Strategy, evaluate: Callable) -> Callable[[jax.Array, Evolving], tuple[Evolving, dict]]:
    """Makes one generation a function that `jax.lax.scan` can run, where strategy and evaluation can be traced.

    Args:
      strategy: a strategy that is not bound to the host.
      evaluate: as in `run`, traceable.

    Returns:
      `(key, state) -> (state, metrics)`; state is `Evolving(params, strategy.init(key))`, metrics holds `best` [m], the
      best finite value of each objective in the generation. Parameters are carried, never captured.

    Raises:
      TypeError, ValueError: where strategy or evaluate are not as above.
    """
    _check(strategy, evaluate, None, "step")
    if strategy.host:
        raise ValueError(f"step: strategy {strategy.name!r} runs on the host and cannot be compiled; use run")

    def one_generation(key: jax.Array, state: Evolving) -> tuple[Evolving, dict]:
        search, fitness = _generation(strategy, evaluate, key, state.params, state.search)
        best = jnp.where(jnp.isfinite(fitness), fitness, -jnp.inf).max(axis=0)
        return Evolving(state.params, search), {"best": best}

    return one_generation


def _generation(
    strategy: Strategy, evaluate: Callable, key: jax.Array, params: PyTree, search: Any, most: int | None = None
) -> tuple[Any, Any]:
    """Runs one generation with no more genomes than `most`; fitness is None where the strategy had nothing to ask."""
    ask_key, evaluate_key, tell_key = split_key(key, 3)
    genomes = strategy.ask(ask_key, search)
    if not size(genomes):
        return search, None
    if most is not None and most < size(genomes):
        genomes = select(genomes, slice(0, most))
    genomes, fitness = evaluate(evaluate_key, params, genomes)
    check_scores("evaluate", genomes, fitness)
    return strategy.tell(tell_key, search, genomes, fitness), fitness


def _loop(key, strategy, evaluate, generations, budget, started, save, note, every, shown, callback) -> Progressed:
    search, history = started.search, list(started.history)
    saved = len(history)
    while len(history) < generations:
        number, left = len(history) + 1, None if budget is None else budget - _distinct(history)
        if left is not None and left <= 0:
            break
        search, fitness = _generation(
            strategy,
            evaluate,
            fold_in(key, number),
            strategy.space.params,
            search,
            left if strategy.host else None,
        )
        if fitness is None:
            break
        history.append(_entry(strategy, evaluate, search, history, np.shape(fitness)[0]))
        shown.update(np.shape(fitness)[0], history[-1]["best"])
        if note is not None:
            note(history[-1])
        if save is not None and (number % every == 0 or stopping.asked()):
            save(search, history)
            saved = number
        if callback is not None:
            callback(history[-1], search)
        if saved == number:
            stopping.here()
    if not history:
        raise ValueError(f"run: strategy {strategy.name!r} asked for no genome at all; look at its space's sample")
    if save is not None and saved < len(history):
        save(search, history)
    return Progressed(search, history)


def _entry(strategy: Strategy, evaluate: Callable, search: Any, history: list[dict], evaluated: int) -> dict[str, Any]:
    fitness = pareto.check_fitness("run", _found(search).fitness)
    usable = fitness[pareto.finite(fitness)]
    best = usable.max(axis=0).tolist() if len(usable) else [None] * fitness.shape[1]
    report = {**strategy.report(search), **(evaluate.report() if hasattr(evaluate, "report") else {})}
    return {
        **{name: value if isinstance(value, list) else np.asarray(value).tolist() for name, value in report.items()},
        # An evaluation may have served other runs, and counts from 0 once a run is resumed.
        "evaluations": evaluated + (history[-1]["evaluations"] if history else 0),
        "generation": len(history) + 1,
        "best": dict(zip(_objectives(evaluate, fitness.shape[1]), best, strict=True)),
        "front": len(pareto.front(fitness)),
    }


def _found(search: Any) -> Scored:
    """Returns what a strategy has to show: its archive, or its population where it keeps none."""
    found = getattr(search, "archive", search)
    return Scored(found.genomes, np.asarray(found.fitness))


def _check_fresh(evaluate: Callable, budget: int) -> None:
    known = evaluate.report()["distinct_evaluations"]  # pyright: ignore[reportFunctionMemberAccess]
    if known:
        raise ValueError(
            f"run: evaluate has scored {known} distinct networks before this run, which would count against budget "
            f"{budget}; make a new one with evaluation.shared"
        )


def _distinct(history: list[dict[str, Any]]) -> int:
    """Returns how many distinct networks a run has scored, as far as its evaluation says."""
    return history[-1].get("distinct_evaluations", 0) if history else 0


def _result(evaluate: Callable, ended: Progressed) -> Result:
    population, found = Scored(ended.search.genomes, np.asarray(ended.search.fitness)), _found(ended.search)
    front = pareto.front(found.fitness)
    front = front[np.argsort(-found.fitness[front, 0], kind="stable")]
    return Result(
        front=Scored(select(found.genomes, front), found.fitness[front]),
        best=select(found.genomes, front[0]) if len(front) else None,
        population=population,
        state=ended.search,
        history=tuple(ended.history),
        objectives=_objectives(evaluate, population.fitness.shape[1]),
    )


def _objectives(evaluate: Callable, count: int) -> tuple[str, ...]:
    names = tuple(getattr(evaluate, "objectives", [f"objective {index + 1}" for index in range(count)]))
    if len(names) != count:
        raise ValueError(
            f"run: evaluate names {len(names)} objectives {list(names)} but its fitness has {count} columns"
        )
    return names


def _check(strategy: Any, evaluate: Any, callback: Any, where: str = "run") -> None:
    if not isinstance(strategy, Strategy):
        raise TypeError(
            f"{where}: strategy is {strategy!r}, expected one of jaxevo.search, such as search.nsga2(space)"
        )
    if not callable(evaluate):
        raise TypeError(
            f"{where}: evaluate is {evaluate!r}, expected a function (key, params, genomes) -> (genomes, fitness)"
        )
    if hasattr(evaluate, "memory") and not hasattr(evaluate, "restore"):
        raise TypeError(f"{where}: evaluate has memory but no restore(memory), so that no run could be continued")
    if hasattr(evaluate, "objectives"):
        strategy.check_objectives(len(evaluate.objectives))
    if callback is not None and not callable(callback):
        raise TypeError(f"{where}: callback is {callback!r}, expected a function (entry, state) or None")


def _check_budget(budget: Any, evaluate: Any, continued: bool) -> int | None:
    if budget is None:
        return None
    budget = check_count("run", "budget", budget, 1)
    if "distinct_evaluations" not in (evaluate.report() if hasattr(evaluate, "report") else {}):
        raise ValueError(
            f"run: budget is {budget}, but evaluate has no report() with distinct_evaluations to count by; "
            "use evaluation.shared, or generations alone"
        )
    if continued and not hasattr(evaluate, "memory"):
        raise ValueError(
            f"run: budget is {budget}, but evaluate has no memory to save, so that a continued run would count anew; "
            "use evaluation.shared, or no checkpoint"
        )
    return budget
