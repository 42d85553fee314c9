"""`Space`: a family of networks that share parameters, the seam between the systems and the engine.

Each system builds one, as `optax.adam` builds a gradient transformation; search and evaluation know nothing else.
"""

import dataclasses
import functools
from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.network import Member, Network

PyTree = Any

#: Index of the network's own inputs in `Step.reads`.
INPUTS = -1


class Cost(NamedTuple):
    """What a network costs.

    multiply_adds: multiply-adds for one example.
    parameters: number of parameters.
    """

    multiply_adds: Any
    parameters: Any


class Step(NamedTuple):
    """One piece of work in the plan of one genome.

    segment: index in `Work.segments` of the program to run.
    variant: what of the genome the program itself depends on, hashable; () where it does not.
    reads: indices of the earlier steps whose features it reads; `INPUTS` for the network's inputs.
    """

    segment: int
    variant: Hashable
    reads: tuple[int, ...]


class Child(NamedTuple):
    """How a member's parameters are made, apart from running it.

    `run(make(params, genome), inputs)` is what the space's `apply` computes.

    make: `(params, genome) -> parameters`, traceable.
    run: `(parameters, inputs) -> outputs`, the same for every member.
    """

    make: Callable[[PyTree, PyTree], PyTree]
    run: Callable[[PyTree, PyTree], PyTree]


class Breeding(NamedTuple):
    """How trained members beget a member that goes on learning where they are.

    name: what checkpoints call it.
    units: names of what a child may take over, L of them.
    draw: `key -> bool [L]`, which units a child takes over, or has changed.
    make: `(key, better, other, taken) -> Member` with the same key, on the host; a child of the better parent.
    settings: its settings, which a checkpoint remembers.
    """

    name: str
    units: tuple[str, ...]
    draw: Callable[[jax.Array], Any]
    make: Callable[[jax.Array, Member, Member, Any], Member]
    settings: Mapping[str, Any]


class Learning(NamedTuple):
    """How the members of a space learn, for spaces whose members are trained.

    A compacted member is one without what its genome leaves out: a `Member` of smaller arrays that `forward` runs as
    well. Members whose compacted forms agree in structure and shapes share a compiled program; settings that a program
    must know beforehand are static fields of the compacted genome.

    forward: `(member, inputs, key, train) -> (outputs, state)`, as `Trainable.apply`, traceable in the member. What the
      genome leaves out has no gradient.
    compact: `member -> member` on the host, or None where members have one form only. It changes genome, params and
      state and leaves the optimiser's state alone, whose trees like params are cut the same way.
    expand: `(compacted, member) -> member`, puts the arrays of a compacted member back where they were cut from the
      other; zeros everywhere else.
    breeding: how they beget members that go on learning, or None where offspring begin anew.
    convolves: whether they run convolutions, which XLA runs slowly inside of loops on CPUs.
    """

    forward: Callable[[Member, PyTree, jax.Array | None, bool], tuple[PyTree, PyTree]]
    compact: Callable[[Member], Member] | None = None
    expand: Callable[[Member, Member], Member] | None = None
    breeding: Breeding | None = None
    convolves: bool = False


@dataclasses.dataclass(frozen=True)
class Segment:
    """A piece of a network that is compiled once and called for many networks.

    name: what reports call it.
    apply: pure function `(params, variant, *features) -> feature`.
    select: picks from the space's parameters those that `apply` reads.
    make: for a step with a variant, `(the space's params, variant) -> what apply reads of them`, compiled by the space
      itself; `apply` then runs with variant (). None where `apply` reads the variant.
    """

    name: str
    apply: Callable[..., PyTree]
    select: Callable[[PyTree], PyTree]
    make: Callable[[PyTree, PyTree], PyTree] | None = None


@dataclasses.dataclass(frozen=True)
class Work:
    """How the networks of a space divide into shared pieces of work.

    segments: the programs, each compiled once.
    plan: `genome -> steps` on the host; steps are in an order in which they can run, each is used, the last one gives
      the network's outputs. Two genomes whose steps agree up to numbering are the same network.
    """

    segments: tuple[Segment, ...]
    plan: Callable[[PyTree], tuple[Step, ...]]


@dataclasses.dataclass(frozen=True)
class Space:
    """A family of networks: the parameters that all share and a handful of pure functions.

    Where members are trained (`init` is there) each has parameters of its own: `apply` and `decode` take
    `{"params": ..., "state": ...}` of a member in place of `params`, which are those of one that is not trained yet;
    strategies propose members, and what a run finds are members. `network` makes a network of a genome or a member.

    name: what messages call it.
    params: pytree of arrays that all members share; passed to the functions below, never captured.
    inputs: as in `Network`.
    sample: `(key, n) -> genomes`, n genomes stacked on a leading axis; n is static.
    vary: `(key, a, b) -> genomes`, one offspring of each pair of parents; a and b are stacked genomes.
    apply: `(params, genome, inputs) -> outputs` with a traced genome.
    decode: `(params, genome) -> Network` on the host: really smaller, merged, exportable.
    cost: `genome -> Cost` with a traced or a host genome.
    canonical: `genome -> genome` with a traced genome; two genomes that decode to the same network have the same
      canonical genome. Search uses it to recognise offspring that change nothing.
    output, classes: as in `Network`.
    work: how members divide into shared work, or None where they do not.
    child: how a member's parameters are made apart from running it, or None where members are no parameters of one
      network.
    init: for spaces whose members are trained, `(key, genome) -> Member`, traceable, else None. The member's optimiser
      state is None unless the space brings an optimiser of its own.
    learning: for spaces whose members are trained, how they learn, else None.
    settings: what else makes it this space, as JSON can hold it: where masks come from, rates of mutation. A checkpoint
      remembers them.
    """

    name: str
    params: PyTree
    inputs: PyTree
    sample: Callable[[jax.Array, int], PyTree]
    vary: Callable[[jax.Array, PyTree, PyTree], PyTree]
    apply: Callable[[PyTree, PyTree, PyTree], PyTree]
    decode: Callable[[PyTree, PyTree], Network]
    cost: Callable[[PyTree], Cost]
    canonical: Callable[[PyTree], PyTree] = lambda genome: genome
    output: str = "logits"
    classes: tuple[str, ...] | None = None
    work: Work | None = None
    child: Child | None = None
    init: Callable[[jax.Array, PyTree], Member] | None = None
    learning: Learning | None = None
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def network(self, entry: PyTree) -> Network:
        """Returns the network of one entry of a result, such as `result.best`.

        Args:
          entry: a genome, or in a space whose members are trained a `Member`, which brings what it has learned.
        """
        if isinstance(entry, Member):
            return self.decode({"params": entry.params, "state": entry.state}, entry.genome)
        return self.decode(self.params, entry)

    @functools.cached_property
    def genome(self) -> PyTree:
        """What one genome looks like, `ShapeDtypeStruct`s: those of a sample, really drawn, since that may be done on
        the host.
        """
        drawn = self.sample(jax.random.key(0, impl="threefry2x32"), 1)
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), drawn)

    def canonicals(self, genomes: PyTree) -> PyTree:
        """Returns the canonical forms of stacked genomes, computed in programs for powers of two.

        Searches ask for other numbers of genomes each time, and a program for each number would be compiled anew.

        Args:
          genomes: pytree of arrays [n, ...], n at least 1.
        """
        n = len(jax.tree.leaves(genomes)[0])
        rows = np.minimum(np.arange(1 << (n - 1).bit_length()), n - 1)
        found = self._canonicals(jax.tree.map(lambda leaf: _on_host(leaf)[rows], genomes))
        return jax.tree.map(lambda leaf: _on_host(leaf)[:n], found)

    @functools.cached_property
    def _canonicals(self) -> Callable[[PyTree], PyTree]:
        return jax.jit(jax.vmap(self.canonical))


def _on_host(leaf: Any) -> Any:
    # Keys have no form outside of JAX.
    return leaf if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else np.asarray(leaf)
