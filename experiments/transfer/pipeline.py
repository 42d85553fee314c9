"""The phases of the experiment before the report: teachers, the choice of optimisers, students."""

import functools
from typing import Any, NamedTuple

import jax

from experiments.folder import RunFolder
from experiments.transfer.learning import Curve, Student, kept, tuned
from experiments.transfer.methods import BASELINES, OURS, RANDOM, ours
from experiments.transfer.presets import Settings
from experiments.transfer.starting import teacher_of
from experiments.transfer.tasks import tasks
from jaxevo import transfer
from jaxevo.data import Dataset
from jaxevo.network import Network


class Outcome(NamedTuple):
    """What the phases before the report give.

    teachers: accuracy on valid by name, on their own task.
    alignments: by pair.
    chosen: optimiser and rate by student.
    beginnings: curves of random beginnings by student, one for each repeat.
    curves: by pair, and by method, likewise.
    """

    teachers: dict[str, float]
    alignments: dict[tuple[str, str], transfer.Alignment]
    chosen: dict[str, dict[str, Any]]
    beginnings: dict[str, list[Curve]]
    curves: dict[tuple[str, str], dict[str, list[Curve]]]


def run(settings: Settings, dataset: Dataset, seed: int, folder: RunFolder) -> Outcome:
    """Runs everything but the report, continuing whatever the folder holds.

    Args:
      settings: of the run.
      dataset: from which both tasks are made; test is scored, and nothing is chosen on it.
      seed: of everything.
      folder: where teachers and curves lie.

    Returns:
      The outcome.
    """
    keys = dict(zip(("teachers", "tuning", "students"), jax.random.split(jax.random.key(seed), 3), strict=True))
    teaching, learning = tasks(dataset, settings.share)
    outcome = Outcome({}, {}, {}, {}, {})
    teachers: dict[str, Network] = {}
    with folder.phase("teachers"):
        for index, name in enumerate(dict.fromkeys(teacher for teacher, _ in settings.pairs)):
            key = jax.random.fold_in(keys["teachers"], index)
            teachers[name] = teacher_of(key, name, settings, teaching, folder.path / "teachers" / name)
            said = teachers[name](teaching.valid.inputs).argmax(-1)
            outcome.teachers[name] = float((said == teaching.valid.labels).mean())
            print(f"  {name}: {outcome.teachers[name]:.1%} on valid", flush=True)
    with folder.phase("students"):
        for name in dict.fromkeys(student for _, student in settings.pairs):
            _learn(keys, settings, Student(name, learning), teachers, folder, outcome)
            # Programs of one student serve no other.
            jax.clear_caches()
    return outcome


def _learn(keys, settings: Settings, student: Student, teachers: dict[str, Network], folder, outcome: Outcome) -> None:
    """Trains one student from everything that it begins with."""
    name, path = student.name, folder.path / "students" / student.name
    tune = functools.partial(
        tuned, student, keys["tuning"], settings.optimizers, epochs=settings.epochs, batch=settings.batch
    )
    chosen = outcome.chosen[name] = kept(path / "tuning.json", tune)

    def curve(label: str, repeat: int, begin=None) -> Curve:
        key = jax.random.fold_in(keys["students"], repeat)
        learn = functools.partial(
            student.learn, key, chosen["optimizer"], chosen["rate"], settings.epochs, settings.batch, begin
        )
        found = Curve(**kept(path / f"{label}-{repeat}.json", lambda: learn()._asdict()))
        print(f"  {name} {label} {repeat}: {[round(a, 3) for a in found.valid]}", flush=True)
        return found

    methods = {OURS: ours(settings.inertia), **BASELINES}
    outcome.beginnings[name] = [curve(RANDOM, repeat) for repeat in range(settings.repeats)]
    for pair in settings.pairs:
        if pair[1] != name:
            continue
        teacher = teachers[pair[0]]
        outcome.alignments[pair] = transfer.align(teacher, student.trainable)
        outcome.curves[pair] = {}
        for method in methods if pair in settings.compared else (OURS,):
            curves = []
            for repeat in range(settings.repeats):
                key = jax.random.fold_in(jax.random.fold_in(keys["students"], repeat), 1)
                begin = functools.partial(methods[method], key, teacher, student.trainable)
                curves.append(curve(f"{method} from {pair[0]}", repeat, begin))
            outcome.curves[pair][method] = curves
