"""The benchmark of large pairs, on small ones: what a genome is said to cost is what the extracted network costs."""

import jax

from experiments.benchmarks.pairs import Pair, measure


def test_an_extracted_offspring_costs_what_its_genome_says():
    found = measure(jax.random.key(0), Pair(("resnet_8px", "vgg_8px"), (8, 8, 3)), limit=10.0)
    child = found["offspring"]
    assert child["multiply_adds_extracted"] == child["multiply_adds_of_genome"]
    assert child["parameters_extracted"] == child["parameters_of_genome"]
    assert child["multiply_adds_extracted"] not in {one["multiply_adds"] for one in found["networks"].values()}
    assert found["matching"]["layers"]["pairs"] >= found["matching"]["cuts"]["pairs"] > 0
    assert found["matching"]["cuts"]["gap"] == 0
