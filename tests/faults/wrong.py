"""What people pass for an argument by mistake: for each kind of argument a hypothesis strategy of wrong values.

Whatever is drawn is wrong for that kind: no whole number in range for a count, nothing callable for a function.
"""

import pathlib
import string
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st

from jaxevo import data
from jaxevo.network import Network
from jaxevo.space import Space

Wrong = st.SearchStrategy


class Kind(NamedTuple):
    """A kind of argument.

    wrong: values that it must refuse.
    words: other words by which a message may name the argument, such as "inputs" for a split of examples.
    """

    wrong: Wrong
    words: tuple[str, ...] = ()


def function(*_: Any) -> None:
    """Stands for a function of the wrong signature; where nothing callable is wanted it is as wrong as a number."""


WORDS = st.text(string.ascii_letters + string.digits + "_./: -", min_size=1, max_size=12)
NOTHING = st.none()
#: Things of every sort, of which hardly any argument takes one.
THINGS: Wrong = st.one_of(
    st.integers(-(2**40), 2**40),
    st.floats(),
    st.complex_numbers(),
    st.booleans(),
    WORDS,
    st.binary(max_size=4),
    st.lists(st.integers(), max_size=3),
    st.tuples(st.integers(), st.integers()),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.builds(object),
    st.just(function),
    st.just(pathlib.Path("nowhere")),
    st.builds(lambda n: np.zeros(n, np.float32), st.integers(0, 4)),
    st.builds(lambda n: jnp.zeros(n, jnp.int32), st.integers(1, 3)),
)


def things(right: Callable[[Any], bool] = lambda _: False, optional: bool = False, words: Sequence[str] = ()) -> Kind:
    """Anything but what is right."""
    drawn = THINGS.filter(lambda value: not right(value))
    return Kind(drawn if optional else st.one_of(NOTHING, drawn), tuple(words))


def callables(optional: bool = False) -> Kind:
    """Where a function is wanted."""
    return things(callable, optional)


def instances(*kinds: type, optional: bool = False, words: Sequence[str] = (), others: Sequence[Any] = ()) -> Kind:
    """Where an object of the library is wanted: anything else, objects of the library of other kinds among them."""
    strange = [other for other in others if not isinstance(other, kinds)]
    kind = things(lambda value: isinstance(value, kinds), optional, words)
    return Kind(st.one_of(kind.wrong, st.sampled_from(strange)) if strange else kind.wrong, kind.words)


def counts(least: int, most: int | None = None, optional: bool = False) -> Kind:
    """Where a whole number in a range is wanted."""
    outside = [st.integers(max_value=least - 1)] + ([] if most is None else [st.integers(min_value=most + 1)])
    strange = st.one_of(st.floats(), WORDS, st.booleans(), st.lists(st.integers(), max_size=2), st.builds(object))
    return Kind(st.one_of(*outside, strange, *([] if optional else [NOTHING])))


def numbers(
    low: float = 0.0, high: float = float("inf"), *, open_low: bool = False, open_high: bool = False,
    optional: bool = False,
) -> Kind:  # fmt: skip
    """Where a finite number in an interval is wanted."""

    def right(value: float) -> bool:
        above = value > low if open_low else value >= low
        below = value < high if open_high else value <= high
        return bool(np.isfinite(value)) and above and below

    outside = st.one_of(st.floats(), st.floats(-3, 3), st.integers(-3, 3)).filter(lambda value: not right(value))
    strange = st.one_of(WORDS, st.lists(st.floats(), max_size=2), st.builds(object), st.complex_numbers())
    return Kind(st.one_of(outside, strange, *([] if optional else [NOTHING])))


def names(*known: str, optional: bool = False) -> Kind:
    """Where one of some names is wanted: misspelt ones, other words, other things."""

    def misspelt(name: str, at: int, letter: str) -> str:
        at %= len(name) + 1
        return name[:at] + letter + name[at + 1 :]

    slips = st.builds(misspelt, st.sampled_from(known), st.integers(0, 20), st.sampled_from(string.ascii_lowercase))
    others = st.one_of(slips, st.sampled_from(known).map(str.upper), WORDS, st.integers(), st.builds(object))
    strange = others.filter(lambda value: value not in known)
    return Kind(strange if optional else st.one_of(NOTHING, strange))


def flags(optional: bool = False) -> Kind:
    """Where True or False is wanted."""
    return Kind(st.one_of(WORDS, st.integers(2, 9), st.floats(), st.builds(object), *([] if optional else [NOTHING])))


def keys(optional: bool = False) -> Kind:
    """Where a key is wanted: seeds, batches of keys, keys of another generator, arrays."""
    several = st.builds(lambda seed: jax.random.split(jax.random.key(seed, impl="threefry2x32")), st.integers(0, 3))
    other = st.builds(lambda seed: jax.random.key(seed, impl="rbg"), st.integers(0, 3))
    arrays = st.builds(np.zeros, st.integers(0, 4))
    strange = st.one_of(several, other, arrays, THINGS)
    return Kind(strange if optional else st.one_of(NOTHING, strange))


def paths(optional: bool = False, missing: bool = True) -> Kind:
    """Where the path of something that exists is wanted, or with `missing=False` any path."""
    strange = things(lambda value: isinstance(value, str | bytes | pathlib.Path), optional).wrong
    nowhere = st.builds(lambda name: f"/nowhere/{name.replace('/', '_')}", WORDS)
    return Kind(st.one_of(strange, nowhere) if missing else strange, ("path", "file"))


def arrays(valid: np.ndarray, *, ranks: bool = True, finite: bool = True, extra: Sequence[Any] = ()) -> Kind:
    """Where an array like `valid` is wanted: of another rank, empty, of words, with NaN, or no array at all."""
    valid = np.asarray(valid)
    found: list[Any] = [None, "words", object(), np.zeros((0, *valid.shape[1:]), valid.dtype), *extra]
    if ranks:
        found += [valid[..., None], valid.reshape(-1)[0], valid.astype(str)]
    if finite and np.issubdtype(valid.dtype, np.floating):
        for value in (np.nan, np.inf):
            broken = valid.copy()
            broken.reshape(-1)[-1] = value
            found.append(broken)
    return Kind(st.sampled_from(found))


def pictures(valid: np.ndarray) -> list[np.ndarray]:
    """Batches [B, H, W, C] as people bring them by mistake."""
    pixels = np.clip(np.asarray(valid) * 40 + 128, 0, 255)
    return [
        np.moveaxis(valid, -1, 1),
        valid[0],
        valid[..., 0],
        valid[None],
        pixels.astype(np.uint8),
        valid[:, :-1],
        valid[:0],
        valid.reshape(len(valid), -1),
    ]


def batches(valid: np.ndarray) -> Kind:
    """Where inputs of a network are wanted."""
    return Kind(st.one_of(st.sampled_from(pictures(valid)), things().wrong), ("inputs",))


def splits(valid: data.Split, *, labels: bool = True, optional: bool = False, others: Sequence[Any] = ()) -> Kind:
    """Where examples for a network are wanted: of other shapes and kinds, without labels that fit, or none."""
    found = [data.Split(wrong, valid.labels[: len(wrong)]) for wrong in pictures(valid.inputs)]
    found.append(data.Split(valid.inputs, valid.labels[:-2]))
    if labels:
        found += [
            data.Split(valid.inputs, valid.labels + 1000),
            data.Split(valid.inputs, valid.labels - 1000),
            data.Split(valid.inputs, valid.labels.astype(np.float32)),
            data.Split(valid.inputs, np.eye(1000, dtype=np.int32)[valid.labels]),
        ]
    strange = st.one_of(st.sampled_from([*found, (valid.inputs, valid.labels), *others]), THINGS)
    return Kind(strange if optional else st.one_of(NOTHING, strange), ("inputs", "labels", "examples"))


def trees(valid: Any) -> Kind:
    """Where parameters are wanted: of another structure, of other shapes, or none."""
    leaves, structure = jax.tree.flatten(valid)
    longer = jax.tree.unflatten(structure, [np.concatenate([np.asarray(leaf)] * 2) for leaf in leaves])
    found = [longer, leaves[:-1], {"params": leaves}, leaves[0], {}, [], None, "params", 3, object()]
    return Kind(st.sampled_from(found))


def spaces(*others: Any) -> Kind:
    """Where a space is wanted."""
    return instances(Space, others=others)


def networks(*others: Any) -> Kind:
    """Where a network is wanted."""
    return instances(Network, others=others)


def class_names(counted: bool = True) -> Kind:
    """Where names of three classes are wanted, or None; others in number too where outputs are looked at."""
    strange = ["abc", [0, 1, 2], 3, 2.5, [None] * 3, function]
    return Kind(st.sampled_from(strange + [["a"], ["a", "b"], ["a", "b", "c", "d"]] * counted))
