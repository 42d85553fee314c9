"""Members are trained, scored and searched for; a run of them goes on after a cut with the same bits."""

import jax
import numpy as np
import optax
import pytest

from jaxevo import Member, data, evaluation, pruning, search, training
from jaxevo.evaluation.metrics import Metric
from tests.pruning.tasks import CLASSES, FEATURES, STRANGE, TRAIN, VALID
from tests.search.toys import space as toy

SPACE = pruning.neurons(pruning.head(FEATURES, CLASSES, (70,)))
LEARNER = training.learner(SPACE, training.cross_entropy, optax.sgd(0.05, momentum=0.9))
METRICS = [evaluation.accuracy, -pruning.active_share, evaluation.auroc(STRANGE)]
KEY = jax.random.key(5)


def evaluate(train=TRAIN, valid=VALID, metrics=METRICS):
    fit = training.population(SPACE, LEARNER, train, epochs=4, batch=16, valid=valid, patience=2, layout="scan")
    return evaluation.after(fit, valid, metrics, batch=32)


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def steady(generations, **changes):
    return search.run(KEY, search.nsga2(SPACE, 6, offspring=2), evaluate(), generations, progress=False, **changes)


@pytest.fixture(scope="module")
def result():
    return steady(4)


def test_fitness_is_that_of_the_networks_that_the_members_have_become(result):
    assert isinstance(result.best, Member)
    for index in range(len(result.front.fitness)):
        member = jax.tree.map(lambda leaf, i=index: leaf[i], result.front.genomes)
        network = SPACE.network(member)
        accuracy = (np.asarray(network(VALID.inputs)).argmax(1) == VALID.labels).mean()
        known, strange = (evaluation.odin()(network, split.inputs) for split in (VALID, STRANGE))
        expected = [accuracy, -member.genome.mean(), evaluation.roc_area(known, strange)]
        np.testing.assert_allclose(result.front.fitness[index], expected, atol=2e-3)


def test_the_steady_state_trains_two_at_a_time_and_keeps_what_survivors_learned(result):
    assert [entry["evaluations"] for entry in result.history] == [6, 8, 10, 12]
    assert result.history[-1]["trained"] == 12
    again = evaluate().score(result.population.genomes)
    np.testing.assert_array_equal(again, result.population.fitness.astype(np.float32))
    assert result.best.optimizer_state is None


def test_a_run_that_was_cut_goes_on_with_the_same_bits(result, tmp_path):
    steady(2, checkpoint=tmp_path)
    again = steady(4, checkpoint=tmp_path)
    same(again.state, result.state)
    assert again.history == result.history
    fewer = data.Split(VALID.inputs[:-1], VALID.labels[:-1])
    with pytest.raises(ValueError, match=r"evaluation examples is .* there and"):
        search.run(KEY, search.nsga2(SPACE, 6, offspring=2), evaluate(valid=fewer), 5, checkpoint=tmp_path)


def test_random_search_trains_members_as_well():
    found = search.run(KEY, search.random_search(SPACE, 5, total=7), evaluate(), 9, progress=False)
    assert found.history[-1]["evaluations"] == 7
    assert found.population.genomes.params[0]["kernel"].shape[1:] == (FEATURES, 70)


def test_members_with_keys_of_their_own_become_what_they_are_among_others():
    members = jax.vmap(SPACE.init)(jax.random.split(KEY, 3), SPACE.sample(jax.random.key(1), 3))
    everybody = evaluate()(KEY, None, members)
    rows, keys = np.array([2, 0]), jax.vmap(jax.random.fold_in, (None, 0))(KEY, np.arange(3))
    some = evaluate()(keys[rows], None, jax.tree.map(lambda leaf: leaf[rows], members))
    same(some, jax.tree.map(lambda leaf: leaf[rows], everybody))


def test_an_archive_keeps_what_a_small_population_loses():
    kept = search.run(KEY, search.keeping(search.nsga2(SPACE, 2, offspring=4)), evaluate(), 3, progress=False)
    assert len(kept.front.fitness) > 2
    assert (search.ranks(kept.front.fitness) == 0).all()
    assert {len(leaf) for leaf in jax.tree.leaves(kept.front.genomes)} == {len(kept.front.fitness)}
    plain = search.run(KEY, search.nsga2(SPACE, 2, offspring=4), evaluate(), 3, progress=False)
    same(plain.population, kept.population)


def test_repeated_runs_are_trained_together_and_told_apart_again(tmp_path):
    strategy = search.repeated(search.keeping(search.nsga2(SPACE, 4, offspring=2)), 2)
    found = search.run(KEY, strategy, evaluate(), 2, progress=False, checkpoint=tmp_path)
    assert [entry["evaluations"] for entry in found.history] == [8, 12]
    again = search.run(KEY, strategy, evaluate(), 3, progress=False, checkpoint=tmp_path)
    first, second = search.fronts(again)
    assert not np.array_equal(first.genomes.genome[:1], second.genomes.genome[:1])
    same(again.state, search.run(KEY, strategy, evaluate(), 3, progress=False).state)
    with pytest.raises(TypeError, match=r"expected what run gives for search\.repeated"):
        search.fronts(steady(1))


def test_a_metric_may_be_measured_on_the_host_on_the_decoded_network():
    width = Metric("width", False, "network", measure=lambda network: network.params[0]["kernel"].shape[1])
    members = jax.vmap(SPACE.init)(jax.random.split(KEY, 2), SPACE.sample(jax.random.key(1), 2))
    found = evaluate(metrics=[-width, evaluation.accuracy, -evaluation.latency(repeats=2)]).score(members)
    np.testing.assert_array_equal(found[:, 0], -np.asarray(members.genome).sum(axis=1))
    assert (found[:, 2] < 0).all()


def test_a_metric_that_does_not_fit_is_met_before_members_are_trained():
    other = data.Split(STRANGE.inputs[:, 1:], STRANGE.labels)
    with pytest.raises(ValueError, match="after: examples of a metric: inputs have shape"):
        evaluate(metrics=[evaluation.auroc(other)])


def test_a_member_that_broke_scores_nan():
    members = jax.vmap(SPACE.init)(jax.random.split(KEY, 1), np.ones((1, 70), bool))
    members.params[1]["bias"] = members.params[1]["bias"] * np.nan
    found = evaluate().score(members)
    np.testing.assert_array_equal(np.isnan(found), [[True, False, True]])


def test_strategies_and_evaluations_that_cannot_hold_members_say_so():
    with pytest.raises(ValueError, match=r"members of space .* are trained.*search\.nsga2"):
        search.truncation(SPACE, 4)
    with pytest.raises(TypeError, match="members is a "):
        evaluate()(KEY, None, SPACE.sample(KEY, 2))
    with pytest.raises(TypeError, match="after: fit is"):
        evaluation.after(lambda key, members: members, VALID, METRICS)
    with pytest.raises(ValueError, match="are not trained"):
        training.learner(toy(), training.cross_entropy, optax.sgd(0.1))
    with pytest.raises(ValueError, match="labels lie in"):
        evaluate(valid=data.Split(VALID.inputs, VALID.labels + 3))


def test_an_evaluation_is_known_by_what_its_metrics_bring_and_by_their_detectors():
    made = [
        evaluation.auroc(STRANGE),
        evaluation.auroc(VALID),
        evaluation.auroc(STRANGE, evaluation.odin(10)),
        evaluation.auroc(STRANGE, evaluation.energy()),
        evaluation.auroc(STRANGE, evaluation.energy(2)),
        evaluation.auroc(STRANGE, evaluation.max_softmax),
    ]
    known = [evaluate(metrics=[metric]).identity for metric in made]
    assert len({str(one) for one in known}) == len(made)
    # Written in other words, and made again.
    assert evaluate(metrics=[evaluation.auroc(STRANGE, evaluation.odin(1000, 0))]).identity == known[0]
    assert evaluate(metrics=[evaluation.auroc(STRANGE, evaluation.energy(1))]).identity == known[3]
