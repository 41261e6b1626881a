import numpy as np
import pytest

from recommender.engine.anomaly import detector, make_config
from recommender.engine.anomaly.ensemble import EnsembleConfig, EnsembleDetector, OpenedEnsemble, share
from recommender.engine.errors import InvalidConfig
from recommender.engine.options import Options
from tests.contracts.detector import DetectorContract, world

QUICK = {"parts": ("isolation_forest", "ecod", "knn"), "settings": {"isolation_forest": {"trees": 20}}}


class TestEnsemble(DetectorContract):
    name = "ensemble"
    config = {"settings": {"autoencoder": {"epochs": 15, "members": 1}, "isolation_forest": {"trees": 30}}}


def test_is_the_mean_of_its_parts_ranks() -> None:
    rows, _ = world()
    config = EnsembleConfig(**QUICK)  # type: ignore[arg-type]
    found = OpenedEnsemble(EnsembleDetector.fit(rows, config, Options(seed=4)), config).scores(rows)
    logs = []
    for name in config.parts:
        made = make_config(name, config.settings.get(name, {}))
        scores = detector(name).open(detector(name).fit(rows, made, Options(seed=4)), made).scores(rows)
        logs.append([-np.log(((scores > score).sum() + (scores == score).sum() / 2 + 0.5) / 301) for score in scores])
    np.testing.assert_allclose(found, np.mean(logs, axis=0), rtol=1e-6)


def test_parts_have_the_ensembles_settings_unless_told_otherwise() -> None:
    assert EnsembleConfig().of("isolation_forest").trees == 300
    assert EnsembleConfig(settings={"isolation_forest": {"sample": 64}}).of("isolation_forest").trees == 300
    assert EnsembleConfig(settings={"isolation_forest": {"trees": 20}}).of("isolation_forest").trees == 20
    assert EnsembleConfig(parts=("knn",)).of("knn") == make_config("knn", {})


def test_shares_fall_as_scores_rise_seen_or_not() -> None:
    ranked = np.array([1.0, 2.0, 2.0, 2.0, 5.0])
    asked = np.array([-9.0, 1.0, 1.5, 2.0, 4.0, 5.0, 6.0, 1e9, 1e300])
    found = share(asked, ranked)
    assert (np.diff(found) <= 0).all()
    assert (np.diff(found[:-1]) < 0).all()
    assert 0 < found.min() < found.max() < 1
    np.testing.assert_allclose(found[[1, 3, 5]], [5 / 6, 3 / 6, 1 / 6])
    np.testing.assert_allclose(share(np.array([250_000.0, 999_000.0]), np.arange(1e6)), [0.75, 0.001], atol=1e-5)


@pytest.mark.parametrize(
    "values",
    [
        {"parts": ()},
        {"parts": ("ensemble",)},
        {"parts": ("knn", "knn")},
        {"parts": ("nothing",)},
        {"parts": ("knn",), "settings": {"ecod": {}}},
        {"settings": {"knn": {"neighbours": 0}}},
        {"settings": {"knn": {"strange": 0}}},
    ],
)
def test_parts_that_are_none_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(InvalidConfig):
        EnsembleConfig(**values)  # type: ignore[arg-type]
