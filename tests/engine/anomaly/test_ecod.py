import numpy as np
import pytest

from recommender.engine.anomaly.ecod import EcodConfig, EcodDetector, OpenedEcod
from recommender.engine.options import Options
from tests.contracts.detector import DetectorContract, auroc, usual_rows, world


class TestEcod(DetectorContract):
    name = "ecod"


def opened(rows: np.ndarray, **config: int) -> OpenedEcod:
    return OpenedEcod(EcodDetector.fit(rows, EcodConfig(**config), Options()))


def test_scores_are_the_paper_s_equations() -> None:
    rows = np.round(usual_rows(60, seed=2)[:, :3] * [10, 1, 1000])
    rows[:, 2] = rows[:, 2] ** 2  # leans
    expected = np.zeros(len(rows))
    for column in rows.T.astype(np.float64):
        left = np.array([-np.log((column <= x).mean()) for x in column])
        right = np.array([-np.log((column >= x).mean()) for x in column])
        expected += np.maximum(left, right)
    np.testing.assert_allclose(opened(rows).scores(rows), expected, rtol=1e-6)


def test_scores_are_those_of_pyod() -> None:
    ecod = pytest.importorskip("pyod.models.ecod", reason="pyod is not installed (requirements-benchmarks.txt)")
    rows, _ = world()
    rows = np.concatenate((rows, np.round(rows[:, :1]), np.round(rows[:, :1]) ** 2), axis=1)
    theirs = ecod.ECOD().fit(rows.astype(np.float64)).decision_scores_
    np.testing.assert_allclose(opened(rows).scores(rows), theirs, rtol=1e-6)


def test_values_beyond_all_that_were_learned_count_half_a_row() -> None:
    rows = np.arange(10, dtype=np.float32)[:, None]
    found = opened(rows).scores(np.array([[-5.0], [0.0], [4.5], [9.0], [20.0]], dtype=np.float32))
    # At 4.5 both shares are five of ten; at the ends one of ten; beyond them half of one. Symmetric: tails are added.
    np.testing.assert_allclose(found, [np.log(20), np.log(10), 2 * np.log(2), np.log(10), np.log(20)], rtol=1e-6)


def test_what_is_kept_is_bounded_and_hardly_worse() -> None:
    rows, odd = usual_rows(20_000), np.zeros(20_000, dtype=np.bool_)
    odd[:50] = True
    rows[odd, 1] += 800
    exact, bounded = opened(rows, values=100_000), opened(rows, values=200)
    assert len(bounded.values) <= 200 * rows.shape[1]
    assert auroc(bounded.scores(rows), odd) > auroc(exact.scores(rows), odd) - 0.03
    np.testing.assert_array_equal(  # the farthest 50 values of each side are kept one by one
        bounded.contributions(rows)[rows[:, 1].argsort()[-20:], 1],
        exact.contributions(rows)[rows[:, 1].argsort()[-20:], 1],
    )


def test_a_missing_value_says_nothing() -> None:
    rows, _ = world()
    asked = rows[:1].copy()
    asked[0, 1] = np.nan
    assert opened(rows).contributions(asked)[0, 1] == 0
