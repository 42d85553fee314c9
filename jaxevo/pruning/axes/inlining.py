"""Programs in which functions with a derivative of their own (`relu`, `softmax`) are opened as well.

Their jaxprs are written for one shape, while a compacted network computes them at another. What is opened has the
derivative of what it computes; only `relu` and its like keep theirs where it differs.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
from jax.extend import core

from jaxevo.graph.program import Equation, Program, open_jaxpr

#: Calls and where their jaxpr stands; the first two come with derivatives, the others only inside of them.
_CALLS = {
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
}

#: What `max` and `min` with a number become inside a function whose derivative is its own (`relu`, `relu6`): there the
#: derivative at the number is 0, that of `max` and `min` is a half.
CLIPS = {"max": "clip_below", "min": "clip_above"}


class Inlined(NamedTuple):
    """A program without calls.

    program: its equations; values that the calls hide have numbers of their own, after all others.
    origins: for each equation, the index of the equation of the original program that it comes from.
    """

    program: Program
    origins: tuple[int, ...]


def inline(program: Program) -> Inlined:
    """Opens the functions with derivatives of their own in a program.

    Programs of one network at different batch sizes get the same numbers.

    Args:
      program: the program.

    Returns:
      The opened program.
    """
    opener = _Opener(program)
    for index, equation in enumerate(program.equations):
        opener.add(equation, index)
    outputs = tuple(opener.same.get(value, value) for value in program.outputs)
    opened = dataclasses.replace(
        program,
        equations=tuple(opener.equations),
        constants=opener.constants,
        outputs=outputs,
        avals=tuple(opener.avals),
    )
    return Inlined(opened, tuple(opener.origins))


class _Opener:
    """Collects equations; `same` says which number a call's result has inside of it."""

    def __init__(self, program: Program):
        self.equations: list[Equation] = []
        self.origins: list[int] = []
        self.avals = list(program.avals)
        self.constants = dict(program.constants)
        self.same: dict[int, int] = {}

    def add(self, equation: Equation, origin: int, clips: bool = False) -> None:
        reads = tuple(value if value is None else self.same.get(value, value) for value in equation.reads)
        equation = dataclasses.replace(equation, reads=reads)
        if equation.primitive not in _CALLS:
            self.equations.append(equation)
            self.origins.append(origin)
        else:
            self.open(equation, origin, clips)

    def open(self, equation: Equation, origin: int, clips: bool = False) -> None:
        jaxpr, held = open_jaxpr(equation.params[_CALLS[equation.primitive]])
        clips = clips or (equation.primitive == "custom_jvp_call" and _only_clips(jaxpr))
        known: dict[Any, int | None] = {}
        for var, value in zip(jaxpr.constvars, held, strict=True):
            known[var] = self.constant(value, var.aval)
        for var, value, atom in zip(jaxpr.invars, equation.reads, equation.source.invars, strict=True):
            known[var] = self.constant(atom.val, atom.aval) if isinstance(atom, core.Literal) else value

        def look(atom):
            return None if isinstance(atom, core.Literal) else known[atom]

        for eqn in jaxpr.eqns:
            reads = tuple(map(look, eqn.invars))
            writes = tuple(self.number(var.aval) for var in eqn.outvars)
            known.update(zip(eqn.outvars, writes, strict=True))
            name = CLIPS.get(eqn.primitive.name, "") if clips else eqn.primitive.name
            self.add(
                Equation(name or eqn.primitive.name, eqn.params, reads, writes, equation.scope, eqn), origin, clips
            )
        for value, atom in zip(equation.writes, jaxpr.outvars, strict=True):
            found = self.constant(atom.val, atom.aval) if isinstance(atom, core.Literal) else known[atom]
            assert found is not None, "literals have numbers"
            self.same[value] = self.same.get(found, found)

    def number(self, aval) -> int:
        self.avals.append(jax.ShapeDtypeStruct(aval.shape, aval.dtype))
        return len(self.avals) - 1

    def constant(self, value, aval) -> int:
        number = self.number(aval)
        self.constants[number] = value
        return number


def _only_clips(jaxpr: core.Jaxpr) -> bool:
    """Says whether a jaxpr does nothing but `max` and `min` with numbers, perhaps by way of another call."""
    return all(
        _only_clips(open_jaxpr(eqn.params[_CALLS[eqn.primitive.name]])[0])
        if eqn.primitive.name in ("jit", "pjit")
        else eqn.primitive.name in CLIPS and any(isinstance(atom, core.Literal) for atom in eqn.invars)
        for eqn in jaxpr.eqns
    )
