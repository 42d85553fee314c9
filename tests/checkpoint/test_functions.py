"""How a run that is continued knows functions."""

import functools

import numpy as np

from jaxevo.checkpoint.functions import known_as


def scaled(values, factor, *, to=None):
    return values * factor if to is None else to(values * factor)


def test_function_is_known_by_its_definition_and_by_its_name_where_it_has_one():
    def named(values):
        return values

    named.name = "scaled by 2"
    assert known_as(scaled) == "scaled"
    assert known_as(named) == "scaled by 2"


def test_partial_function_is_known_by_what_it_was_given_and_by_no_address():
    known = {known_as(functools.partial(scaled, factor=factor)) for factor in (1, 2.0, None)}
    assert known == {"scaled(factor=1)", "scaled(factor=2.0)", "scaled(factor=None)"}
    sides = [known_as(functools.partial(scaled, factor=factor)) for factor in ((3, 5), (3, 4))]
    assert sides == ["scaled(factor=(3, 5))", "scaled(factor=(3, 4))"]
    ones, again, twos = (known_as(functools.partial(scaled, np.full(3, number))) for number in (1, 1, 2))
    assert ones == again != twos
    inner = functools.partial(scaled, 3, to=functools.partial(scaled, factor=5))
    assert known_as(inner) == "scaled(3, to=scaled(factor=5))"
    assert known_as(functools.partial(scaled, factor=object())) == "scaled(factor=object)"
