"""Entry of `python -m experiments.transfer_similarity`."""

import argparse
import csv
import pathlib

import numpy as np

import experiments.transfer_similarity
from experiments.report import table, versions, write_json
from experiments.transfer_similarity.architectures import graph_of
from experiments.transfer_similarity.figures import draw_scatter
from experiments.transfer_similarity.statistics import Estimate, Pairs, summary
from jaxevo import plots, transfer

COLUMNS = ("teacher", "student", "sim", "acc_ratio")


def main() -> None:
    """Computes the measures of all pairs, prints the comparison and draws it."""
    parser = argparse.ArgumentParser(
        "python -m experiments.transfer_similarity",
        description=experiments.transfer_similarity.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--published", metavar="FILE.csv", type=pathlib.Path, required=True, help="the published table")
    parser.add_argument(
        "--out", metavar="DIR", type=pathlib.Path, default=pathlib.Path("runs/transfer_similarity"),
        help="folder of results (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--graphs", metavar="DIR", type=pathlib.Path, help="folder of ONNX files (default: OUT/graphs)")
    options = parser.parse_args()
    pairs, published = read(options.published)
    plots.canvas()
    folder = options.graphs or options.out / "graphs"
    for path in (options.out, folder):
        path.mkdir(parents=True, exist_ok=True)
    graphs = {}
    for name in dict.fromkeys((*pairs.teachers, *pairs.students)):
        print(f"{name} ...", flush=True)
        graphs[name] = graph_of(name, folder)
    aligned = [transfer.align(graphs[a], graphs[b]) for a, b in zip(pairs.teachers, pairs.students, strict=True)]
    measures = {
        "similarity": np.array([one.similarity for one in aligned]),
        "coverage": np.array([one.coverage for one in aligned]),
        "published": published,
    }
    found = {name: summary(pairs, values) for name, values in measures.items()}
    _print(pairs, measures, found)
    draw_scatter(options.out / "scatter.png", pairs, measures)
    rows = [
        {"teacher": a, "student": b, "gain": float(gain), **{name: float(m[i]) for name, m in measures.items()}}
        for i, (a, b, gain) in enumerate(zip(*pairs, strict=True))
    ]
    shown = {
        name: {key: one._asdict() if isinstance(one, Estimate) else one for key, one in figures.items()}
        for name, figures in found.items()
    }
    write_json(options.out / "result.json", {"pairs": rows, "measures": shown, "versions": versions()})
    print(f"results are in {options.out}")


def read(path: pathlib.Path) -> tuple[Pairs, np.ndarray]:
    """Reads a table of pairs.

    Args:
      path: a CSV file with the columns teacher, student, sim and acc_ratio.

    Returns:
      The pairs, and the published similarity of each.

    Raises:
      SystemExit: where it is no such file.
    """
    if not path.is_file():
        raise SystemExit(f"--published is {path}, which is no file; pass the published table of pairs")
    with path.open(newline="") as file:
        lines = list(csv.DictReader(file))
    absent = [column for column in COLUMNS if not lines or column not in lines[0]]
    if absent:
        raise SystemExit(f"{path} lacks {', '.join(absent)}, expected columns {', '.join(COLUMNS)} and some lines")
    try:
        numbers = np.array([[float(line["sim"]), float(line["acc_ratio"])] for line in lines])
    except ValueError as error:
        raise SystemExit(f"{path} holds what is no number: {error}") from None
    teachers, students = (tuple(line[column] for line in lines) for column in COLUMNS[:2])
    return Pairs(teachers, students, numbers[:, 1]), numbers[:, 0]


def _print(pairs: Pairs, measures: dict[str, np.ndarray], found: dict[str, dict]) -> None:
    rows = [
        (f"{a} -> {b}", *(f"{values[i]:.3f}" for values in measures.values()), f"{pairs.gain[i]:.2f}")
        for i, (a, b) in enumerate(zip(pairs.teachers, pairs.students, strict=True))
    ]
    table("pairs", ("teacher -> student", *measures, "gain"), rows)
    shown = [(name, *(_shown(figures[key]) for key in figures)) for name, figures in found.items()]
    columns = (
        "measure",
        "spearman",
        "pearson",
        "spearman within a student",
        "chosen gain / best",
        "area, gain or harm",
    )
    table(f"{len(pairs.gain)} pairs, intervals of 95% over pairs", columns, shown)


def _shown(one: Estimate | float) -> str:
    return f"{one.value:.3f} ({one.low:.2f} to {one.high:.2f})" if isinstance(one, Estimate) else f"{one:.3f}"


if __name__ == "__main__":
    main()
