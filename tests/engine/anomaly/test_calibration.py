import numpy as np
import pytest

from recommender.engine.anomaly import calibration
from recommender.engine.errors import InvalidConfig, NoData, NotFinite

SHAPES = {
    "normal": lambda random, n: random.normal(size=n),
    "skewed": lambda random, n: random.gamma(2, size=n),
    "heavy": lambda random, n: random.lognormal(0, 0.6, n),
    "far from 0": lambda random, n: 1e6 + random.chisquare(20, n),
}
HEAVY = [*(1e290 * 4.0 ** np.arange(12.0)), 0.0]


def judged(scores: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    return calibration.probabilities(calibration.fit(scores, labels), scores)


@pytest.mark.parametrize("shape", SHAPES)
def test_usual_rows_are_not_called_anomalies(shape: str) -> None:
    found = judged(SHAPES[shape](np.random.default_rng(1), 5000))
    assert (found >= 0.9).mean() < 0.001
    assert (found >= 0.5).mean() < 0.01


@pytest.mark.parametrize("share", [0.01, 0.05, 0.1])
@pytest.mark.parametrize("shape", SHAPES)
def test_of_those_at_nine_tenths_about_nine_in_ten_are(shape: str, share: float) -> None:
    random = np.random.default_rng(2)
    scores = SHAPES[shape](random, 20_000)
    odd = np.arange(len(scores)) < share * len(scores)
    high, width = np.quantile(scores, 0.999), scores.std()
    scores[odd] = high + width * (1 + random.exponential(2, odd.sum()))
    found = judged(scores)
    assert odd[found >= 0.9].mean() > 0.85
    assert (found[odd] >= 0.5).mean() > 0.9


@pytest.mark.parametrize(
    "scores",
    [
        [3.0],
        [1.0, 1.0, 1.0],
        [0.0] * 50 + [1.0],
        [1.0, 2.0, 3.0, 4.0, 500.0],
        [1e300, -1e300, 0.0],
        [1e-300, 0.0],
        HEAVY,
    ],
    ids=["one", "equal", "one differs", "five", "huge", "tiny", "heavy and huge"],
)
def test_few_or_equal_scores_give_probabilities(scores: list[float]) -> None:
    arrays = calibration.fit(np.array(scores))
    assert all(np.isfinite(array).all() for array in arrays.values())
    found = calibration.probabilities(arrays, np.array([*scores, -np.inf, np.inf, 0.0, np.nan]))
    assert ((found >= 0) & (found <= 1)).all()
    assert (found[: len(scores)] < 0.9).all() or scores[-1] == 500


@pytest.mark.parametrize("labelled", [False, True])
def test_probabilities_rise_with_scores(labelled: bool) -> None:
    random = np.random.default_rng(3)
    scores = np.concatenate((random.gamma(2, size=900), random.gamma(9, size=100)))
    labels = np.where(random.random(1000) < 0.3, (np.arange(1000) >= 900) * 1.0, np.nan) if labelled else None
    arrays = calibration.fit(scores, labels)
    assert (np.diff(arrays["scores"]) > 0).all()
    found = calibration.probabilities(arrays, np.linspace(-50, 50, 5000))
    assert (np.diff(found) >= 0).all()
    assert found.dtype == np.float64


def test_labels_are_believed() -> None:
    random = np.random.default_rng(4)
    scores = random.normal(size=4000)
    truth = (random.random(4000) < 1 / (1 + np.exp(-(2 * scores - 3)))).astype(np.float64)
    found = judged(scores, truth)
    for low, high in ((0.0, 0.1), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8)):
        inside = (found >= low) & (found < high)
        assert truth[inside].mean() == pytest.approx(found[inside].mean(), abs=0.07)


def test_labels_that_contradict_each_other_or_the_scores_give_their_share() -> None:
    scores = np.tile(np.arange(100.0), 2)
    contradicting = np.repeat([0.0, 1.0], 100)
    np.testing.assert_allclose(judged(scores, contradicting), 0.5, atol=0.01)
    against = (scores < 50).astype(np.float64)
    np.testing.assert_allclose(judged(scores, against), 0.5, atol=0.01)


def test_labels_of_one_kind_say_nothing() -> None:
    scores = np.random.default_rng(5).normal(size=500)
    np.testing.assert_array_equal(judged(scores, np.ones(500)), judged(scores))
    np.testing.assert_array_equal(judged(scores, np.full(500, np.nan)), judged(scores))


def test_what_cannot_be_calibrated_by_is_refused() -> None:
    with pytest.raises(NoData):
        calibration.fit(np.empty(0))
    with pytest.raises(NotFinite):
        calibration.fit(np.array([1.0, np.nan]))
    with pytest.raises(InvalidConfig, match="2 labels for 3"):
        calibration.fit(np.arange(3.0), np.zeros(2))
    with pytest.raises(InvalidConfig, match="1, 0 or NaN"):
        calibration.fit(np.arange(3.0), np.array([0.0, 1.0, 2.0]))
    with pytest.raises(InvalidConfig, match="contamination"):
        calibration.fit(np.arange(3.0), contamination=0.0)
