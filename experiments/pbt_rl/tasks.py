"""Tasks by name: which environment each is.

S is the side of a frame in pixels, F frames are stacked.
"""

from experiments.pbt_rl import control, games, pendulum
from experiments.pbt_rl.environments import Environment, seen
from jaxevo.checks import nearest


def make(name: str, size: int, repeat: int, stack: int) -> Environment:
    """Makes the environment of a task.

    Args:
      name: "pendulum", "gymnax:NAME" or "control:DOMAIN-TASK".
      size: S.
      repeat: how often an action is repeated.
      stack: F.

    Raises:
      SystemExit: where there is no such task, or a package is missing.
    """
    kind, _, which = name.partition(":")
    if name == "pendulum":
        return seen(name, pendulum.dynamics(size), repeat, stack)
    if kind == "gymnax":
        return seen(name, games.dynamics(which, size), repeat, stack)
    if kind == "control":
        return control.environment(name, which, size, repeat, stack)
    guess = nearest(kind, ("pendulum", "gymnax", "control"))
    raise SystemExit(f"task {name!r} is unknown; {guess}expected pendulum, gymnax:NAME or control:DOMAIN-TASK")
