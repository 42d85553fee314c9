"""A report holds the figures of scikit-learn and of its own parts."""

import numpy as np
import pytest
import sklearn.metrics

from jaxevo.ensemble import mean_over_pairs, q_statistic, report
from tests.ensemble.said import candidates


def test_a_report_states_vote_members_and_diversity():
    said, labels = candidates(n=200)
    found, voted = report(said, labels), said.mean(0)
    assert found["vote"]["nll"] == pytest.approx(sklearn.metrics.log_loss(labels, voted), rel=1e-5)
    assert found["vote"]["accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(labels, voted.argmax(1)))
    losses = [sklearn.metrics.log_loss(labels, one) for one in said]
    assert found["members"]["nll"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert found["vote"]["brier"] < found["members"]["brier"]
    assert found["diversity"]["q_statistic"] == mean_over_pairs(q_statistic(said, labels))
    assert "diversity" not in report(said[:1], labels)
    with pytest.raises(ValueError, match="report: probabilities of member 0"):
        report(np.full_like(said, np.nan), labels)
