from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np
import pytest

from recommender.engine.data.interactions import UNKNOWN, Histories, Interactions
from recommender.engine.errors import Cancelled, InvalidConfig, NotFinite, TooLarge
from recommender.engine.trainers import Options, make_config, spectral
from recommender.engine.trainers.spectral import SpectralConfig, SpectralQuery, SpectralTrainer, memory_mib
from tests import worlds
from tests.contracts.trainer import TrainerContract, fit

POWERS: dict[str, Any] = {"user_power": 0.3, "item_power": 0.4, "popularity": 0.2, "power": 0.5, "half_life_items": 0.0}


class TestSpectral(TrainerContract):
    name = "spectral"
    config: ClassVar = {"factors": 2}


class TestSpectralWithRegression(TrainerContract):
    name = "spectral"
    config: ClassVar = {"factors": 2, "regression": 0.2, "predictors": 12}


@pytest.fixture(scope="module")
def weighed() -> Interactions:
    """No taste but chance, weights of all sizes, a fifth of them negative, and repeats."""
    data = worlds.long_tail(users=150, items=90)
    random = np.random.default_rng(3)
    weights = random.lognormal(0, 1, len(data)) * np.where(random.random(len(data)) < 0.2, -1, 1)
    return Interactions.build(data.users, data.items, data.user_rows, data.item_rows, weights)


def dense(data: Interactions, config: SpectralConfig) -> np.ndarray:
    """F (N, N), as the module's docstring writes it, with full matrices in float64."""
    liked = np.maximum(data.matrix.toarray().astype(np.float64), 0)
    liked[liked > 0] **= config.power
    d_u, d_i = (np.where(sums > 0, sums, 1) for sums in (liked.sum(axis=1), liked.sum(axis=0)))
    b = liked * d_u[:, None] ** -config.user_power * d_i**-config.item_power
    x, v = np.linalg.eigh(b.T @ b)
    s, x, v = b.T @ b / x[-1], x[::-1][: config.factors] / x[-1], v[:, ::-1][:, : config.factors]
    np.fill_diagonal(s, 0)
    s += (v * (config.low_pass * x**config.sharpness - x)) @ v.T
    return s * d_i**config.popularity / d_i[:, None] ** config.popularity + config.regression * regression(
        liked, config
    )


def regression(liked: np.ndarray, config: SpectralConfig) -> np.ndarray:
    """max(W, 0) (N, N), each item predicted from all that share a user with it."""
    lengths = (liked > 0).sum(axis=1)
    gram = liked.T @ (liked * (np.maximum(lengths, 1) / lengths.mean())[:, None] ** -0.25)
    lambda_ = config.ridge * np.diag(gram)[np.diag(gram) > 0].mean()
    w = np.zeros_like(gram)
    for item in range(len(gram)):
        others = np.flatnonzero((gram[item] > 0) & (np.arange(len(gram)) != item))
        part = gram[np.ix_(others, others)] + lambda_ * np.eye(len(others))
        w[others, item] = np.linalg.solve(part, gram[others, item])
    return np.maximum(w, 0)


@pytest.mark.parametrize("factors", [0, 5, 20])
@pytest.mark.parametrize(("sharpness", "share"), [(0.0, 0.0), (0.5, 0.0), (0.5, 0.3)])
def test_scores_are_what_the_equation_says(
    weighed: Interactions, factors: int, sharpness: float, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spectral, "BLOCK_PAIRS", 500)  # so that S is made of many blocks
    config = SpectralConfig(factors=factors, sharpness=sharpness, low_pass=0.6, regression=share, **POWERS)
    query = SpectralTrainer.query(SpectralTrainer.fit(weighed, config, Options(threads=2)), config)
    history = weighed.matrix.toarray().astype(np.float64)
    powered = np.sign(history) * np.abs(history) ** 0.5
    expected = powered @ dense(weighed, config)
    difference = np.abs(query.scores(weighed.histories()) - expected)
    assert difference.max() < 0.01 * expected.std()


def test_the_cut_keeps_the_largest_of_each_row_and_loses_no_more_than_the_rest(weighed: Interactions) -> None:
    whole, cut = (SpectralConfig(factors=5, neighbours=k, **POWERS) for k in (1000, 10))
    full, part = (SpectralTrainer.fit(weighed, config, Options()) for config in (whole, cut))
    assert full["rows"].shape[1] == len(weighed.items) - 1
    assert part["rows"].shape[1] == 10
    np.testing.assert_array_equal(part["weights"], full["weights"][:, :10])
    one = Histories.single([3])
    lost = SpectralTrainer.query(full, whole).scores(one) - SpectralTrainer.query(part, cut).scores(one)
    assert lost.min() > -1e-6
    assert lost.max() <= full["weights"][3, 10] + 1e-6


def test_an_item_is_not_its_own_neighbour(weighed: Interactions) -> None:
    rows = SpectralTrainer.fit(weighed, SpectralConfig(), Options())["rows"]
    assert (rows != np.arange(len(rows))[:, None]).all()
    known = [row[row != UNKNOWN] for row in rows]
    assert all(len(np.unique(row)) == len(row) for row in known)


def test_contributions_are_exact_for_dislikes_repeats_and_items_asked_twice(weighed: Interactions) -> None:
    query = fit("spectral", weighed, {"factors": 5, "neighbours": 30, **POWERS})
    history = Histories.single([7, 2, 7, 80, 7, 11], [1, -2, 0.5, 4, -3, 1])
    items = np.array([5, 2, 5, 89], np.int32)
    found = query.contributions(history, items)
    np.testing.assert_allclose(found.sum(axis=0), query.scores(history)[0][items], rtol=1e-3, atol=1e-6)
    np.testing.assert_array_equal(found[:, 0], found[:, 2])
    np.testing.assert_allclose(found[0], 2 * found[2], rtol=1e-5)  # one item's events share by weight
    assert query.contributions(history, np.array([], np.int32)).shape == (6, 0)


def test_a_dislike_takes_away_what_a_like_adds(weighed: Interactions) -> None:
    query = fit("spectral", weighed, {"factors": 5})
    np.testing.assert_allclose(
        query.scores(Histories.single([4], [-2])), -query.scores(Histories.single([4], [2])), rtol=1e-5
    )
    assert (query.scores(Histories.single([4, 4], [2, -2])) == 0).all()


def test_dislikes_teach_nothing() -> None:
    data = worlds.two_groups()
    strange = Interactions.build(
        data.users, data.items, [*data.user_rows, 0, 0], [*data.item_rows, 39, 37], [*data.weights, -5, -5]
    )
    first, second = (SpectralTrainer.fit(part, SpectralConfig(factors=4), Options()) for part in (data, strange))
    for key in first:
        np.testing.assert_array_equal(first[key], second[key])


def test_neighbours_are_of_the_item_s_own_group_and_best_first() -> None:
    query = fit("spectral", worlds.two_groups(), {"factors": 2})
    assert isinstance(query, SpectralQuery)
    rows, scores = query.neighbours(6, 5)
    assert len(rows) == 5
    assert 6 not in rows
    assert (rows % 2 == 0).all()
    assert (np.diff(scores) <= 0).all()
    assert (scores > 0).all()


def test_an_item_nobody_has_is_neither_recommended_nor_a_fault() -> None:
    data = worlds.two_groups()
    more = Interactions.build(data.users, worlds.numbered(41, "i"), data.user_rows, data.item_rows)
    query = fit("spectral", more, {"factors": 2})
    np.testing.assert_allclose(query.scores(more.histories())[:, 40], 0, atol=1e-6)
    assert np.isfinite(query.scores(Histories.single([40]))).all()


def test_cancelling_is_heard_at_every_step(weighed: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spectral, "BLOCK_PAIRS", 500)
    said: list[str] = []
    SpectralTrainer.fit(weighed, SpectralConfig(), Options(progress=lambda share, message: said.append(message)))
    assert len(said) > spectral.SWEEPS + 5

    for stop in (1, spectral.SWEEPS + 3):
        heard: list[float] = []

        def cancel(share: float, message: str, stop: int = stop, heard: list[float] = heard) -> None:
            heard.append(share)
            if len(heard) > stop:
                raise Cancelled()

        with pytest.raises(Cancelled):
            SpectralTrainer.fit(weighed, SpectralConfig(), Options(progress=cancel))
        assert len(heard) == stop + 1


def test_what_does_not_fit_in_memory_is_refused_before_it_starts(weighed: Interactions) -> None:
    small = memory_mib(weighed, SpectralConfig(factors=8))

    def never(share: float, message: str) -> None:
        raise AssertionError("started")

    with pytest.raises(TooLarge, match="factors"):
        SpectralTrainer.fit(weighed, SpectralConfig(factors=8, memory_mib=small - 1), Options(progress=never))
    assert SpectralTrainer.fit(weighed, SpectralConfig(factors=8, memory_mib=small), Options())


def test_the_regression_s_memory_counts(weighed: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spectral, "MIB", 1)
    without, some, more = (
        memory_mib(weighed, SpectralConfig(regression=share, predictors=size))
        for share, size in ((0.0, 80), (0.1, 8), (0.1, 80))
    )
    assert without < some < more


def test_numbers_too_large_to_learn_from_are_an_error_of_ours() -> None:
    data = worlds.two_groups()
    weights = np.where(np.arange(len(data)) % 3, 1, 3e38)
    huge = Interactions.build(data.users, data.items, data.user_rows, data.item_rows, weights)
    with pytest.raises(NotFinite):
        fit("spectral", huge, {"power": 1.0, "user_power": 0.0})


@pytest.mark.parametrize(
    "wrong",
    [{"factors": -1}, {"factors": 8.5}, {"neighbours": -1}, {"low_pass": -0.1},
     {"low_pass": float("inf")}, {"sharpness": -1}, {"user_power": float("nan")}, {"item_power": 3},
     {"popularity": -3}, {"power": -1}, {"memory_mib": 0},
     {"regression": -0.1}, {"ridge": 0}, {"predictors": 0}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig):
        make_config("spectral", wrong)


def test_a_config_survives_json() -> None:
    config = SpectralConfig(factors=16)
    assert make_config("spectral", asdict(config)) == config
