"""Rounds: a run is killed once at a random moment, continued, and compared with one that nobody disturbed."""

import json
import pathlib
import random
import shutil
import signal
import time
from typing import Any, NamedTuple

from tests.faults import children
from tests.faults.ends import differences

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)

#: How often a round begins again whose run ended before it could be killed as planned.
ATTEMPTS = 12


class Plan(NamedTuple):
    """When a run is killed, and how.

    run: its name.
    number: of the round, from 1.
    signal: what it gets.
    when: "any time", from the start of the process to its end; "later", once it has saved; "saving", in the middle of a
      save that is not the first.
    share: where in the time that is left, in [0, 1).
    """

    run: str
    number: int
    signal: signal.Signals
    when: str
    share: float


class Undisturbed(NamedTuple):
    """A run that nobody disturbs.

    path: its folder.
    seconds: how long it takes.
    first: seconds from its start to its first checkpoint.
    """

    path: pathlib.Path
    seconds: float
    first: float


class Killed(NamedTuple):
    """How a kill went.

    later: whether the run had saved.
    saving: whether it was in the middle of a save.
    code: its exit code.
    seconds: from the signal to the end.
    """

    later: bool
    saving: bool
    code: int
    seconds: float


def plan(run: str, number: int, seed: int) -> Plan:
    """Draws a round: of each twenty, five kill in the middle of a save, and at least seventeen after the first one."""
    when = "saving" if number % 4 == 0 else "any time" if number % 5 == 1 else "later"
    return Plan(run, number, SIGNALS[number % 3], when, random.Random(f"{seed} {run} {number}").random())


def undisturbed(run: str, folder: pathlib.Path) -> Undisturbed:
    """Runs twice without a kill, or reads what that gave: once to compile, and once to take the time.

    Raises:
      RuntimeError: where the two differ.
    """
    path, known = folder / "undisturbed", folder / "undisturbed.json"
    if known.exists():
        return Undisturbed(path, **json.loads(known.read_text()))
    for place in (folder / "compiling", path):
        forget(place)
        place.parent.mkdir(parents=True, exist_ok=True)
    children.finish(run, folder / "compiling")
    begin = time.monotonic()
    with children.start(run, path) as child:
        children.until(child, lambda: children.saved(path))
        first = time.monotonic() - begin
        if children.wait(child):
            raise RuntimeError(f"{run} ended with {child.returncode}:\n{children.said(path)}")
    seconds = time.monotonic() - begin
    if found := differences(folder / "compiling", path):
        raise RuntimeError(f"two undisturbed runs of {run} differ: {found}")
    forget(folder / "compiling")
    known.write_text(json.dumps({"seconds": round(seconds, 2), "first": round(first, 2)}))
    return Undisturbed(path, seconds, first)


def go(asked: Plan, known: Undisturbed, folder: pathlib.Path) -> dict[str, Any]:
    """Kills a run as planned, continues it, and compares.

    Args:
      asked: the plan.
      known: the run that nobody disturbed.
      folder: where the round lies while it lasts; what ends otherwise than it should is left there.

    Returns:
      What happened, as JSON can hold it; "wrong" is empty where all is as it should be.
    """
    path = folder / f"round-{asked.number}"
    for attempt in range(ATTEMPTS):
        forget(path)
        # Sooner each time: what is too late to be killed was late because the run is faster than the undisturbed one.
        killed = _kill(asked, path, known, 0.95 * asked.share * 0.85**attempt)
        if killed is not None:
            break
    else:
        raise RuntimeError(f"{asked.run}: no kill as planned in {ATTEMPTS} attempts: {asked}")
    wrong = _unexpected(asked, path, killed)
    begin = time.monotonic()
    try:
        children.finish(asked.run, path)
        wrong += differences(known.path, path)
    except RuntimeError as error:
        wrong.append(str(error))
    if not wrong:
        forget(path)
    return {
        "run": asked.run, "round": asked.number, "signal": asked.signal.name, "when": asked.when, **killed._asdict(),
        "resumed_seconds": round(time.monotonic() - begin, 2), "wrong": wrong,
    }  # fmt: skip


def _kill(asked: Plan, path: pathlib.Path, known: Undisturbed, share: float) -> Killed | None:
    """Starts and kills a run; None where it ended before, or was not where the plan wants it."""
    with children.start(asked.run, path) as child:
        if asked.when == "any time":
            children.until(child, lambda: False, share * known.seconds)
        else:
            children.until(child, lambda: children.saved(path))
            children.until(child, lambda: False, share * max(0.0, known.seconds - known.first))
        if asked.when == "saving":
            children.until(child, lambda: children.saving(path), pause=0.002)
        later, saving = children.saved(path), children.saving(path)
        if child.poll() is None:
            child.send_signal(asked.signal)
        begin = time.monotonic()
        code = children.wait(child)
    # A save may have ended between the look and the kill.
    saving = saving and (asked.signal != signal.SIGKILL or children.saving(path))
    if code == 0 or (asked.when != "any time" and not later) or (asked.when == "saving" and not saving):
        return None
    return Killed(later, saving, code, round(time.monotonic() - begin, 2))


def _unexpected(asked: Plan, path: pathlib.Path, killed: Killed) -> list[str]:
    """Says what a run did that it should not have done when it got its signal."""
    if asked.signal == signal.SIGKILL or not killed.later:
        # Before it holds its folder, a run ends as any other program does.
        expected = {-asked.signal, 128 + asked.signal}
    else:
        expected = {128 + asked.signal}
    wrong = [] if killed.code in expected else [f"exit code {killed.code}"]
    if killed.code == 128 + asked.signal and "all that had ended is saved" not in children.said(path):
        wrong.append("did not say how to go on")
    return wrong


def forget(path: pathlib.Path) -> None:
    """Removes the folder of a run, and its log."""
    shutil.rmtree(path, ignore_errors=True)
    children.log_of(path).unlink(missing_ok=True)
