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
    share: one training picture in so many is the students', the others are the teachers'.
    pairs: names of teacher and student in `ZOO`.
    compared: those of the pairs on which the baselines run as well.
    teacher_epochs, teacher_rates: of AdamW, by family; "" for the other families.
    epochs: of students.
    batch: examples in a step.
    repeats: of each student's training, with seeds of its own.
    optimizers: what is chosen from for students: "adamw" or "sgd" (with Nesterov momentum 0.9), and rates.
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
    data="photos:size=24,per_class=400",
    share=8,
    pairs=_PAIRS,
    compared=_COMPARED,
    teacher_epochs=10,
    teacher_rates={"": 3e-3, "vit": 1e-3},
    epochs=4,
    batch=32,
    repeats=3,
    optimizers={"adamw": (1e-3, 3e-3, 1e-2), "sgd": (0.03, 0.1)},
)

PRESETS = {"small": _SMALL}
