"""Building the training of a population: what it is given is checked, and how it runs is chosen by platform."""

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxevo.checks import check_flag, check_size
from jaxevo.data import Batch, Split, check_batch
from jaxevo.devices import check_mesh
from jaxevo.network import Member, Trainable, check_inputs
from jaxevo.space import Learning, Space
from jaxevo.threads import processors
from jaxevo.training.fitting import check_augment
from jaxevo.training.learning import Descent, Learner
from jaxevo.training.together import LAYOUTS, MembersLayout, PopulationFit

#: Members side by side where nobody says.
CHUNK = 32


def population(
    space: Space | Trainable,
    learner: Learner,
    split: Split,
    *,
    epochs: int,
    batch: int,
    valid: Split | None = None,
    patience: int | None = None,
    augment: Any = None,
    layout: str = "auto",
    compact: bool | None = None,
    brief: bool | None = None,
    chunk: int = CHUNK,
    threads: int | None = None,
    mesh: Mesh | None = None,
) -> PopulationFit:
    """Builds the training of populations: each member with its own order of examples, optimiser and early stopping.

    It takes a `Learner` rather than a loss, as `fit` takes an update: whatever learns from batches can be trained in a
    population, and `learner(space, loss, optimizer)` makes the one of a supervised loss. A member that is trained in a
    population is, to rounding, the one that is trained alone with the same key, by this or by `fit`; so it is whatever
    the layout.

    Args:
      space: a space whose members are trained; or a `Trainable`, for a population of one architecture.
      learner: how members learn.
      split: training examples.
      epochs: the most that a member trains, at least 1.
      batch: examples in a step, in [1, len(split)].
      valid: what members are scored on after each epoch, so that the best of each comes back; None for the last.
      patience: stop a member after so many epochs in a row without a better score; needs `valid`.
      augment: as in `fit`.
      layout: "abreast", members side by side in one program, which ends when the last of them does; "scan", one after
        another, the whole course of a member in one program; "steps", one after another, each step called from the
        host, for convolutions on a CPU, which are slow inside of loops; "auto": on CPUs "steps" where the space says
        that its members convolve, else "scan"; elsewhere "abreast".
      compact: whether members train without what their genomes leave out, in as many programs as compacted shapes
        differ; by default on CPUs, where the space can.
      brief: whether CPUs compile the programs of layout "steps" with less optimisation, in two thirds of the time; they
        run as fast, to 1%. By default where members are compacted, since there are many. Agreement is to rounding.
      chunk: members side by side on a device, the setting for memory of layout "abreast".
      threads: members at a time for the other layouts, by default one for each processor that this process may use,
        and one more for "steps", which wait for the host between two of them.
      mesh: devices of layout "abreast", by default all; members are shared out over its axis "pop", and are the same on
        any number of them. The other layouts run on the first device of each process, which shares members out.

    Returns:
      `fit(key, members) -> Fitted`; examples lie on the device.

    Raises:
      TypeError, ValueError: where an argument is not as above.
    """
    where = "population"
    learning = _check_space(where, space)
    if not isinstance(learner, Learner):
        raise TypeError(
            f"{where}: learner is {learner!r}, expected a Learner; make one with training.learner(space, loss, "
            "optimizer), or write Learner(begin, update, score)"
        )
    check_batch(where, split, batch)
    if batch > len(split):
        raise ValueError(f"{where}: batch is {batch}, but the split has {len(split)} examples; ask for no more")
    wanted = space.inputs if learner.inputs is None else learner.inputs
    check_inputs(f"{where}: split", wanted, split.inputs)
    _check_valid(where, learner, valid, patience)
    if valid is not None:
        check_inputs(f"{where}: valid", wanted, valid.inputs)
    if isinstance(learner.update, Descent):
        one = _untrained(space)
        for name, examples in (("split", split), ("valid", valid)):
            if examples is not None:
                learner.update.check_labels(f"{where}: {name}.labels", one, examples.labels)
    check_augment(where, augment, split)
    epochs, chunk = check_size(where, "epochs", epochs), check_size(where, "chunk", chunk)
    patience = None if patience is None else check_size(where, "patience", patience)
    threads = None if threads is None else check_size(where, "threads", threads)
    if layout not in ("auto", *LAYOUTS):
        raise ValueError(f"{where}: layout is {layout!r}, expected 'auto' or one of {LAYOUTS}")
    on_cpu = jax.default_backend() == "cpu"
    able = learning is not None and learning.compact is not None
    if compact is not None and check_flag(where, "compact", compact) and not able:
        raise ValueError(f"{where}: compact is True, but {space.name!r} does not compact its members; leave it out")
    if brief is not None:
        check_flag(where, "brief", brief)
    devices = check_mesh(where, mesh)
    chosen = _layout(learning, on_cpu) if layout == "auto" else layout
    place = NamedSharding(devices, P()) if chosen == "abreast" else None
    small = able and on_cpu if compact is None else compact
    return PopulationFit(
        space=space,
        learner=learner,
        train=_placed(split, place),
        valid=None if valid is None else _placed(valid, place),
        split=split,
        augment=augment,
        epochs=epochs,
        batch=batch,
        patience=patience,
        layout=chosen,  # pyright: ignore[reportArgumentType]
        compact=small,
        brief=small and chosen == "steps" if brief is None else brief,
        chunk=chunk,
        threads=threads or processors() + (chosen == "steps"),
        mesh=devices,
    )


def _untrained(space: Space | Trainable) -> Member:
    """Returns the shapes of a member before it is trained."""
    key = jax.random.key(0, impl="threefry2x32")
    if isinstance(space, Trainable):
        params, state = jax.eval_shape(space.init, key)
        return Member(None, params, state, None)
    return jax.eval_shape(space.init, key, space.genome)  # pyright: ignore[reportArgumentType]


def _layout(learning: Learning | None, on_cpu: bool) -> MembersLayout:
    if not on_cpu:
        return "abreast"
    return "steps" if learning is not None and learning.convolves else "scan"


def _placed(split: Split, place: NamedSharding | None) -> Batch:
    return jax.device_put(Batch(split.inputs, split.labels, np.ones(len(split), bool)), place)


def _check_space(where: str, space: Any) -> Learning | None:
    if isinstance(space, Trainable):
        return None
    if not isinstance(space, Space):
        raise TypeError(f"{where}: space is a {type(space).__name__}, expected a jaxevo.Space or a jaxevo.Trainable")
    if space.learning is None:
        raise ValueError(
            f"{where}: members of space {space.name!r} are not trained; pass a space whose members are, such as "
            "jaxevo.pruning.neurons(head)"
        )
    return space.learning


def _check_valid(where: str, learner: Learner, valid: Any, patience: Any) -> None:
    if valid is None:
        if patience is not None:
            raise ValueError(
                f"{where}: patience is {patience} without valid; pass the split that members are scored on"
            )
        return
    if not isinstance(valid, Split):
        raise TypeError(f"{where}: valid is a {type(valid).__name__}, expected a jaxevo.data.Split such as data.valid")
    if learner.score is None:
        raise ValueError(
            f"{where}: valid is given, but the learner has no score; leave it out, or write Learner(score=)"
        )
