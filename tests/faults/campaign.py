"""The campaign: rounds and mishaps, several at a time, each kept in a file of JSON lines as soon as it is over."""

import concurrent.futures
import json
import pathlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from tests.faults import rounds
from tests.faults.mishaps import MISHAPS

#: The run that mishaps befall.
UNLUCKY = "pbt"

Entry = dict[str, Any]


class Kept:
    """Entries in a file of JSON lines, of which a kill costs none but a line that it cut.

    path: the file.
    entries: what it holds.
    """

    def __init__(self, path: pathlib.Path):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        whole = [line for line in lines if line.endswith("\n")]
        path.write_text("".join(whole))
        self.entries: list[Entry] = [json.loads(line) for line in whole]
        self._lock = threading.Lock()

    def add(self, entry: Entry) -> None:
        """Writes an entry down."""
        with self._lock, self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
            self.entries.append(entry)


def run(names: Sequence[str], count: int, seed: int, out: pathlib.Path, at_once: int, seconds: float) -> Kept:
    """Runs what of a campaign is not over yet.

    Args:
      names: of the runs.
      count: rounds of each.
      seed: of the moments.
      out: folder of the campaign.
      at_once: how many children at a time.
      seconds: after which nothing new is begun.

    Returns:
      What happened so far.
    """
    kept, until = Kept(out / "rounds.jsonl"), time.monotonic() + seconds
    known: dict[str, rounds.Undisturbed] = {}
    for name in names:
        if time.monotonic() < until:
            known[name] = rounds.undisturbed(name, out / name)
            print(f"{name}: {known[name].seconds:.1f} s undisturbed, saves after {known[name].first:.1f} s", flush=True)
    done = {(entry["run"], entry.get("round"), entry.get("mishap")) for entry in kept.entries}
    asked: list[Callable[[], Entry]] = []
    for number in range(1, count + 1):
        for name in known:
            if (name, number, None) not in done:
                plan = rounds.plan(name, number, seed)
                asked.append(lambda plan=plan, name=name: rounds.go(plan, known[name], out / name))
    for name, mishap in MISHAPS.items():
        if UNLUCKY in known and (UNLUCKY, None, name) not in done:
            asked.append(
                lambda name=name, mishap=mishap: {
                    **mishap(UNLUCKY, known[UNLUCKY], out / UNLUCKY), "mishap": name
                }
            )  # fmt: skip

    def one(ask: Callable[[], Entry]) -> None:
        if time.monotonic() < until:
            entry = ask()
            kept.add(entry)
            print(json.dumps(entry), flush=True)

    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        list(pool.map(one, asked))
    return kept


def table(kept: Kept, out: pathlib.Path) -> str:
    """Returns what happened as two tables in Markdown."""
    kills = [entry for entry in kept.entries if "round" in entry]
    lines = [
        "| run | seconds undisturbed | kills | SIGKILL, SIGTERM, SIGINT | after the first checkpoint | inside a save "
        "| resumed with equal bits |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(entry["run"] for entry in kills):
        rows = [entry for entry in kills if entry["run"] == name]
        signals = ", ".join(str(sum(row["signal"] == one.name for row in rows)) for one in rounds.SIGNALS)
        later, saving = (sum(row[what] for row in rows) for what in ("later", "saving"))
        seconds = json.loads((out / name / "undisturbed.json").read_text())["seconds"]
        equal = sum(not row["wrong"] for row in rows)
        lines.append(f"| {name} | {seconds:.1f} | {len(rows)} | {signals} | {later} | {saving} | {equal} |")
    mishaps = [entry for entry in kept.entries if "mishap" in entry]
    if mishaps:
        lines += ["", "| mishap | run | what happened | what the user saw | end |", "|---|---|---|---|---|"]
        for row in mishaps:
            end = "; ".join(row["wrong"]) or "as it should be"
            how = row["how"]
            lines.append(f"| {how} | {row['run']} | {row['happened']} | `{row['saw']}` | {end} |")
    return "\n".join(lines)
