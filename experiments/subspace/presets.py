"""What the presets of the subspace experiment do."""

import dataclasses
from typing import Literal

from experiments.parents import Parent
from experiments.probing import Pretrained

Scale = Literal["absolute", "relative"]
Granularity = Literal["weight", "neuron", "layer"]


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A parent of timm with its published weights, on the classes that it was trained for.

    architecture: its name there, one of `ARCHITECTURES`.
    """

    architecture: str


@dataclasses.dataclass(frozen=True)
class Window:
    """How the critical mutation window is measured.

    subspaces: numbers of parts of the partitions, 1 for dense mutations.
    sigmas: the grid, ascending; all partitions share it.
    children: of each partition; the same ones at every sigma.
    examples: of valid that each child is scored on, None for all.
    """

    subspaces: tuple[int, ...]
    sigmas: tuple[float, ...]
    children: int
    examples: int | None


@dataclasses.dataclass(frozen=True)
class Generation:
    """One generation of children, sparse and as many dense ones.

    subspaces, granularity: number of parts of the sparse partition, and what a part takes or leaves as a whole.
    sigmas: what sigma is chosen from, for sparse and dense apart.
    pilot: how many of the children are scored at every sigma, to choose it.
    children: of either kind at the chosen sigma.
    antithetic: whether they come in pairs of opposite noise.
    members: votes of the greedy ensemble.
    best: how many of the best children are recombined, and vote with one vote each.
    """

    subspaces: int
    granularity: Granularity
    sigmas: tuple[float, ...]
    pilot: int
    children: int
    antithetic: bool
    members: int
    best: int


@dataclasses.dataclass(frozen=True)
class Evolution:
    """Several generations of truncation selection, sparse and dense.

    population, elite: of the strategy.
    generations: how many.
    terms: mutations that a genome adds up.
    examples: of valid that each child is scored on, None for all.
    """

    population: int
    elite: int
    generations: int
    terms: int
    examples: int | None


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of one run.

    data: name of the data set.
    parent: the network that is mutated.
    batch: examples in a training step.
    scale: of sigma, see `subspace.partition`.
    window, generation, evolution: the three parts.
    """

    data: str
    parent: Parent | Pretrained | Architecture
    batch: int
    scale: Scale
    window: Window
    generation: Generation
    evolution: Evolution


#: Wide enough for the best of dense and of sparse mutations to lie inside.
_SIGMAS = (0.0075, 0.015, 0.03, 0.075, 0.15, 0.3, 0.6)

#: Sigma in units of a layer's own spread; from where dense mutations do no harm to where the sparsest break a network.
_GRID = tuple(round(0.02 * 1.6**i, 4) for i in range(14))

#: The same for networks that stand less.
_WIDE_GRID = tuple(round(0.005 * 1.6**i, 4) for i in range(14))

#: Ends within five minutes on two cores.
_QUICK = Settings(
    data="digits",
    parent=Parent(
        "resnet", {"stem": 8, "stem_stride": 1, "widths": (8, 16), "depths": (1, 1), "strides": (1, 2)}, 16, 5e-3
    ),
    batch=50,
    scale="relative",
    window=Window((1, 16, 64, 256), _GRID, children=8, examples=200),
    generation=Generation(7, "layer", _SIGMAS, pilot=28, children=112, antithetic=True, members=32, best=8),
    evolution=Evolution(population=24, elite=6, generations=8, terms=8, examples=200),
)

#: A harder task, on crops so small that each split sees many places of every photograph; the figures over seeds come
#: from this one. A mask holds one of the network's 11 layers: on other seeds, ensembles of such children lowered the
#: parent's NLL more than those of neurons or weights in 16 to 256 parts. The parent stops at a rate that never fell and
#: learns from labels as they are, so that it has something left to gain: of annealed parents, mutations change the
#: NLL by less than 0.01 and the accuracy by nothing that shows; and labels that are smoothed leave networks less sure
#: than they should be, which votes make worse.
_SMALL = dataclasses.replace(
    _QUICK,
    data="photos:size=16,per_class=768",
    parent=Parent(
        "resnet",
        {"stem": 8, "stem_stride": 2, "widths": (8, 16, 32), "depths": (1, 1, 1), "strides": (2, 2, 2)},
        10,
        5e-3,
        smoothing=0.0,
        anneal=False,
    ),
    batch=64,
    window=Window((1, 16, 64, 256), _WIDE_GRID, children=12, examples=510),
    generation=Generation(11, "layer", _SIGMAS, pilot=44, children=176, antithetic=True, members=32, best=16),
    evolution=Evolution(population=24, elite=6, generations=8, terms=8, examples=510),
)

#: Architectures of the paper preset, by timm's names.
ARCHITECTURES = (
    "resnet18",
    "resnet50",
    "resnext50_32x4d",
    "wide_resnet50_2",
    "densenet121",
    "vgg16_bn",
    "mobilenetv3_large_100",
    "efficientnet_b0",
    "regnetx_004",
    "convnext_tiny",
    "vit_small_patch16_224",
    "swin_tiny_patch4_window7_224",
)

#: One generation on ImageNet, a run for each of `ARCHITECTURES`.
_PAPER = Settings(
    data="tfds:imagenet2012",
    parent=Architecture("resnet50"),
    batch=256,
    scale="relative",
    window=Window((1, 16, 64, 256), _GRID, children=16, examples=5000),
    generation=Generation(16, "layer", _SIGMAS, pilot=32, children=128, antithetic=True, members=32, best=16),
    evolution=Evolution(population=64, elite=16, generations=20, terms=20, examples=5000),
)

PRESETS = {"quick": _QUICK, "small": _SMALL, "paper": _PAPER}

#: What `--parent` does by preset with ImageNet weights: few children, as each costs more.
PRETRAINED = {
    "quick": dataclasses.replace(
        _QUICK,
        data="photos:size=56,per_class=48",
        batch=32,
        window=Window((1, 16, 64, 256), _WIDE_GRID[::2], children=2, examples=96),
        generation=Generation(16, "layer", _SIGMAS, pilot=16, children=32, antithetic=True, members=16, best=4),
        evolution=Evolution(population=8, elite=2, generations=3, terms=3, examples=96),
    ),
    "small": dataclasses.replace(
        _SMALL,
        data="photos:size=56,per_class=192",
        batch=32,
        window=Window((1, 16, 64, 256), _WIDE_GRID, children=8, examples=192),
        generation=Generation(16, "layer", _SIGMAS, pilot=32, children=64, antithetic=True, members=32, best=8),
        evolution=Evolution(population=16, elite=4, generations=8, terms=8, examples=192),
    ),
}
