"""No architecture is compiled twice; masked, none is compiled at all once the first step is taken."""

import shutil

import jax
import numpy as np

from experiments import programs
from tests.compilations import count_compilations
from tests.pbt import runs

GENERATIONS = 4


def watched(compact):
    """Returns, after each generation, the genomes so far [n, G] and the programs that it compiled."""
    genomes, compiled_by = [], []

    def callback(entry, state):
        genomes.append(np.asarray(state.genomes.genome))
        compiled_by.append(compiled[sum(map(len, compiled_by)) :])

    with count_compilations() as compiled:
        runs.go(compact, GENERATIONS, callback)
    return genomes, compiled_by


def test_masked_members_need_no_program_after_the_first_step():
    genomes, compiled = watched(compact=False)
    seen = np.concatenate(genomes)
    for column, gene in zip(seen.T, runs.architecture().genes, strict=True):
        assert set(column) == set(range(len(gene.options))), gene
    assert len(np.unique(seen, axis=0)) > len(np.unique(genomes[0], axis=0)), "architectures changed"
    assert sum("abreast" in name for name in compiled[0]) == 1
    # The first children are made before the second generation.
    assert compiled[2:] == [[]] * (GENERATIONS - 2)
    assert not [name for name in compiled[1] if "abreast" in name]


def test_specialised_members_need_one_program_for_each_architecture():
    genomes, compiled = watched(compact=True)
    seen = set()
    for generation, (these, names) in enumerate(zip(genomes, compiled, strict=True)):
        canonical = {tuple(np.asarray(runs.architecture().canonical(one)).tolist()) for one in these}
        steps = [name for name in names if "step" in name]
        assert len(steps) == len(canonical - seen), generation
        seen |= canonical
    assert len(seen) > len({tuple(one) for one in genomes[0].tolist()}), "architectures changed"
    everyone = np.concatenate(genomes)
    for column, gene in zip(everyone.T, runs.architecture().genes, strict=True):
        assert set(column) == set(range(len(gene.options))), gene


def test_a_run_that_is_resumed_finds_every_program_in_the_cache(tmp_path):
    counts = {"hits": 0, "misses": 0}

    def count(event: str, **_) -> None:
        for name in counts:
            counts[name] += event == f"/jax/compilation_cache/cache_{name}"

    jax.monitoring.register_event_listener(count)
    # Programs that other tests have compiled are forgotten, then those of the run, as by another process.
    with programs.kept(tmp_path / "cache", least=0):
        runs.forget()
        runs.go(True, 1, checkpoint=tmp_path / "run")
        shutil.copytree(tmp_path / "run", tmp_path / "cut")
        runs.go(True, 2, checkpoint=tmp_path / "run")
        assert counts["misses"] > 10
        runs.forget()
        counts["misses"] = 0
        runs.go(True, 2, checkpoint=tmp_path / "cut")
    assert counts["hits"] > 10
    assert counts["misses"] == 0
