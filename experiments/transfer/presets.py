"""What the presets of the transfer experiment do."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A teacher or student.

    family: its family in the zoo, or "timm".
    sizes: its sizes; of timm, `{"name": ...}`.
    """

    family: str
    sizes: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of one run.

    data: name of the data set.
    share: one training picture in so many is the students', the others the teachers'; 1 where these come trained.
    pairs: names of teacher and student in `ZOO`.
    compared: those of the pairs on which the baselines run as well.
    teacher_epochs, teacher_rates: of AdamW, by family; "" for the other families.
    epochs: of students.
    batch: examples in a step.
    repeats: of each student's training, with seeds of its own.
    optimizers: what is chosen from for students: "adamw" or "sgd" (with Nesterov momentum 0.9), and rates.
    inertia: by how much ours enlarges what a batch normalisation follows, as rates are tuned for random beginnings.
      With keys that no run draws, four pairs of `small` are ahead on valid with 4 of what they are with 1, after one
      epoch and after four.
    """

    data: str
    share: int
    pairs: tuple[tuple[str, str], ...]
    compared: tuple[tuple[str, str], ...]
    teacher_epochs: int
    teacher_rates: dict[str, float]
    epochs: int
    batch: int
    repeats: int
    optimizers: dict[str, tuple[float, ...]]
    inertia: float = 4.0


ZOO = {
    "resnet": Architecture("resnet", {"depths": (2, 2, 2)}),
    "resnet-deep": Architecture("resnet", {"depths": (3, 3, 3)}),
    "resnet-wide": Architecture("resnet", {"stem": 24, "widths": (24, 48, 96), "depths": (2, 2, 2)}),
    "mobilenet": Architecture("mobilenet"),
    "mobilenet-wide": Architecture("mobilenet", {"stem": 24, "widths": (24, 32, 48), "head": 192}),
    "efficientnet": Architecture("efficientnet"),
    "efficientnet-deep": Architecture("efficientnet", {"depth_factor": 1.5}),
    "convnext": Architecture("convnext", {"depths": (2, 2, 2)}),
    "convnext-wide": Architecture("convnext", {"widths": (24, 48, 96), "depths": (2, 2, 2)}),
    "vit": Architecture("vit"),
    "vit-deep": Architecture("vit", {"depth": 6}),
    "vit-wide": Architecture("vit", {"width": 96, "heads": 6}),
}

#: Listed before any of them was run: within families across width and depth, across families that share a block, and
#: across families that share little.
_PAIRS = (
    ("resnet-deep", "resnet"),
    ("resnet-wide", "resnet"),
    ("resnet", "resnet-deep"),
    ("resnet", "resnet-wide"),
    ("mobilenet-wide", "mobilenet"),
    ("efficientnet", "mobilenet"),
    ("mobilenet", "efficientnet"),
    ("efficientnet-deep", "efficientnet"),
    ("convnext-wide", "convnext"),
    ("convnext", "convnext-wide"),
    ("vit-deep", "vit"),
    ("vit-wide", "vit"),
    ("convnext", "efficientnet"),
    ("resnet", "mobilenet"),
    ("vit", "convnext"),
)

#: On these every family is a student, and jaxevo is compared with all that it could be compared with.
_COMPARED = (
    ("resnet-wide", "resnet"),
    ("efficientnet", "mobilenet"),
    ("convnext-wide", "convnext"),
    ("vit-deep", "vit"),
)

_SMALL = Settings(
    data="photos:size=24,per_class=256",
    share=4,
    pairs=_PAIRS,
    compared=_COMPARED,
    teacher_epochs=16,
    teacher_rates={"": 3e-3, "vit": 1e-3},
    epochs=4,
    batch=32,
    repeats=3,
    optimizers={"adamw": (1e-3, 3e-3, 1e-2), "sgd": (0.03, 0.1)},
)

#: Four pairs within five minutes on two cores.
_QUICK = dataclasses.replace(
    _SMALL,
    data="photos:size=16,per_class=120",
    share=4,
    pairs=_COMPARED,
    compared=(),
    teacher_epochs=6,
    repeats=2,
    optimizers={"adamw": (3e-3,)},
)

#: Architectures of timm, teachers with its published weights.
_TIMM = (
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "semnasnet_100",
    "mnasnet_100",
    "mixnet_s",
    "tf_mobilenetv3_large_minimal_100",
    "regnetx_004",
    "regnety_004",
)
ZOO |= {name: Architecture("timm", {"name": name}) for name in _TIMM}

#: The pairs of timm that arXiv 2212.13970's code compares methods on.
_PAPER = Settings(
    data="tfds:cifar100",
    share=1,
    pairs=(
        ("efficientnet_b2", "efficientnet_b0"),
        ("semnasnet_100", "efficientnet_b0"),
        ("regnety_004", "efficientnet_b0"),
        ("tf_mobilenetv3_large_minimal_100", "efficientnet_b0"),
        ("mixnet_s", "efficientnet_b1"),
        ("efficientnet_b0", "efficientnet_b2"),
        ("efficientnet_b1", "efficientnet_b2"),
        ("efficientnet_b1", "mnasnet_100"),
        ("mixnet_s", "mnasnet_100"),
        ("regnetx_004", "regnety_004"),
    ),
    compared=(),
    teacher_epochs=0,
    teacher_rates={},
    epochs=4,
    batch=128,
    repeats=3,
    optimizers={"adamw": (3e-4, 1e-3, 3e-3), "sgd": (0.03, 0.1)},
)
_PAPER = dataclasses.replace(_PAPER, compared=_PAPER.pairs)

PRESETS = {
    "quick": _QUICK,
    "small": _SMALL,
    "paper": _PAPER,
    "paper-cifar10": dataclasses.replace(_PAPER, data="tfds:cifar10"),
    "paper-imagenet": dataclasses.replace(_PAPER, data="tfds:imagenet2012", epochs=50),
}
