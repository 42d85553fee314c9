"""The worst of a population make room for children of the best, in the order and with the record that the paper has."""

import functools
import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo import pbt, search
from jaxevo.network import Member
from jaxevo.space import Breeding, Learning
from tests.compilations import count_compilations
from tests.search import toys

KEY = jax.random.key(0)
UNITS = ("left", "right")
POPULATION = 8


def breeding(name="halves"):
    """A child has each half from one of its parents, and learns on."""

    def draw(key):
        return jax.random.bernoulli(jax.random.split(key)[0], 0.5, (len(UNITS),))

    def make(key, better, other, taken):
        return better._replace(
            genome=jnp.where(taken, other.genome, better.genome), params=jnp.where(taken, other.params, better.params)
        )

    return Breeding(name, UNITS, draw, make, {"share": 0.5})


def space(**changes):
    """Members are two numbers, which begin as a genome drawn at random, and know how often they were trained."""
    settings = {
        "params": None,
        "sample": lambda key, n: jax.random.uniform(key, (n, len(UNITS))),
        "vary": toys.unused,
        "init": lambda key, genome: Member(genome, genome, jnp.zeros((), jnp.int32), None),
        "learning": Learning(toys.unused, breeding=breeding()),
    }
    return toys.space(**(settings | changes))


class Scripted:
    """Trains members by one step each; scores them by a table of generations, or by their sum."""

    def __init__(self, table=()):
        self.table, self.seen = table, []

    def __call__(self, key, params, members):
        trained = members._replace(state=members.state + 1)
        self.seen.append(trained)
        at = len(self.seen) - 1
        if at < len(self.table):
            return trained, np.array(self.table[at], float)[:, None]
        return trained, np.asarray(members.params, float).sum(axis=1, keepdims=True)


#: The best two of eight are rows 6 and 1, the worst two rows 3 and 4.
SCORES = [3, 8, 4, 1, 2, 5, 9, 6]
NAN = float("nan")


def go(evaluate, generations=2, strategy=None, **settings):
    made = strategy or search.replace_worst(space(), POPULATION)
    return search.run(KEY, made, evaluate, generations, progress=False, **settings)


def test_the_worst_quarter_are_replaced_by_children_of_the_best_and_the_better_one_is_copied():
    evaluate = Scripted([SCORES])
    result = go(evaluate)
    before, after = evaluate.seen
    births = result.history[1]["births"]
    assert [birth["number"] for birth in births] == [8, 9]
    assert [birth["replaced"] for birth in births] == [3, 4]
    assert result.history[1]["numbers"] == [0, 1, 2, 8, 9, 5, 6, 7]
    for birth, place in zip(births, (3, 4), strict=True):
        assert (birth["better"], birth["other"]) == (6, 1)
        taken = np.isin(UNITS, birth["taken"])
        np.testing.assert_array_equal(after.params[place], np.where(taken, before.params[1], before.params[6]))
        assert after.state[place] == 2, "it learns on where its parent was"
    stayed = [0, 1, 2, 5, 6, 7]
    np.testing.assert_array_equal(after.params[stayed], before.params[stayed])
    np.testing.assert_array_equal(after.state[stayed], 2)
    assert result.history[0]["births"] == []
    assert result.history[0]["scores"] == SCORES


def test_parents_are_two_different_ones_of_their_share():
    strategy = search.replace_worst(space(), POPULATION, 0.25, parents=0.5)
    pairs = set()
    for seed in range(24):
        births = search.run(jax.random.key(seed), strategy, Scripted([SCORES]), 2, progress=False).history[1]["births"]
        pairs |= {(birth["better"], birth["other"]) for birth in births}
    # Rows 6, 1, 7, 5 in the order of their scores: six pairs, the better one first.
    order = [6, 1, 7, 5]
    assert pairs == {(a, b) for i, a in enumerate(order) for b in order[i + 1 :]}


def test_a_member_may_mate_with_itself():
    evaluate = Scripted([SCORES])
    births = go(evaluate, strategy=search.replace_worst(space(), POPULATION, mates="itself")).history[1]["births"]
    assert all(birth["better"] == birth["other"] for birth in births)
    for birth, place in zip(births, (3, 4), strict=True):
        np.testing.assert_array_equal(evaluate.seen[1].params[place], evaluate.seen[0].params[birth["better"]])


def test_nobody_is_replaced_where_the_share_is_nothing_even_where_they_fail():
    evaluate = Scripted([[NAN, *SCORES[1:]]])
    result = go(evaluate, 3, search.replace_worst(space(), POPULATION, 0))
    assert result.history[-1]["numbers"] == list(range(POPULATION))
    assert all(entry["births"] == [] for entry in result.history)
    np.testing.assert_array_equal(evaluate.seen[2].state, 3)


def test_a_member_that_diverges_is_replaced_is_no_parent_and_the_log_says_so(caplog):
    # Row 6 was the best; now 1 and 7 are.
    scores = [3, 8, 4, 1, 2, 5, NAN, 6]
    with caplog.at_level(logging.WARNING, "jaxevo"):
        result = go(Scripted([scores]))
    births = {birth["replaced"]: birth for birth in result.history[1]["births"]}
    assert births.keys() == {6, 3}, "those that diverged count as the worst"
    assert births[6]["diverged"]
    assert not births[3]["diverged"]
    assert all((birth["better"], birth["other"]) == (1, 7) for birth in births.values())
    assert [record.getMessage() for record in caplog.records] == [
        "member 6 diverged, its fitness is not finite; member 8 took its place"
    ]
    assert result.history[0]["scores"][6] is None


@pytest.mark.parametrize("bad", [NAN, float("inf"), -float("inf")])
def test_more_may_diverge_than_the_share(bad):
    scores = [bad, 8, bad, bad, bad, 5, bad, bad]
    births = go(Scripted([scores])).history[1]["births"]
    assert [birth["replaced"] for birth in births] == [0, 2, 3, 4, 6, 7]
    assert all((birth["better"], birth["other"]) == (1, 5) for birth in births)


def test_no_program_is_compiled_again_where_more_diverge_than_before():
    strategy = search.replace_worst(space(), POPULATION)
    go(Scripted([SCORES]), strategy=strategy)
    with count_compilations() as compiled:
        births = go(Scripted([[NAN, NAN, NAN, *SCORES[3:]]]), strategy=strategy).history[1]["births"]
    assert len(births) == 3
    assert compiled == []


def test_the_last_one_left_is_the_parent_of_all():
    scores = [NAN] * 5 + [5, NAN, NAN]
    births = go(Scripted([scores])).history[1]["births"]
    assert len(births) == 7
    assert all((birth["better"], birth["other"]) == (5, 5) for birth in births)


def test_where_nobody_is_left_all_begin_anew(caplog):
    evaluate = Scripted([[NAN] * POPULATION])
    result = go(evaluate)
    assert len(caplog.records) == POPULATION
    assert result.history[1]["numbers"] == list(range(8, 16))
    assert all(
        (birth["better"], birth["other"], birth["taken"]) == (-1, -1, []) for birth in result.history[1]["births"]
    )
    np.testing.assert_array_equal(evaluate.seen[1].state, 1)
    assert not set(evaluate.seen[1].params[:, 0].tolist()) & set(evaluate.seen[0].params[:, 0].tolist())
    family = pbt.lineage(result.history)
    assert family[8].better is None
    assert family[8].diverged
    assert pbt.origins(family, 8, UNITS) == {"left": 8, "right": 8}


def test_members_begin_with_an_optimiser_state_that_children_inherit():
    begin = lambda member: member._replace(optimizer_state=member.params * 10)  # noqa: E731
    evaluate = Scripted([SCORES])
    go(evaluate, strategy=search.replace_worst(space(), POPULATION, begin=begin))
    before, after = evaluate.seen
    np.testing.assert_array_equal(before.optimizer_state, before.params * 10)
    np.testing.assert_array_equal(after.optimizer_state[3], before.optimizer_state[6])


def test_the_lineage_tells_who_came_from_whom_and_which_layers_from_where():
    # The child in row 3 is the best of the second generation, and a parent of the third.
    second = [3, 8, 4, 20, 2, 5, 9, 1]
    result = go(Scripted([SCORES, second]), 3)
    family = pbt.lineage(result.history)
    assert [descent.number for descent in family] == list(range(12))
    assert (family[0].born, family[0].died, family[0].scores[:2]) == (1, 3, (3.0, 3.0))
    assert (family[3].born, family[3].died, family[3].scores) == (1, 1, (1.0,))
    assert (family[8].better, family[8].other, family[8].replaced, family[8].born) == (6, 1, 3, 2)
    assert not family[8].diverged
    latest = family[10]
    assert (latest.better, latest.other) == (8, 6)
    came = pbt.origins(family, 10, UNITS)
    for unit, origin in came.items():
        through = family[8] if unit not in latest.taken else family[6]
        if through.number == 8:
            assert origin == (1 if unit in family[8].taken else 6)
        else:
            assert origin == 6
    with pytest.raises(ValueError, match=r"lineage: history has entries without \['births', 'numbers', 'scores'\]"):
        pbt.lineage([{"generation": 1}])


def test_layers_come_from_where_the_weights_came_from():
    """Each half of a member's numbers is that of the member that the lineage names."""
    evaluate = Scripted()
    result = go(evaluate, 6)
    family = pbt.lineage(result.history)
    for place, number in enumerate(result.history[-1]["numbers"]):
        came = pbt.origins(family, number, UNITS)
        expected = [evaluate.seen[0].params[came[unit], at] for at, unit in enumerate(UNITS)]
        np.testing.assert_array_equal(evaluate.seen[-1].params[place], expected)
    assert len(family) == POPULATION + 5 * 2


@pytest.mark.parametrize("table", [(), ([NAN, *SCORES[1:]], [NAN] * 8, SCORES)])
def test_a_run_that_was_killed_goes_on_with_the_same_bits(tmp_path, table):
    expected = go(Scripted(table), 6)
    for generations in (1, 2, 6, 6):
        evaluate = Scripted(table)
        evaluate.seen = [None] * _done(tmp_path)
        result = go(evaluate, generations, checkpoint=tmp_path)
        (tmp_path / "done").write_text(str(generations))
    toys.assert_same_bits(result.state, expected.state)
    toys.assert_same_bits(result.best, expected.best)
    assert result.history == expected.history
    assert pbt.lineage(result.history) == pbt.lineage(expected.history)


def _done(folder):
    return int((folder / "done").read_text()) if (folder / "done").exists() else 0


def test_a_checkpoint_of_other_children_is_refused(tmp_path):
    go(Scripted(), checkpoint=tmp_path)
    for change in ({"breeding": breeding("thirds")}, {"mates": "itself"}, {"fraction": 0.5}):
        with pytest.raises(ValueError, match=f"strategy settings {next(iter(change))} is "):
            go(Scripted(), 3, search.replace_worst(space(), POPULATION, **change), checkpoint=tmp_path)


make = functools.partial(search.replace_worst, space(), POPULATION)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: search.replace_worst(toys.space(), 8), ValueError, r"members of space 'toy' are not trained"),
        (lambda: search.replace_worst("space", 8), TypeError, "replace_worst: space is 'space'"),
        (lambda: search.replace_worst(space(), 1), ValueError, "replace_worst: population is 1, expected at least 2"),
        (lambda: search.replace_worst(space(), 2.5), TypeError, "replace_worst: population is 2.5"),
        (lambda: search.replace_worst(space(), 3), ValueError, "fraction is 0.25 of 3 members, which is nobody"),
        (lambda: make(1.0), ValueError, r"replace_worst: fraction is 1.0, expected a share in \[0, 1\)"),
        (lambda: make(parents=-0.1), ValueError, "replace_worst: parents is -0.1"),
        (lambda: make(mates="worst"), ValueError, "replace_worst: mates is 'worst', expected 'best' or 'itself'"),
        (lambda: make(breeding="mixture"), ValueError, "replace_worst: breeding is 'mixture', expected a Breeding"),
        (
            lambda: search.replace_worst(space(learning=Learning(toys.unused)), 8),
            ValueError,
            "members of space 'toy' beget none of their own",
        ),
        (
            lambda: go(lambda key, params, members: (members, np.zeros(8))),
            ValueError,
            "expected .population, objectives",
        ),
    ],
)
def test_wrong_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
