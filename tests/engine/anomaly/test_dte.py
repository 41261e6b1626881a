import numpy as np
import pytest

from recommender.engine.anomaly.dte import DteConfig, DteDetector, OpenedDte
from recommender.engine.errors import InvalidConfig
from recommender.engine.options import Options
from tests.contracts.detector import DetectorContract, usual_rows


class TestDte(DetectorContract):
    name = "dte"


def test_of_one_neighbour_the_posterior_is_the_inverse_gamma_s() -> None:
    """With one usual row, p(s^2 | x) over an even grid of ln s^2 is InvGamma(D / 2, r^2 / 2), whose mean of ln s^2 is
    ln(r^2 / 2) - digamma(D / 2)."""
    from scipy.special import digamma

    rows = usual_rows(200, seed=2)
    config = DteConfig(neighbours=1, skip=0, times=2000)
    detector = OpenedDte(DteDetector.fit(rows, config, Options()), config)
    squares = np.array([[1.0], [4.0], [100.0]])
    expected = np.log(squares[:, 0] / 2) - digamma(rows.shape[1] / 2)
    np.testing.assert_allclose(detector._times(squares), expected, atol=0.02)


def test_noise_of_a_known_time_is_dated_right() -> None:
    """Rows to which noise of a variance was added get about that variance's logarithm."""
    random = np.random.default_rng(3)
    rows = random.normal(size=(500, 30)).astype(np.float32) * 1e-3
    rows[:, :] += np.where(np.arange(500) % 2, 1.0, -1.0)[:, None]  # two tight heaps, each column's deviation 1
    config = DteConfig(neighbours=5, skip=0)
    detector = OpenedDte(DteDetector.fit(rows, config, Options()), config)
    for variance in (0.01, 0.1, 1.0):
        noisy = rows[:100] + random.normal(size=(100, 30)).astype(np.float32) * variance**0.5
        assert detector.scores(noisy).mean() == pytest.approx(np.log(variance), abs=0.25)


def test_skipping_stays_within_the_neighbours_there_are() -> None:
    with pytest.raises(InvalidConfig, match="skip"):
        DteConfig(neighbours=5, skip=5)
    config = DteConfig()
    assert [config.first(k) for k in (1, 4, 49, 50)] == [0, 1, 19, 20]
