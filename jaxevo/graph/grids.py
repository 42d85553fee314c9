"""Token sequences that came from pictures: which token stood where, read from the equations.

A transformer for pictures reshapes a map to tokens and may put class tokens beside them. Both are seen in the graph, so
that a stitch can turn tokens into a map again and a map into tokens.
"""

from typing import NamedTuple

from jaxevo.graph.program import Equation, Program


class Grid(NamedTuple):
    """How the tokens of a sequence lie in a picture.

    height, width: rows and columns of the map that the tokens came from, row by row.
    first: index of the first token of the map; class tokens stand before it and behind the last one.
    """

    height: int
    width: int
    first: int

    @property
    def tokens(self) -> slice:
        """Where the tokens of the map stand in the sequence."""
        return slice(self.first, self.first + self.height * self.width)


def grids(program: Program, channels: list[int | None], batches: list[int | None]) -> list[Grid | None]:
    """Finds the values that are sequences of tokens over a grid.

    Args:
      program: the program.
      channels, batches: the channel axis and the batch axis of each value, by number.

    Returns:
      The `Grid` of each value, by number; None where it is no such sequence.
    """
    found: list[Grid | None] = [None] * len(program.avals)

    def axis(value: int) -> int | None:
        """The token axis of a value with three axes."""
        known = (batches[value], channels[value])
        if len(program.avals[value].shape) != 3 or None in known:
            return None
        return next(i for i in range(3) if i not in known)

    for equation in program.equations:
        value = equation.writes[0]
        token = axis(value) if value in program.dynamic else None
        if token is not None:
            length = program.avals[value].shape[token]
            found[value] = _from_map(program, equation, channels, batches, length) or _passed_on(
                program, equation, found, axis, token, length
            )
    return found


def _from_map(program: Program, equation: Equation, channels, batches, length: int) -> Grid | None:
    """Reads the grid off a reshape of a map to tokens."""
    source = equation.reads[0]
    if equation.primitive != "reshape" or source is None or len(program.avals[source].shape) != 4:
        return None
    if channels[source] is None or batches[source] is None:
        return None
    height, width = (
        n for i, n in enumerate(program.avals[source].shape) if i not in (channels[source], batches[source])
    )
    return Grid(height, width, 0) if height * width == length else None


def _passed_on(program: Program, equation: Equation, found, axis, token: int, length: int) -> Grid | None:
    """Follows a grid through joined class tokens, cut-off ones, and whatever keeps the sequence."""
    sources = [v for v in equation.reads if v is not None and found[v] is not None]
    if not sources:
        return None
    source = sources[0]
    grid, place = found[source], axis(source)
    if equation.primitive == "concatenate" and equation.params["dimension"] == token:
        position = next(i for i, v in enumerate(equation.reads) if v == source)
        before = sum(getattr(atom.aval, "shape", ())[token] for atom in equation.source.invars[:position])
        return grid._replace(first=grid.first + before)
    if equation.primitive == "slice" and place == token:
        start, end = equation.params["start_indices"][token], equation.params["limit_indices"][token]
        whole = equation.params["strides"] is None or equation.params["strides"][token] == 1
        if whole and start <= grid.tokens.start and grid.tokens.stop <= end:
            return grid._replace(first=grid.first - start)
        return None
    return grid if program.avals[source].shape[place] == length else None
