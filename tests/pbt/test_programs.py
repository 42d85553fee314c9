"""No architecture is compiled twice; masked, none is compiled at all once the first step is taken."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from experiments.programs import kept
from tests.compilations import count_compilations
from tests.pbt import runs

GENERATIONS = 4


@pytest.fixture(autouse=True)
def nothing_known(tmp_path):
    """Begins with architectures and a cache of programs that no other test has used: what is known is not compiled."""
    runs.architecture.cache_clear()
    runs.parts.cache_clear()
    with kept(tmp_path / "programs"):
        yield


def watched(compact):
    """Returns, after each generation, the genomes so far [n, G] and the programs that it compiled."""
    genomes, programs = [], []

    def callback(entry, state):
        genomes.append(np.asarray(state.genomes.genome))
        programs.append(compiled[sum(map(len, programs)) :])

    with count_compilations() as compiled:
        runs.go(compact, GENERATIONS, callback)
    return genomes, programs


def test_masked_members_need_no_program_after_the_first_step():
    genomes, programs = watched(compact=False)
    seen = np.concatenate(genomes)
    for column, gene in zip(seen.T, runs.architecture().genes, strict=True):
        assert set(column) == set(range(len(gene.options))), gene
    assert len(np.unique(seen, axis=0)) > len(np.unique(genomes[0], axis=0)), "architectures changed"
    assert sum("abreast" in name for name in programs[0]) == 1
    # The first children are made before the second generation.
    assert programs[2:] == [[]] * (GENERATIONS - 2)
    assert not [name for name in programs[1] if "abreast" in name]


def test_specialised_members_need_one_program_for_each_architecture():
    genomes, programs = watched(compact=True)
    seen = set()
    for generation, (these, names) in enumerate(zip(genomes, programs, strict=True)):
        canonical = {tuple(np.asarray(runs.architecture().canonical(one)).tolist()) for one in these}
        steps = [name for name in names if "step" in name]
        assert len(steps) == len(canonical - seen), generation
        seen |= canonical
    assert len(seen) > len({tuple(one) for one in genomes[0].tolist()}), "architectures changed"
    everyone = np.concatenate(genomes)
    for column, gene in zip(everyone.T, runs.architecture().genes, strict=True):
        assert set(column) == set(range(len(gene.options))), gene


def test_a_run_that_is_resumed_finds_every_program_in_the_cache(tmp_path):
    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }

    def run(folder, *generations):
        root = pathlib.Path(__file__).parents[2]
        command = [sys.executable, "-m", "tests.pbt.runs", str(tmp_path / folder), *map(str, generations)]
        done = subprocess.run(command, cwd=root, env=os.environ | cache, check=True, capture_output=True, text=True)
        hits, misses = done.stdout.split()
        return int(hits), int(misses)

    _, compiled = run("run", 1, 2)
    assert compiled > 10
    hits, compiled = run("run-1", 2)
    assert hits > 10
    assert compiled == 0
