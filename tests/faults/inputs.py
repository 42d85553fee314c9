"""A sweep of wrong inputs over the public interface: `python -m tests.faults.inputs --count 2000`.

Every call of `tests.faults.calls` is right; one of its arguments is replaced by a value that is wrong (`tests.faults.
wrong`), or by one of the mistakes that people make (`tests.faults.mistakes`). What has to come is a TypeError or a
ValueError of jaxevo's own that names the argument, before anything is compiled.
"""

import argparse
import collections
import contextlib
import pathlib
import re
import signal
import sys
import traceback
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import hypothesis
import jax

import jaxevo
from tests.compilations import count_compilations
from tests.faults.calls import Call, calls
from tests.faults.world import World

#: Seconds after which a call counts as one that hangs.
LIMIT = 30
HOME = pathlib.Path(jaxevo.__file__).parent

#: What may come; only the first is good.
VERDICTS = ("refused", "unnamed", "compiled", "foreign", "accepted", "hung")


class Case(NamedTuple):
    """One wrong call.

    call: the call that it was.
    argument: name of the argument that is replaced.
    value: what it is replaced by.
    """

    call: Call
    argument: str
    value: Any


class Outcome(NamedTuple):
    """What came of one wrong call.

    case: the call.
    verdict: "refused", as it should be; "unnamed", by a message without the argument's name; "compiled", after a
      program was compiled; "foreign", an error from inside another library or of another type; "accepted"; "hung".
    said: type and text of what was raised.
    """

    case: Case
    verdict: str
    said: str


class Hung(BaseException):
    """Raised in a call that takes too long; no `except Exception` catches it."""


@contextlib.contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Interrupts what runs inside after some seconds."""

    def interrupt(number: int, frame: Any) -> None:
        raise Hung

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def tried(case: Case) -> Outcome:
    """Makes one wrong call and says what came of it."""
    arguments = {**case.call.right, case.argument: case.value}
    compiled: list[str] = []
    try:
        with warnings.catch_warnings(), limited(LIMIT), count_compilations() as compiled:
            warnings.simplefilter("ignore")
            case.call.function(**arguments)
    except Hung:
        return Outcome(case, "hung", f"more than {LIMIT} s")
    except Exception as error:
        return Outcome(case, judged(case, error, compiled), f"{type(error).__name__}: {error}")
    return Outcome(case, "accepted", "nothing was raised")


def warm(places: Iterable[tuple[Call, str]]) -> None:
    """Makes each call once as it is right, so that all that is compiled after is compiled for a wrong one."""
    for call in {id(call): call for call, _ in places}.values():
        with warnings.catch_warnings(), count_compilations():
            warnings.simplefilter("ignore")
            call.function(**call.right)


def judged(case: Case, error: Exception, compiled: Sequence[str]) -> str:
    """Returns the verdict on what was raised."""
    raised = pathlib.Path(traceback.extract_tb(error.__traceback__)[-1].filename)
    if not isinstance(error, ValueError | TypeError | FileNotFoundError) or HOME not in raised.parents:
        return "foreign"
    words = (case.argument, *case.call.kinds[case.argument].words)
    if not any(re.search(rf"\b{re.escape(word)}s?\b", str(error)) for word in words):
        return "unnamed"
    return "compiled" if compiled else "refused"


def every(world: World) -> list[tuple[Call, str]]:
    """Lists all calls with each of their arguments that can be wrong."""
    return [(call, name) for call in calls(world) for name in call.kinds]


def generated(places: Sequence[tuple[Call, str]], count: int, seed: int) -> list[Case]:
    """Draws wrong calls, as many of each argument as of each other one.

    Args:
      places: calls and names of arguments.
      count: how many to draw.
      seed: other cases for another one.
    """
    rounds = -(-count // len(places))
    return [
        Case(call, argument, value)
        for call, argument in places
        for value in _drawn(call.kinds[argument].wrong, rounds, seed)
    ]


def _drawn(strategy: Any, count: int, seed: int) -> list[Any]:
    """Returns values of a hypothesis strategy, the same ones for the same seed; fewer where it knows no more."""
    found: list[Any] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=(hypothesis.Phase.generate,),
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(strategy)
    def draw(value):
        found.append(value)

    draw()
    return found[:count]


def table(outcomes: Iterable[Outcome]) -> str:
    """Returns what came, by function."""
    rows: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for outcome in outcomes:
        rows[outcome.case.call.name][outcome.verdict] += 1
    total = sum(rows.values(), collections.Counter())
    lines = [f"{'function':24}{'calls':>7}" + "".join(f"{verdict:>10}" for verdict in VERDICTS)]
    for name, counter in [*sorted(rows.items()), ("in all", total)]:
        lines.append(f"{name:24}{counter.total():7}" + "".join(f"{counter[verdict]:10}" for verdict in VERDICTS))
    return "\n".join(lines)


def described(outcome: Outcome) -> str:
    """Returns one line about a call that was not refused as it should be."""
    value = " ".join(repr(outcome.case.value).split())[:80]
    said = " ".join(outcome.said.split())[:160]
    return f"{outcome.verdict}: {outcome.case.call.name}({outcome.case.argument}={value}) -> {said}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the sweep and prints the table; returns 1 where anything was not refused as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.inputs", description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="how many wrong calls to draw (default 2000)")
    parser.add_argument("--seed", type=int, default=0, help="other calls for another one (default 0)")
    parser.add_argument("--only", default="", help="part of the name of functions, such as run")
    options = parser.parse_args(arguments)
    world = World()
    places = [place for place in every(world) if options.only in place[0].name]
    warm(places)
    outcomes = [tried(case) for case in generated(places, options.count, options.seed)]
    bad = [outcome for outcome in outcomes if outcome.verdict != "refused"]
    for line in dict.fromkeys(map(described, bad)):
        print(line)
    print(table(outcomes))
    print(f"{len(outcomes)} wrong calls of {len(places)} arguments, jax {jax.__version__}: {len(bad)} not refused")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
