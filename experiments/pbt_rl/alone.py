"""DrQ-v2 alone, without a population, on the drawn Pendulum: the learner learns.

    python -m experiments.pbt_rl.alone [--preset NAME] [--data TASK] [--out DIR] [--seed N] [--resume]

Trains the architecture of DrQ-v2 itself, a member of the search space, scores it again and again, and tests what it was
when it scored best on other episodes.
"""

import dataclasses
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.folder import RunFolder, claim
from experiments.options import parse
from experiments.pbt_rl import agents
from experiments.pbt_rl.drqv2 import Learning
from experiments.pbt_rl.environments import Environment
from experiments.pbt_rl.figures import draw_curve
from experiments.pbt_rl.practice import Course, Practice
from experiments.pbt_rl.presets import Settings
from experiments.pbt_rl.reporting import leave, tested
from experiments.pbt_rl.starting import identity_of, keys_of, load
from experiments.populations import Population
from experiments.report import versions, write_json
from jaxevo import checkpoint, pbt, stopping
from jaxevo.network import Member

#: A return of Pendulum that tells that it swings up and stays there; the best possible mean is about -150.
WANTED = -250.0

PRESETS = {
    "pendulum": Settings(
        data="pendulum",
        size=24,
        sizes=agents.Sizes(channels=16, hidden=128, blocks=1, stem=((4, 4),), features=(25, 50)),
        learning=Learning(rate=1e-3, batch=128, noise=(1.0, 0.1), settle=20_000),
        course=Course(steps=1000, environments=10, first=1000, remembered=50_000),
        methods=(),
        population=Population(1),
        generations=12,
    ),
}


def train(settings: Settings, environment: Environment, seed: int, folder: RunFolder) -> tuple[Practice, Any, dict]:
    """Trains one agent, continuing what the folder holds.

    Args:
      settings: of the run; a generation is what lies between two scores.
      environment: what it acts in.
      seed: of everything.
      folder: where checkpoints lie.

    Returns:
      What it acted in, the agent with its best score, and its curve: "steps", "returns" and "seconds" so far.
    """
    architecture = agents.agent(environment, settings.sizes)
    space = pbt.layers(architecture)
    practice = Practice(architecture, space, environment, settings.learning, settings.course)
    key = keys_of(seed)["alone"]
    assert space.init is not None
    begun = practice.begin(space.init(jax.random.fold_in(key, 0), jnp.asarray(agents.plain(architecture))))
    members = best = jax.tree.map(lambda leaf: np.asarray(leaf)[None], begun)
    curve: dict[str, list] = {"steps": [], "returns": [], "seconds": []}
    with checkpoint.Folder(folder.path / "alone") as saved:
        restored = saved.restore({"members": members, "best": best, "memory": practice.memory})
        if restored is not None:
            members, best, curve = restored.tree["members"], restored.tree["best"], restored.metadata["curve"]
            practice.restore(restored.tree["memory"])
        before = curve["seconds"][-1] if curve["seconds"] else 0.0
        start = time.monotonic()
        for generation in range(len(curve["returns"]) + 1, settings.generations + 1):
            members, fitness = practice(jax.random.fold_in(key, generation), None, members)
            score = float(fitness[0, 0])
            best = members if score >= max(curve["returns"], default=-np.inf) else best
            curve["steps"].append(practice.report()["steps"])
            curve["returns"].append(score)
            curve["seconds"].append(round(before + time.monotonic() - start, 1))
            saved.save(generation, {"members": members, "best": best, "memory": practice.memory}, {"curve": curve})
            print(
                f"{curve['steps'][-1]} steps, {practice.report()['updates']} updates, {curve['seconds'][-1]:.0f} s: "
                f"return {score:.1f}",
                flush=True,
            )
            stopping.here()
    return practice, Member(*jax.tree.map(lambda leaf: leaf[0], best)), curve


def main() -> None:
    """Runs the experiment."""
    options = parse("pbt_rl.alone", __doc__ or "", PRESETS)
    settings = PRESETS[options.preset]
    settings = settings if options.data is None else dataclasses.replace(settings, data=options.data)
    environment = load(settings)
    with claim(options.out, identity_of(settings, options.preset, options.seed, environment), options.resume) as folder:
        practice, best, curve = train(settings, environment, options.seed, folder)
        draw_curve(folder.path / "curve.png", curve["steps"], curve["returns"], WANTED)
        result = {
            "experiment": "pbt_rl.alone", "seed": options.seed, "data": environment.name,
            "settings": dataclasses.asdict(settings), **curve, "best": max(curve["returns"]),
            "test": tested(practice, best, settings.tests, options.seed),
            "onnx_difference": leave(folder.path, practice, best, options.seed), "versions": versions(),
        }  # fmt: skip
        write_json(folder.path / "result.json", result)
        print(f"best {result['best']:.1f}, on {settings.tests} other episodes {result['test']:.1f}")


if __name__ == "__main__":
    main()
