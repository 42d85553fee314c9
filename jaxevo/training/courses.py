"""The whole training of a member in one program: epochs, early stopping, the best parameters kept.

What it does is what `fit` does, member by member: epoch e of a course with key k draws from `fold_in(k, e)`.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec as P

from jaxevo.data import Batch
from jaxevo.network import Member
from jaxevo.training.epochs import Augmentation, plan, scan
from jaxevo.training.learning import Learner


class Recipe(NamedTuple):
    """What a program for courses is compiled for, beside shapes.

    learner: how members learn.
    augment: of the inputs of every step, or None.
    batch: examples in a step.
    scored: whether members are scored after each epoch.
    keeps: whether optimiser states come and go; else each member begins with a fresh one, which is forgotten.
    """

    learner: Learner
    augment: Augmentation
    batch: int
    scored: bool
    keeps: bool


class Limits(NamedTuple):
    """When a course ends, traced.

    epochs: the most.
    patience: how many in a row may bring no better score.
    """

    epochs: Any
    patience: Any


class Course(NamedTuple):
    """A member on its way.

    epoch: how many it has run.
    member: as it is now.
    best: the best by score so far; where members are not scored, None.
    score: of the best, minus infinity before there is one.
    waited: epochs since then.
    metrics: means over the last epoch.
    """

    epoch: jax.Array
    member: Member
    best: Member | None
    score: jax.Array
    waited: jax.Array
    metrics: dict[str, jax.Array]


class Ended(NamedTuple):
    """What a course ends with.

    member: the best by score, the last where members are not scored.
    epochs: how many it ran, int32.
    score: of the best, float32; NaN where members are not scored.
    metrics: means over the last epoch, float32.
    """

    member: Member
    epochs: jax.Array
    score: jax.Array
    metrics: dict[str, jax.Array]


def course(recipe: Recipe, key: jax.Array, member: Member, train: Batch, valid: Batch | None, limits: Limits) -> Ended:
    """Trains a member to the end; traceable, and a batch of them stops as a whole when the last one does.

    Args:
      recipe: static.
      key: of the member.
      member: where to start.
      train: the examples, all of them.
      valid: what members are scored on, None where they are not.
      limits: when to end.
    """
    if not recipe.keeps:
        member = recipe.learner.begin(member)
    epoch = functools.partial(_epoch, recipe, train)
    metrics = jax.tree.map(jnp.zeros_like, jax.eval_shape(epoch, key, member)[1])
    best = _kept(recipe, member) if recipe.scored else None
    zero = jnp.zeros((), jnp.int32)
    begun = Course(zero, member, best, jnp.asarray(-jnp.inf, jnp.float32), zero, metrics)

    def go_on(now: Course):
        return (now.epoch < limits.epochs) & (now.waited < limits.patience)

    def body(now: Course) -> Course:
        member, metrics = epoch(jax.random.fold_in(key, now.epoch), now.member)
        now = now._replace(epoch=now.epoch + 1, member=member, metrics=metrics)
        return _scored(recipe, now, valid) if recipe.scored else now

    ended = jax.lax.while_loop(go_on, body, begun)
    if ended.best is None:
        return Ended(_kept(recipe, ended.member), ended.epoch, jnp.asarray(jnp.nan, jnp.float32), ended.metrics)
    return Ended(ended.best, ended.epoch, ended.score, ended.metrics)


@functools.partial(jax.jit, static_argnums=0)
def alone(recipe, key, member, train, valid, limits) -> Ended:
    """Runs the course of one member."""
    return course(recipe, key, member, train, valid, limits)


@functools.partial(jax.jit, static_argnums=(0, 1))
def abreast(recipe, mesh, keys, members, train, valid, limits) -> Ended:
    """Runs the courses of stacked members [n, ...] side by side, each with its key [n].

    The devices of the mesh's axis "pop" have n / devices members each, and stop when the last of theirs does.
    """

    def run(keys, members, train, valid, limits):
        return jax.vmap(lambda key, member: course(recipe, key, member, train, valid, limits))(keys, members)

    # Courses begin with constants, which the check of varying axes refuses in a loop.
    return jax.shard_map(
        run, mesh=mesh, in_specs=(P("pop"), P("pop"), P(), P(), P()), out_specs=P("pop"), check_vma=False
    )(keys, members, train, valid, limits)


def _kept(recipe: Recipe, member: Member) -> Member:
    return member if recipe.keeps else member._replace(optimizer_state=None)


def _epoch(recipe: Recipe, train: Batch, key: jax.Array, member: Member):
    order_key, steps_key = jax.random.split(key)
    planned = plan(order_key, len(train.labels), recipe.batch)
    member, metrics = scan(
        recipe.learner.update, recipe.augment, steps_key, member, train.inputs, train.labels, planned
    )
    weights = planned.masks.sum(axis=1) / len(train.labels)
    return member, jax.tree.map(lambda values: (values * weights).sum().astype(jnp.float32), metrics)


def _scored(recipe: Recipe, now: Course, valid: Batch | None) -> Course:
    assert recipe.learner.score is not None
    score = jnp.asarray(recipe.learner.score(now.member, valid), jnp.float32)  # pyright: ignore[reportArgumentType]
    # NaN is never better, but the first epoch is better than none.
    better = (score > now.score) | (now.epoch == 1)
    best = jax.tree.map(lambda new, old: jnp.where(better, new, old), _kept(recipe, now.member), now.best)
    reached = jnp.where(better, jnp.where(jnp.isnan(score), -jnp.inf, score), now.score)
    return now._replace(best=best, score=reached, waited=jnp.where(better, 0, now.waited + 1))
