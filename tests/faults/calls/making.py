"""`Call`: a public function with arguments that are right, and of what kind each is."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tests.faults.wrong import Kind


class Call(NamedTuple):
    """A public function with arguments that are right, and the kinds of those that are to be replaced.

    name: how messages name the function.
    function: the function.
    right: its arguments by name.
    kinds: of some of them, the kind.
    """

    name: str
    function: Callable[..., Any]
    right: Mapping[str, Any]
    kinds: Mapping[str, Kind]


class Of(NamedTuple):
    """An argument that is to be replaced: its kind, and what is right."""

    kind: Kind
    right: Any


def of(kind: Kind, right: Any) -> Of:
    """Returns an argument of a kind; what is given without a kind is never replaced."""
    return Of(kind, right)


def call(name: str, function: Callable[..., Any], /, **arguments: Any) -> Call:
    """Returns the call of a function, whose messages start with `name`."""
    right = {key: value.right if isinstance(value, Of) else value for key, value in arguments.items()}
    kinds = {key: value.kind for key, value in arguments.items() if isinstance(value, Of)}
    return Call(name, function, right, kinds)
