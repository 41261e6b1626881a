import numpy as np
import pytest

from recommender.engine.anomaly.isolation_forest import IsolationForestConfig, IsolationForestDetector, OpenedForest
from recommender.engine.errors import InvalidConfig
from recommender.engine.options import Options
from tests.contracts.detector import DetectorContract, usual_rows, world


class TestIsolationForest(DetectorContract):
    name = "isolation_forest"
    config = {"trees": 50}


@pytest.mark.parametrize("count", [2, 20, 400])
def test_scores_are_those_of_scikit_learn(count: int) -> None:
    from sklearn.ensemble import IsolationForest

    rows, unseen = usual_rows(count, seed=3), usual_rows(200, seed=4) * 1.5
    config = IsolationForestConfig(trees=20)
    opened = OpenedForest(IsolationForestDetector.fit(rows, config, Options(seed=9)))
    theirs = IsolationForest(n_estimators=20, max_samples=min(256, count), random_state=9).fit(rows)
    for asked in (rows, unseen):
        np.testing.assert_allclose(opened.scores(asked), -theirs.score_samples(asked), rtol=1e-9)


def test_contributions_sum_to_what_a_row_s_paths_lack() -> None:
    rows, odd = world()
    config = IsolationForestConfig(trees=40)
    arrays = IsolationForestDetector.fit(rows, config, Options())
    opened = OpenedForest(arrays)
    mean_depth = arrays["depth"][arrays["roots"]].mean()
    own = -np.log2(opened.scores(rows)) * opened.usual_depth
    np.testing.assert_allclose(opened.contributions(rows).sum(axis=1), mean_depth - own, rtol=1e-3, atol=1e-3)
    assert opened.contributions(rows)[odd].sum() > 0


def test_it_does_not_matter_in_how_many_blocks_rows_are_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _ = world()
    opened = OpenedForest(IsolationForestDetector.fit(rows, IsolationForestConfig(trees=10), Options()))
    scores, contributions = opened.scores(rows), opened.contributions(rows)
    monkeypatch.setattr("recommender.engine.anomaly.rows.BLOCK_BYTES", 5000)
    np.testing.assert_array_equal(opened.scores(rows), scores)
    np.testing.assert_array_equal(opened.contributions(rows), contributions)


@pytest.mark.parametrize("values", [{"trees": 0}, {"trees": 1.5}, {"trees": True}, {"sample": 1}, {"trees": "9"}])
def test_settings_out_of_range_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(InvalidConfig, match=next(iter(values))):
        IsolationForestConfig(**values)
