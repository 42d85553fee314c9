"""Prints what the paper's settings of the systems take on an accelerator: seconds and dollars, by counting.

    python -m experiments.imagenet.cost [--device NAME] [--devices N] [--utilisation SHARE] [--peak T] [--price D]

Nothing is measured. A preset is a number of pictures that run through networks of so many multiply-adds, and a device
does so many in a second. One multiply-add is two operations; a backward pass takes twice a forward one (Kaplan et al.
2020, arXiv 2001.08361, section 2.1), so training counts thrice. Of a device's peak the share `UTILISATION` is reached,
and reading pictures is hidden behind the network, which `experiments.imagenet.evaluate` measures. Devices share the
work evenly: more of them take less time for the same price. What each number of pictures is made of is printed beside
it; what a search will find, such as how many networks its front has, is assumed, see `FRONT`.

Not counted: population-based training, whose members differ in cost by more than tenfold and whose agents wait for
simulators on the host.
"""

import argparse
import itertools
from typing import NamedTuple

from experiments.options import at_least_1
from experiments.parents import Parent
from experiments.pruning.presets import PRESETS as PRUNING
from experiments.report import table
from experiments.stitching.presets import PRESETS as STITCHING
from experiments.stitching.presets import Settings as Stitching
from experiments.subspace.presets import PRESETS as SUBSPACE
from experiments.subspace.presets import Architecture
from experiments.transfer.methods import BASELINES, OURS
from experiments.transfer.presets import PRESETS as TRANSFER
from experiments.transfer.presets import Settings as Transfer
from jaxevo.search.progress import clock


class Device(NamedTuple):
    """An accelerator.

    peak: operations in a second, bfloat16 without sparsity.
    price: dollars for an hour.
    """

    peak: float
    price: float


#: Peaks: cloud.google.com/tpu/docs/v5e and v5p, NVIDIA's data sheets of A100 and H100 (SXM). Prices on demand: of TPUs
#: Google Cloud's list price as quoted in January 2026, of GPUs jarvislabs.ai/blog/h100-vs-a100, April 2026; large
#: clouds ask for two to three times as much for a GPU.
DEVICES = {
    "TPU v5e": Device(197e12, 1.20),
    "TPU v5p": Device(459e12, 4.20),
    "A100": Device(312e12, 1.49),
    "H100": Device(989e12, 2.69),
}

#: Share of the peak that networks for pictures reach: on an A100 in mixed precision NVIDIA trains ResNet-50 with 2,711
#: pictures per second and runs it with 5,742 (DeepLearningExamples, PaddlePaddle/Classification/RN50v1.5), 0.21 and
#: 0.15 of its peak. Depthwise convolutions reach less.
UTILISATION = 0.2

#: Multiply-adds of one forward pass of one picture at the size that the network is made for: those of the zoo as
#: `jaxevo.trace` counts them, of the others as published (arXiv 1807.11626, 2003.13678).
MULTIPLY_ADDS = {
    "resnet50": 4_089_184_256,
    "resnet152": 11_513_626_624,
    "resnext50": 4_230_479_872,
    "efficientnet_b0": 385_814_752,
    "efficientnet_b1": 686_802_832,
    "efficientnet_b2": 993_561_872,
    "efficientnet_b4": 4_393_771_024,
    "deeplabv3_resnet50": 169_146_438_888,
    "deeplabv3_mobilenet_v3_large": 10_635_629_768,
    "mnasnet_100": 315_000_000,
    "regnety_004": 400_000_000,
}


class Data(NamedTuple):
    """How many pictures a set has.

    train, valid: of each split.
    share: of the multiply-adds at the network's own size that a picture of this set's size takes.
    """

    train: int
    valid: int
    share: float = 1.0


#: Of VOC 2012 the pictures with maps of classes; CIFAR's pictures have 32 pixels a side.
SETS = {
    "tfds:imagenet2012": Data(1_281_167, 50_000),
    "tfds:voc/2012": Data(1_464, 1_449),
    "tfds:cifar100": Data(50_000, 10_000, (32 / 224) ** 2),
    "tfds:cifar10": Data(50_000, 10_000, (32 / 224) ** 2),
    "tfds:rock_paper_scissors": Data(2_520, 372),
}

#: Networks on a front, for which it is counted how they are scored on all of valid and retrained.
FRONT = 100

#: A forward and a backward pass.
TRAINING = 3


class Work(NamedTuple):
    """A part of a preset.

    name: what it is.
    counted: what the number of pictures is made of.
    pictures: how many run through a network.
    adds: multiply-adds that each takes.
    """

    name: str
    counted: str
    pictures: float
    adds: float

    @property
    def operations(self) -> float:
        """Returns its operations, two for each multiply-add."""
        return 2 * self.pictures * self.adds


def stitching(settings: Stitching) -> list[Work]:
    """Counts a preset of stitching; an offspring costs what its parents cost on average, and shares nothing."""
    data = SETS[settings.data]
    costs = [MULTIPLY_ADDS[parent.family] for parent in settings.parents if isinstance(parent, Parent)]
    mean, examples = sum(costs) / len(costs), min(settings.fitness_examples or data.valid, data.valid)
    searches, budget = 2 + len(settings.rivals), settings.budget or 0
    found = [
        Work("stitches", f"train {data.train:,}, once through all parents", data.train, sum(costs)),
        Work(
            "searches", f"{searches} searches x {budget:,} networks x {examples:,} examples",
            searches * budget * examples, mean,
        ),
        Work("front on valid", f"{FRONT} networks x {data.valid:,}", FRONT * data.valid, mean),
    ]  # fmt: skip
    if settings.retraining is not None:
        epochs, steps = settings.retraining.epochs, settings.retraining.steps
        seen = epochs * (data.train if steps is None else min(data.train, steps * settings.retraining.batch))
        count = FRONT + len(costs)
        found.append(Work("retraining", f"{count} networks x {seen:,} examples", count * seen, TRAINING * mean))
    return found


def subspace() -> list[Work]:
    """Counts the preset of subspace mutations for one parent."""
    settings = SUBSPACE["paper"]
    assert isinstance(settings.parent, Architecture)
    data, cost = SETS[settings.data], MULTIPLY_ADDS[settings.parent.architecture]
    window, first, several = settings.window, settings.generation, settings.evolution
    seen = [min(part.examples or data.valid, data.valid) for part in (window, several)]
    curves = len(window.subspaces) * len(window.sigmas) * window.children
    children = len(first.sigmas) * first.pilot + first.children
    offspring = several.population * several.generations
    return [
        Work("window", f"{curves:,} children x {seen[0]:,} examples", curves * seen[0], cost),
        Work("generation", f"2 kinds x {children} children x {data.valid:,}", 2 * children * data.valid, cost),
        Work("evolution", f"2 kinds x {offspring:,} children x {seen[1]:,}", 2 * offspring * seen[1], cost),
    ]


def pruning() -> list[Work]:
    """Counts the preset of pruned heads, every one of which trains for as long as it may."""
    settings = PRUNING["paper"]
    data, features = SETS[settings.data], 2048
    widths = (features, *settings.hidden, 3)
    head = sum(a * b for a, b in itertools.pairwise(widths))
    heads, epochs = 2 * settings.search.evaluations + settings.references, settings.training.epochs
    every = data.train + data.valid
    return [
        Work("features", f"{every:,}, once through the backbone", every, MULTIPLY_ADDS["resnet50"]),
        Work(
            "heads", f"{heads} heads x {epochs} epochs at most x {data.train:,}",
            heads * epochs * data.train, TRAINING * head,
        ),
    ]  # fmt: skip


def transfer(settings: Transfer) -> list[Work]:
    """Counts a preset of transfer; teachers come trained."""
    data = SETS[settings.data]
    students = list(dict.fromkeys(student for _, student in settings.pairs))
    rates = sum(map(len, settings.optimizers.values()))
    runs = dict.fromkeys(students, rates + settings.repeats)
    for pair in settings.pairs:
        runs[pair[1]] += settings.repeats * len((OURS, *BASELINES) if pair in settings.compared else (OURS,))
    trained = sum(runs.values()) * settings.epochs
    # As much as all runs take on average, so that one line holds all students.
    mean = data.share * sum(MULTIPLY_ADDS[name] * count for name, count in runs.items()) / sum(runs.values())
    counted = f"{sum(runs.values())} students x {settings.epochs} epochs"
    return [
        Work("training", f"{counted} x {data.train:,}", trained * data.train, TRAINING * mean),
        Work("scoring", f"{counted} x 2 splits x {data.valid:,}", 2 * trained * data.valid, mean),
    ]


def presets() -> dict[str, list[Work]]:
    """Returns the work of every preset that is counted, by name."""
    return {
        **{f"stitching {name}": stitching(STITCHING[name]) for name in ("paper", "paper-resnext", "paper-voc")},
        "subspace paper (resnet50)": subspace(),
        "pruning paper": pruning(),
        **{f"transfer {name}": transfer(TRANSFER[name]) for name in ("paper", "paper-cifar10", "paper-imagenet")},
    }


def cost(work: Work, device: Device, utilisation: float, devices: int = 1) -> tuple[float, float]:
    """Returns what work takes.

    Args:
      work: the work.
      device: what does it.
      utilisation: share of its peak that is reached, in (0, 1].
      devices: how many share it.

    Returns:
      Seconds, and dollars for all devices.
    """
    alone = work.operations / (device.peak * utilisation)
    return alone / devices, alone / 3600 * device.price


def main(arguments: list[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        "python -m experiments.imagenet.cost",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--device", choices=DEVICES, default="TPU v5e", help="what does the work (default: %(default)s)")
    add("--devices", metavar="N", type=at_least_1, default=1, help="how many share it (default: 1)")
    add("--utilisation", metavar="SHARE", type=float, default=UTILISATION, help="of the peak (default: %(default)s)")
    add("--peak", metavar="T", type=float, help="tera-operations in a second (default: the device's)")
    add("--price", metavar="DOLLARS", type=float, help="for an hour of a device (default: the device's)")
    options = parser.parse_args(arguments)
    known = DEVICES[options.device]
    peak = known.peak if options.peak is None else 1e12 * options.peak
    device = Device(peak, known.price if options.price is None else options.price)
    if not 0 < options.utilisation <= 1 or device.peak <= 0 or device.price < 0:
        parser.error("--utilisation lies in (0, 1], --peak above 0 and --price not below it")
    rows = []
    for name, parts in presets().items():
        spent = [cost(work, device, options.utilisation, options.devices) for work in parts]
        for work, one in zip(parts, spent, strict=True):
            rows.append((f"{name}: {work.name}", work.counted, f"{work.adds / 1e9:,.3g}", *_shown(*one)))
        rows.append((f"{name}, in all", "", "", *_shown(*map(sum, zip(*spent, strict=True)))))
    table(
        f"{options.devices} x {options.device}: {device.peak / 1e12:g} T/s at {options.utilisation:g} of it, "
        f"${device.price:g} an hour",
        ("preset", "pictures", "multiply-adds (G)", "seconds", "h:mm:ss", "dollars"), rows,
    )  # fmt: skip


def _shown(seconds: float, dollars: float) -> tuple[str, str, str]:
    return f"{seconds:,.0f}", clock(seconds), f"{dollars:,.2f}"


if __name__ == "__main__":
    main()
