"""Counts what NSGA-II and GOMEA need to find the whole known front of a deceptive problem with two objectives.

    python -m experiments.benchmarks.search [--out DIR]

Genes come in blocks of four. The first objective rewards blocks of ones, but leads every incomplete block to zeros; the
second does the reverse. Only genomes whose blocks are all ones or all zeros are on the front. A network counts once,
however often a strategy asks for it. Each strategy gets the population that serves it best of those tried: the one with
the fewest evaluations on average, of those with which it found the whole front with every seed.
"""

import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.folder import claim
from experiments.options import parse_benchmark
from experiments.report import table, versions, write_json
from jaxevo import search
from jaxevo.search import Strategy
from jaxevo.space import Space

#: What is compared: name -> (space, population) -> strategy.
STRATEGIES: dict[str, Callable[[Space, int], Strategy]] = {
    "nsga2": search.nsga2,
    "tree": search.gomea,
    "kernels": lambda space, population: search.gomea(space, population, linkage="kernels"),
    "univariate": lambda space, population: search.gomea(space, population, linkage="univariate"),
}
TITLES = {
    "nsga2": "NSGA-II",
    "tree": "GOMEA, linkage tree per cluster",
    "kernels": "GOMEA, linkage kernels",
    "univariate": "GOMEA, each gene by itself",
}


class Settings(NamedTuple):
    """What is measured.

    blocks, size: of the problem; the front has one point more than there are blocks.
    populations: those tried, ascending.
    seeds: how many, from 0.
    most: distinct genomes after which a search has failed; also a tenth as many in a row that are all known.
    """

    blocks: int = 5
    size: int = 4
    populations: tuple[int, ...] = (32, 64, 128, 256, 512, 1024)
    seeds: int = 5
    most: int = 30_000


def traps(blocks: int, size: int) -> Space:
    """Makes the problem a space; its genomes stand for no networks.

    Args:
      blocks: number of blocks, at least 1.
      size: genes in each, at least 3.

    Returns:
      A space of genomes int32 [blocks * size] of zeros and ones, with uniform crossover and mutation of each gene with
      probability 1 / (blocks * size).
    """
    genes = blocks * size

    def sample(key, n):
        return jax.random.bernoulli(key, 0.5, (n, genes)).astype(jnp.int32)

    def vary(key, a, b):
        mix, flip = jax.random.split(key)
        mixed = jnp.where(jax.random.bernoulli(mix, 0.5, a.shape), a, b)
        return jnp.where(jax.random.bernoulli(flip, 1 / genes, a.shape), 1 - mixed, mixed)

    def none(*_):
        raise NotImplementedError("the genomes of traps stand for no networks")

    name = f"{blocks} traps of {size}"
    return Space(name, {}, jax.ShapeDtypeStruct((1,), jnp.float32), sample, vary, apply=none, decode=none, cost=none)


def score(genomes: np.ndarray, size: int) -> np.ndarray:
    """Scores genomes of `traps`.

    Args:
      genomes: of zeros and ones, [n, blocks * size].
      size: genes in each block.

    Returns:
      [n, 2], larger is better; a block with u ones adds `size` to the first objective if u is `size`, else
      `size - 1 - u`, and to the second what its zeros would add to the first.

    Source: Luong, La Poutré, Bosman 2014, "Multi-objective Gene-pool Optimal Mixing Evolutionary Algorithms", trap and
    inverse trap.
    """
    ones = genomes.reshape(len(genomes), -1, size).sum(axis=2)
    zeros = size - ones
    return np.stack([np.where(u == size, size, size - 1 - u).sum(axis=1) for u in (ones, zeros)], axis=1).astype(float)


def front(blocks: int, size: int) -> np.ndarray:
    """Returns the front of `traps`, [blocks + 1, 2]: k blocks of ones, the others of zeros, for every k."""
    ones = np.arange(blocks + 1)
    return np.stack([blocks * (size - 1) + ones, blocks * size - ones], axis=1).astype(float)


def evaluations(strategy: Strategy, blocks: int, size: int, seed: int, most: int) -> int | None:
    """Counts the distinct genomes that a strategy asks for until the whole front has been among them.

    Args:
      strategy: of `traps(blocks, size)`.
      blocks, size: of the problem.
      seed: of the search.
      most: distinct genomes after which to give up; also after a tenth as many genomes in a row that are all known.

    Returns:
      The number, None where the front was not found.
    """
    key = jax.random.key(seed)
    state = strategy.init(jax.random.fold_in(key, 0))
    missing, seen, known, generation = {tuple(point) for point in front(blocks, size)}, set(), 0, 0
    while len(seen) < most and known <= most // 10:
        generation += 1
        ask_key, tell_key = jax.random.split(jax.random.fold_in(key, generation))
        genomes = np.asarray(strategy.ask(ask_key, state))
        if not len(genomes):
            return None
        fitness = score(genomes, size)
        for genome, point in zip(genomes, fitness, strict=True):
            known = known + 1 if genome.tobytes() in seen else 0
            seen.add(genome.tobytes())
            missing.discard(tuple(point))
            if not missing:
                return len(seen)
        state = strategy.tell(tell_key, state, genomes, fitness)
    return None


def tried(name: str, settings: Settings) -> dict[int, list[int]]:
    """Returns the evaluations with each seed, by population, where the front was found with all of them.

    Two doublings in a row that make it worse end the trial.
    """
    space, found, worse = traps(settings.blocks, settings.size), {}, 0
    for population in settings.populations:
        strategy, counts = STRATEGIES[name](space, population), []
        for seed in range(settings.seeds):
            counts.append(evaluations(strategy, settings.blocks, settings.size, seed, settings.most))
            if counts[-1] is None:
                break
        if None in counts:
            continue
        worse = worse + 1 if found and np.mean(counts) > min(map(np.mean, found.values())) else 0
        found[population] = counts
        if worse == 2:
            break
    return found


def figures(counts: dict[str, dict[int, list[int]]]) -> dict[str, Any]:
    """Returns the best population of each strategy, its evaluations, and the ratios of those of NSGA-II to them.

    Args:
      counts: by strategy, what `tried` returns; a strategy that found nothing has no figures.
    """
    best = {name: min(found, key=lambda n, f=found: np.mean(f[n])) for name, found in counts.items() if found}
    mean = {name: float(np.mean(counts[name][population])) for name, population in best.items()}
    return {
        "population": best,
        "evaluations": {name: counts[name][population] for name, population in best.items()},
        "mean_evaluations": mean,
        "ratios": {
            f"nsga2_over_{name}": mean["nsga2"] / mean[name] for name in mean if name != "nsga2" and "nsga2" in mean
        },
        "worst_ratios": {
            f"nsga2_over_{name}": min(counts["nsga2"][best["nsga2"]]) / max(counts[name][best[name]])
            for name in mean
            if name != "nsga2" and "nsga2" in mean
        },
    }


def benchmark(settings: Settings, out: pathlib.Path) -> dict[str, Any]:
    """Counts for every strategy, prints a table and writes `result.json`.

    Args:
      settings: what to measure.
      out: folder of the results.

    Returns:
      What `result.json` holds.
    """
    with claim(out, settings._asdict(), resume=False) as folder:
        counts = {}
        for name, title in TITLES.items():
            with folder.phase(title):
                counts[name] = tried(name, settings)
        result = {
            "benchmark": "search",
            **settings._asdict(),
            **figures(counts),
            "tried": {name: {str(n): float(np.mean(found[n])) for n in found} for name, found in counts.items()},
            "seconds": folder.seconds,
            "versions": versions(),
        }
        write_json(folder.path / "result.json", result)
    _print(result)
    return result


def _print(result: dict[str, Any]) -> None:
    rows = []
    for name, title in TITLES.items():
        if name not in result["population"]:
            rows.append((title, "-", "not found", "-", "-"))
            continue
        counts = result["evaluations"][name]
        rows.append(
            (
                title,
                result["population"][name],
                f"{np.mean(counts):.0f}",
                f"{min(counts)} to {max(counts)}",
                f"{result['ratios'].get(f'nsga2_over_{name}', 1.0):.2f}",
            )
        )
    columns = ("strategy", "population", "evaluations, mean", "over seeds", "NSGA-II / this")
    table(f"{result['blocks']} traps of {result['size']}, {result['seeds']} seeds", columns, rows)


def main() -> None:
    """Runs the benchmark."""
    benchmark(Settings(), parse_benchmark("search", __doc__ or "").out)


if __name__ == "__main__":
    main()
