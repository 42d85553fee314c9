"""Search: strategies that propose genomes, Pareto tools, and `run`, the loop around them."""

from jaxevo.search import pareto
from jaxevo.search.adapter import EvosaxState, evosax
from jaxevo.search.archived import KeepingState, keeping
from jaxevo.search.baseline import RandomSearchState, random_search
from jaxevo.search.beside import RepeatedState, fronts, repeated
from jaxevo.search.evolution import EvolutionState, evolution_strategy
from jaxevo.search.genepool import gomea
from jaxevo.search.loop import Evolving, Result, run, step
from jaxevo.search.multiobjective import NSGA2State, nsga2
from jaxevo.search.pareto import crowding, front, hypervolume, ranks
from jaxevo.search.preselection import SurrogateState, surrogate
from jaxevo.search.replacement import Births, ReplacementState, replace_worst
from jaxevo.search.rounds import GOMEAState
from jaxevo.search.selection import TruncationState, truncation
from jaxevo.search.strategy import Scored, Strategy

__all__ = [
    "Births",
    "EvolutionState",
    "Evolving",
    "EvosaxState",
    "GOMEAState",
    "KeepingState",
    "NSGA2State",
    "RandomSearchState",
    "RepeatedState",
    "ReplacementState",
    "Result",
    "Scored",
    "Strategy",
    "SurrogateState",
    "TruncationState",
    "crowding",
    "evolution_strategy",
    "evosax",
    "front",
    "fronts",
    "gomea",
    "hypervolume",
    "keeping",
    "nsga2",
    "pareto",
    "random_search",
    "ranks",
    "repeated",
    "replace_worst",
    "run",
    "step",
    "surrogate",
    "truncation",
]
