from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from recommender.engine.anomaly.autoencoder import AutoencoderConfig, AutoencoderDetector, OpenedAutoencoder
from recommender.engine.anomaly.ecod import EcodConfig, EcodDetector, OpenedEcod
from recommender.engine.errors import InvalidConfig, NotFinite
from recommender.engine.options import Options
from tests.contracts.detector import DetectorContract, auroc, usual_rows


class TestAutoencoder(DetectorContract):
    name = "autoencoder"
    config = {"epochs": 30, "members": 2}


def test_finds_rows_that_break_what_hangs_together() -> None:
    """Each feature is usual by itself; only the way they go together is not. ECOD cannot see that."""
    random = np.random.default_rng(0)
    hidden = random.normal(size=(600, 2))
    rows = (hidden @ random.normal(size=(2, 8)) + 0.05 * random.normal(size=(600, 8))).astype(np.float32)
    odd = np.zeros(600, dtype=np.bool_)
    odd[:20] = True
    rows[odd] = random.permuted(rows[odd], axis=0)
    config = AutoencoderConfig(code=0.7)
    detector = OpenedAutoencoder(AutoencoderDetector.fit(rows, config, Options()), config)
    assert auroc(detector.scores(rows), odd) > 0.9
    tails = OpenedEcod(EcodDetector.fit(rows, EcodConfig(), Options()))
    assert auroc(tails.scores(rows), odd) < 0.75


def test_scores_are_the_mean_of_contributions() -> None:
    rows = usual_rows()
    config = AutoencoderConfig(epochs=3)
    detector = OpenedAutoencoder(AutoencoderDetector.fit(rows, config, Options()), config)
    np.testing.assert_allclose(detector.contributions(rows).mean(axis=1), detector.scores(rows), rtol=1e-5)


def test_a_learning_rate_that_blows_up_is_named() -> None:
    with pytest.raises(NotFinite, match="learning_rate"):
        AutoencoderDetector.fit(
            usual_rows(), AutoencoderConfig(learning_rate=1e38, clip=0.0, schedule="constant", warmup=0.0), Options()
        )


def test_another_seed_gives_other_weights_and_the_error_held_out_is_told() -> None:
    rows, told = usual_rows(), []
    config = AutoencoderConfig(epochs=4)
    fits: list[Mapping[str, Any]] = [
        AutoencoderDetector.fit(rows, config, Options(seed=seed, report=lambda step, value: told.append(value)))
        for seed in (1, 2)
    ]
    assert not np.array_equal(fits[0]["weight0"], fits[1]["weight0"])
    assert len(told) == 24
    assert all(value < 0 for value in told)


def test_settings_out_of_range_are_refused() -> None:
    for values in ({"hidden": 0}, {"code": 0}, {"batch": 0}, {"rows": 1}, {"scale": "log"}, {"epochs": 0}):
        with pytest.raises(InvalidConfig, match=next(iter(values))):
            AutoencoderConfig(**values)
