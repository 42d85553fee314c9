"""Entry of `python -m experiments.importing`."""

import argparse
import pathlib
import tempfile
from typing import Any

import experiments.importing
from experiments.importing.measuring import measure
from experiments.importing.sources import Source, sources
from experiments.report import table, versions, write_json

COLUMNS = (
    "network", "source", "parameters", "operators", "import (s)", "processor (s)", "difference", "gradients",
    "export (s)", "exported", "returned",
)  # fmt: skip


def main() -> None:
    """Runs the matrix."""
    parser = argparse.ArgumentParser(
        "python -m experiments.importing",
        description=experiments.importing.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--out", metavar="DIR", type=pathlib.Path, help="folder for matrix.md and result.json")
    parser.add_argument("--only", metavar="NAME", nargs="*", help="networks to run (default: all)")
    options = parser.parse_args()
    known = sources()
    unknown = sorted(set(options.only or ()) - {source.name for source in known})
    if unknown:
        parser.error(
            f"--only names {', '.join(unknown)}, expected some of {', '.join(source.name for source in known)}"
        )
    chosen = [source for source in known if not options.only or source.name in options.only]
    results = {source.name: _run(source) for source in chosen}
    rows = [_row(source, results[source.name]) for source in chosen]
    table("Imported networks", COLUMNS, rows)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "matrix.md").write_text(_markdown(rows))
        write_json(options.out / "result.json", {"versions": versions(), "networks": results})


def _run(source: Source) -> dict[str, Any]:
    missing = source.missing()
    if missing:
        return {"missing": missing}
    print(f"{source.name} ...", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        path = source.write(pathlib.Path(folder))
        try:
            return measure(path)
        except ValueError as error:
            # What jaxevo refuses is a result; the other networks go on.
            return {"failed": str(error)}


def _row(source: Source, found: dict[str, Any]) -> tuple[str, ...]:
    if "failed" in found:
        return (source.name, source.origin, *[""] * 4, f"failed: {found['failed']}", *[""] * 4)
    if "missing" in found:
        return (source.name, source.origin, *[""] * 4, f"not run: needs {', '.join(found['missing'])}", *[""] * 4)
    difference = f"{found['difference']:.1e}" + (" (reference the same for all inputs)" if found["degenerate"] else "")
    return (
        source.name,
        source.origin,
        f"{found['parameters']:,}",
        str(found["operators"]),
        f"{found['seconds']:.2f}",
        f"{found['processor_seconds']:.2f}",
        difference,
        "finite" if found["finite"] else "not finite",
        f"{found['export_seconds']:.2f}",
        f"{found['exported_difference']:.1e}",
        f"{found['returned_difference']:.1e}" + ("" if found["returned_equal"] else " (other parameters)"),
    )


def _markdown(rows: list[tuple[str, ...]]) -> str:
    lines = [COLUMNS, ("---",) * 2 + ("---:",) * (len(COLUMNS) - 2), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    main()
