"""What the presets of the experiment do."""

import dataclasses

from experiments.pbt_rl.agents import Sizes
from experiments.pbt_rl.drqv2 import Learning
from experiments.pbt_rl.practice import Course
from experiments.populations import Population


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of one run.

    data: task, see `tasks.make`.
    size: side of a frame in pixels.
    repeat: how often an action is repeated.
    stack: frames in an observation.
    sizes: of agents, and what they choose from.
    learning: how they learn.
    course: what they do between two scores.
    methods: names of those in `populations.METHODS`, all with the same budget.
    population: of each.
    generations: how often members are scored; between two of them members are replaced.
    tests: episodes that the best agent of each method is tested on in the end, and that no search sees.
    """

    data: str
    size: int
    sizes: Sizes
    learning: Learning
    course: Course
    population: Population
    generations: int
    methods: tuple[str, ...] = ("PBT-NAS", "random search", "mutation")
    repeat: int = 2
    stack: int = 3
    tests: int = 20


#: Agents for 24x24 pixels on a few cores: the first convolution, of 4x4 with stride 4, makes maps of 6x6; one block in
#: each network.
_SMALL_SIZES = Sizes(
    channels=16, hidden=128, blocks=1, stem=((4, 4),), maps=("id", "conv_3", "residual_3"),
    features=(25, 50),
)  # fmt: skip

#: As published but for the rate, the batch, and noise that goes down sooner: runs are shorter by two orders.
_SMALL_LEARNING = Learning(rate=1e-3, batch=128, noise=(1.0, 0.1), settle=10_000)

#: The mechanism and its pictures within five minutes on two cores.
_QUICK = Settings(
    data="pendulum",
    size=24,
    sizes=_SMALL_SIZES,
    learning=_SMALL_LEARNING,
    course=Course(steps=800, environments=10, first=800, remembered=10_000),
    population=Population(4),
    generations=4,
    methods=("PBT-NAS", "random search"),
)

_SMALL = dataclasses.replace(
    _QUICK,
    course=Course(steps=1000, environments=10, first=1000, remembered=10_000),
    population=Population(8),
    generations=6,
    methods=("PBT-NAS", "random search", "mutation"),
)

#: Quadruped Run as published (arXiv 2307.15621 and its code, quadrun_pbtnas.yml): 12 agents, 300 epochs of 10,000
#: frames, which are 5,000 steps, replaced every 10 epochs (before epoch 150 every 20), buffers of 100,000 steps. The
#: code evaluates every 100,000 frames on 10 episodes, as here.
_PAPER = Settings(
    data="control:quadruped-run",
    size=84,
    sizes=Sizes(),
    learning=Learning(),
    course=Course(steps=50_000, environments=1, first=2000, remembered=100_000),
    population=Population(12),
    generations=30,
)

#: Walker Run as published (walkerrun_pbtnas.yml): transitions of one step, batches of 512, one buffer for all members
#: there, one of a million steps for each here.
_PAPER_WALKER = dataclasses.replace(
    _PAPER,
    data="control:walker-run",
    learning=Learning(batch=512, steps=1),
    course=dataclasses.replace(_PAPER.course, remembered=1_000_000),
)

#: Humanoid Run as published (humanrun_pbtnas.yml): 1,500 epochs, replaced every 100, at a rate of 8e-5.
_PAPER_HUMANOID = dataclasses.replace(
    _PAPER,
    data="control:humanoid-run",
    learning=Learning(rate=8e-5, settle=2_000_000),
    course=dataclasses.replace(_PAPER.course, steps=500_000, remembered=1_000_000),
    generations=15,
)

PRESETS = {
    "quick": _QUICK,
    "small": _SMALL,
    "paper": _PAPER,
    "paper-walker": _PAPER_WALKER,
    "paper-humanoid": _PAPER_HUMANOID,
}
