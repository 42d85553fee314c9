"""The compiled program that scores a population, and how it is run.

n is the number of members, m that of metrics, K that of batches, B the batch size.
"""

import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxevo.evaluation import memory, traffic
from jaxevo.evaluation.examples import Examples
from jaxevo.evaluation.layout import Layout
from jaxevo.evaluation.metrics import Metric, Tally, tally
from jaxevo.network import batched
from jaxevo.space import Space
from jaxevo.threads import in_step

PyTree = Any


class Program:
    """The compiled pieces of one evaluation, and its settings. Hashed by identity: it is static where it is traced."""

    def __init__(
        self,
        space: Space,
        metrics: tuple[Metric, ...],
        mesh: Mesh,
        layout: Layout,
        chunk: int,
        dtype: str,
        examples: Examples,
        genome: PyTree,
    ):
        self.space, self.metrics, self.mesh, self.layout, self.chunk = space, metrics, mesh, layout, chunk
        self.dtype = jnp.dtype(dtype)
        self.evaluations = 0
        self.tally: Tally = tally(space, metrics)
        self.together = chunk * mesh.shape["pop"]
        self.genome = genome
        self.peak = self._peak(examples)

        members, self.replicated = NamedSharding(mesh, P(None, "pop")), NamedSharding(mesh, P())
        # Networks may hold loops whose first carry is a constant, which the check of varying axes refuses.
        self.shard = jax.shard_map(
            self._step,
            mesh=mesh,
            in_specs=(P(), P(None, "pop"), P(None, "pop"), P(None, "data"), P(), P()),
            out_specs=P(None, "pop"),
            check_vma=False,
        )
        self.prepare = jax.jit(self._prepare, static_argnums=1, out_shardings=members)
        self.narrow = jax.jit(self.cast, out_shardings=self.replicated)
        self.step = jax.jit(self.shard)
        self.make = jax.jit(
            jax.shard_map(
                self._make, mesh=mesh, in_specs=(P(), P(None, "pop"), P()), out_specs=P("pop"), check_vma=False
            )
        )
        self.run = jax.jit(
            jax.shard_map(
                self._run,
                mesh=mesh,
                in_specs=(P("pop"), P(None, "pop"), P(None, "data"), P(), P(), P()),
                out_specs=P(None, "pop"),
                check_vma=False,
            )
        )
        self.merge = jax.jit(lambda states: jax.tree.map(lambda *leaves: sum(leaves[1:], leaves[0]), *states))
        self.finish = jax.jit(self._finish, static_argnums=2, out_shardings=self.replicated)

    def place(self, examples: Examples) -> Examples:
        """Puts the examples on the devices."""
        inputs = jax.tree.map(lambda leaf: leaf.astype(self._narrowed(leaf.dtype)), examples.inputs)
        return jax.device_put(examples._replace(inputs=inputs), NamedSharding(self.mesh, P(None, "data")))

    def cast(self, tree: PyTree) -> PyTree:
        """Returns the tree with its floating arrays in the evaluation's dtype; float32 means as they come."""
        return jax.tree.map(lambda leaf: leaf.astype(self._narrowed(leaf.dtype)), tree)

    def _narrowed(self, dtype: Any) -> Any:
        return self.dtype if self.dtype != jnp.float32 and jnp.issubdtype(dtype, jnp.floating) else dtype

    # The pieces of the work, in the order in which they run.

    def _prepare(self, genomes, n):
        """Returns genomes and empty states as [room, together, ...], filled up with members again."""
        steps = self._room(n)
        rows = np.arange(steps * self.together) % n
        genomes = jax.tree.map(lambda leaf: leaf[rows].reshape(steps, self.together, *leaf.shape[1:]), genomes)
        states = jax.tree.map(
            lambda leaf: jnp.zeros((steps, self.together, *leaf.shape), leaf.dtype), self.tally.init()
        )
        return genomes, states

    def _room(self, n):
        """Returns the number of calls that there is room for: a power of two, so that few sizes are compiled for."""
        return 1 << (-(-n // self.together) - 1).bit_length()

    def _step(self, params, genomes, states, examples, member, batch):
        """Adds one batch to the states of one call's members; runs on each device with its share of both."""
        pick = functools.partial(jax.lax.dynamic_index_in_dim, keepdims=False)
        rows = jax.tree.map(lambda leaf: pick(leaf, batch), examples)
        chosen = jax.tree.map(lambda leaf: pick(leaf, member), genomes)
        added = jax.lax.psum(self._score(params, chosen, rows), "data")
        return jax.tree.map(
            lambda old, new: jax.lax.dynamic_update_index_in_dim(old, pick(old, member) + new, member, 0), states, added
        )

    def _score(self, params, genomes, rows):
        """Returns the states [chunk, ...] of a chunk of members for one batch."""

        def one(genome):
            if self.space.child is None:
                return self._tallied(self.space.apply(params, self.cast(genome), rows.inputs), rows)
            return self._tallied(self.space.child.run(self._child(params, genome), rows.inputs), rows)

        if self.layout == "vmap":
            return jax.vmap(one)(genomes)
        if self.layout == "one":
            return jax.tree.map(lambda leaf: leaf[None], one(jax.tree.map(lambda leaf: leaf[0], genomes)))
        return jax.lax.map(one, genomes)

    def _tallied(self, outputs, rows):
        """Returns the state of one member that is left by one batch."""
        return self.tally.update(self.tally.init(), outputs, rows.labels, rows.mask)

    def _child(self, params, genome):
        """Returns the parameters of one member, made as they come and narrowed afterwards."""
        return self.cast(self.space.child.make(params, genome))  # type: ignore

    def _make(self, params, genomes, member):
        """Returns the parameters [chunk, ...] of one call's members; runs on each device with its share of them."""
        chosen = jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf, member, keepdims=False), genomes)
        if self.chunk == 1:
            made = self._child(params, jax.tree.map(lambda leaf: leaf[0], chosen))
            return jax.tree.map(lambda leaf: leaf[None], made)
        return jax.lax.map(functools.partial(self._child, params), chosen)

    def _run(self, children, states, examples, member, place, batch):
        """Adds one batch to the state of the `place`-th of one call's members on each device."""
        pick = functools.partial(jax.lax.dynamic_index_in_dim, keepdims=False)
        # With one member a slice at a traced index would be a copy of its parameters.
        child = jax.tree.map(lambda leaf: leaf[0] if self.chunk == 1 else pick(leaf, place), children)
        rows = jax.tree.map(lambda leaf: pick(leaf, batch), examples)
        assert self.space.child is not None
        added = jax.lax.psum(self._tallied(self.space.child.run(child, rows.inputs), rows), "data")
        return jax.tree.map(lambda old, new: old.at[member, place].add(new), states, added)

    def _finish(self, genomes, states, n):
        """Returns the fitness [n, m] from the states."""
        flat = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:n], states)
        return jax.vmap(self.tally.finish)(flat, genomes)

    # The two ways to run them.

    def called(self, params, genomes, examples, n):
        """Scores from the host; every array is put on the devices explicitly, as a transfer guard wants it."""
        params, genomes = jax.device_put((params, genomes), self.replicated)
        if self.dtype != jnp.float32 and self.space.child is None:
            params = self.narrow(params)
        stacked, states = self.prepare(genomes, n)
        batches, steps = examples.mask.shape[0], -(-n // self.together)
        most = max(batches, steps, self.chunk)
        indices = jax.device_put([np.int32(index) for index in range(most)], self.replicated)
        threads = min(steps, memory.at_once(self.mesh, self.peak))
        found = [states] * threads

        def work(thread: int, turns: Iterator[int]) -> None:
            for turn in turns:
                member = thread + turn * threads
                if member < steps:
                    found[thread] = self._call(params, stacked, found[thread], examples, indices, member, n)

        in_step(work, threads, -(-steps // threads), threads)
        # Each thread has added to the states of its own members, and left the others empty.
        return self.finish(genomes, self.merge(found) if threads > 1 else found[0], n)

    def _call(self, params, genomes, states, examples, indices, member, n):
        """Adds all batches to the states of one call's members."""
        batches = indices[: examples.mask.shape[0]]
        if self.layout != "apart":
            for batch in batches:
                states = self.step(params, genomes, states, examples, indices[member], batch)
            return states
        before, children = states, self.make(params, genomes, indices[member])
        for place in range(min(self.chunk, n - member * self.together)):
            for batch in batches:
                states = self.run(children, states, examples, indices[member], indices[place], batch)
        # Calls are enqueued faster than they run; waiting here keeps the members of two calls alive, not of all.
        jax.block_until_ready(before)
        return states

    def traced(self, params, genomes, examples, n):
        """Scores inside somebody else's program, such as a scan over generations."""
        params = params if self.space.child is not None else self.cast(params)
        stacked, states = self._prepare(genomes, n)
        batches, steps = examples.mask.shape[0], -(-n // self.together)

        def body(index, states):
            return self.shard(params, stacked, states, examples, index % steps, index // steps)

        return self._finish(genomes, jax.lax.fori_loop(0, batches * steps, body, states), n)

    # What is checked and estimated before anything is compiled.

    def check_genomes(self, genomes: PyTree) -> int:
        """Returns the number n of stacked genomes."""
        leaves, structure = jax.tree.flatten(genomes)
        wanted, expected = jax.tree.flatten(self.genome)
        if structure != expected:
            raise ValueError(
                f"population: genomes have structure {structure}, expected {expected}, as space.sample gives"
            )
        sizes = {leaf.shape[0] if np.ndim(leaf) else 0 for leaf in leaves}
        if len(sizes) != 1 or 0 in sizes or any(a.shape[1:] != b.shape for a, b in zip(leaves, wanted, strict=True)):
            raise ValueError(
                f"population: genomes have shapes {[list(leaf.shape) for leaf in leaves]}, "
                f"expected {[['n', *leaf.shape] for leaf in wanted]} with one n of at least 1; "
                "stack genomes on a leading axis"
            )
        kinds = (jnp.bool_, jnp.integer, jnp.floating)
        for leaf, want in zip(leaves, wanted, strict=True):
            if any(jnp.issubdtype(leaf.dtype, kind) != jnp.issubdtype(want.dtype, kind) for kind in kinds):
                raise ValueError(
                    f"population: genomes hold {leaf.dtype}, expected {want.dtype}, as space.sample gives; convert them"
                )
        return sizes.pop()

    def check_memory(self, n: int) -> None:
        """Refuses a population whose scoring does not fit beside what is on the devices already."""
        local = [device for device in self.mesh.devices.flat if device.process_index == jax.process_index()]
        advice = (
            f"choose a chunk smaller than {self.chunk}"
            if self.layout == "vmap" and self.chunk > 1
            else ("choose a smaller batch")
        )
        memory.check_memory(f"population of {n}", self.call_bytes(n), local, f"{advice} for evaluation.population")

    def resident_bytes(self, examples: Examples) -> int:
        """Returns the bytes of parameters and examples on each device."""
        return memory.tree_bytes(self.space.params) + memory.tree_bytes(examples) // self.mesh.shape["data"]

    def call_bytes(self, n: int) -> int:
        """Returns the bytes that scoring n members adds on each device."""
        apart = self.space.child is not None or self.dtype == jnp.float32
        narrow = 0 if apart else memory.tree_bytes(jax.eval_shape(self.cast, self.space.params))
        padded = self._room(n) * self.chunk
        return narrow + padded * memory.tree_bytes((self.genome, jax.eval_shape(self.tally.init))) + self.peak

    def communication_bytes(self, examples: Examples, n: int) -> int:
        """Returns the bytes that each device receives from others while n members are scored."""
        index = traffic.described(np.int32(0), self.replicated)
        params, genomes = traffic.described((self.space.params, batched(self.genome, n)), self.replicated)
        if self.dtype != jnp.float32 and self.space.child is None:
            params = jax.eval_shape(self.narrow, params)
        prepared = self.prepare.lower(genomes, n).compile()
        shapes = jax.eval_shape(functools.partial(self._prepare, n=n), genomes)
        stacked, states = traffic.described(shapes, prepared.output_shardings)
        finished = self.finish.lower(genomes, states, n).compile()
        batches, steps = examples.mask.shape[0], -(-n // self.together)
        each = [(prepared, 1), (finished, 1)]
        if self.layout == "apart":
            make = self.make.lower(params, stacked, index).compile()
            children = jax.eval_shape(self.make, params, stacked, index)
            children = traffic.described(children, make.output_shardings)
            run = self.run.lower(children, states, examples, index, index, index).compile()
            each += [(make, steps), (run, min(n, steps * self.chunk) * batches)]
        else:
            step = self.step.lower(params, stacked, states, examples, index, index).compile()
            each.append((step, steps * batches))
        return sum(traffic.sent_bytes(program) * calls for program, calls in each)

    def _peak(self, examples: Examples) -> int:
        """Returns the bytes of one call's intermediates and of its batch, from a trace of the call."""
        rows = self._rows(examples, self.mesh.shape["data"])
        if self.layout == "apart":
            return self._peak_apart(rows) + memory.tree_bytes(rows)
        params = self.space.params if self.space.child is not None else jax.eval_shape(self.cast, self.space.params)
        traced = jax.make_jaxpr(self._score)(params, batched(self.genome, self.chunk), rows)
        return memory.peak_bytes(traced) + memory.tree_bytes(rows)

    def _peak_apart(self, rows: Examples) -> int:
        """Returns the bytes of two calls' members, and of what is more: making one of them, or running one."""
        child = jax.eval_shape(self._child, self.space.params, self.genome)
        making = memory.peak_bytes(jax.make_jaxpr(self._child)(self.space.params, self.genome))
        running = jax.make_jaxpr(lambda child, rows: self._tallied(self.space.child.run(child, rows.inputs), rows))  # type: ignore
        return 2 * self.chunk * memory.tree_bytes(child) + max(making, memory.peak_bytes(running(child, rows)))

    def _rows(self, examples: Examples, share: int) -> Examples:
        """Describes the rows of one batch on one device of `share`."""

        def one(leaf, dtype):
            return jax.ShapeDtypeStruct((leaf.shape[1] // share, *leaf.shape[2:]), dtype)

        def narrow(leaf):
            return one(leaf, self._narrowed(jnp.result_type(leaf)))

        labels, mask = (one(leaf, jnp.result_type(leaf)) for leaf in (examples.labels, examples.mask))
        return Examples(jax.tree.map(narrow, examples.inputs), labels, mask)
