import numpy as np
import pytest

from recommender.engine.anomaly.knn import KnnConfig, KnnDetector, OpenedKnn
from recommender.engine.errors import InvalidConfig
from recommender.engine.options import Options
from tests.contracts.detector import DetectorContract, usual_rows, world


class TestKnn(DetectorContract):
    name = "knn"


def opened(rows: np.ndarray, config: KnnConfig) -> OpenedKnn:
    return OpenedKnn(KnnDetector.fit(rows, config, Options()), config)


@pytest.mark.parametrize("distance", ["mean", "largest"])
def test_scores_are_distances_to_others(distance: str) -> None:
    rows, unseen = usual_rows(120, seed=2), usual_rows(30, seed=3)
    config = KnnConfig(neighbours=4, distance=distance)
    scaled = (rows - rows.mean(axis=0, dtype=np.float64)) / rows.std(axis=0, dtype=np.float64)
    asked = (unseen - rows.mean(axis=0, dtype=np.float64)) / rows.std(axis=0, dtype=np.float64)
    for own, others, skip in ((scaled, rows, 1), (asked, unseen, 0)):
        apart = np.sort(np.linalg.norm(own[:, None] - scaled[None], axis=2), axis=1)[:, skip : skip + 4]
        expected = apart.mean(axis=1) if distance == "mean" else apart[:, -1]
        np.testing.assert_allclose(opened(rows, config).scores(others), expected, rtol=1e-4)


def test_contributions_are_the_coordinates_of_the_distance() -> None:
    rows, _ = world()
    detector = opened(rows, KnnConfig(neighbours=7, distance="largest"))
    np.testing.assert_allclose(
        np.sqrt(detector.contributions(rows).sum(axis=1)), detector.scores(rows), rtol=1e-4, atol=1e-5
    )


def test_of_many_rows_some_are_kept() -> None:
    rows, odd = world()
    config = KnnConfig(references=100, neighbours=5)
    arrays = KnnDetector.fit(rows, config, Options())
    assert arrays["references"].shape == (100, 5)
    scores = OpenedKnn(arrays, config).scores(rows)
    assert scores[odd].min() > np.quantile(scores[~odd], 0.9)


def test_settings_out_of_range_are_refused() -> None:
    for values in ({"neighbours": 0}, {"references": 1}, {"scale": "log"}, {"distance": "median"}):
        with pytest.raises(InvalidConfig, match=next(iter(values))):
            KnnConfig(**values)  # type: ignore[arg-type]
