from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.errors import Cancelled, InvalidConfig, NotFinite
from recommender.engine.learning import loop
from recommender.engine.trainers import Options, make_config
from recommender.engine.trainers.towers import Towers
from recommender.engine.trainers.two_tower import (
    Samples,
    TwoTowerConfig,
    TwoTowerQuery,
    TwoTowerTrainer,
    _ages,
    _log_included,
)
from tests import worlds
from tests.contracts.trainer import TrainerContract, fit

SMALL: dict[str, Any] = {"factors": 8, "hidden": 8, "length": 6, "negatives": 16, "batch": 32, "epochs": 10,
                         "learning_rate": 0.05, "temperature": 0.5}  # fmt: skip
TASTES, WARM, COLD = 4, 15, 5  # items of each taste that were taken, and that nobody has seen


class TestTwoTower(TrainerContract):
    name = "two_tower"
    config: ClassVar = SMALL


class TestTwoTowerWithFeatures(TrainerContract):
    name = "two_tower"
    config: ClassVar = SMALL

    @pytest.fixture(scope="class")
    @classmethod
    def world(cls) -> Interactions:
        return replace(worlds.two_groups(), item_features=np.eye(40, 3, dtype=np.float32))


@pytest.fixture(scope="module")
def planted() -> Interactions:
    """Everybody has one of four tastes; an item's features tell its taste among noise, and of each taste some items
    are new. Item i is of taste i % 4, and new where i >= 60."""
    random = np.random.default_rng(0)
    items = TASTES * (WARM + COLD)
    user_rows = np.repeat(np.arange(120), 8)
    item_rows = random.integers(0, WARM, len(user_rows)) * TASTES + user_rows % TASTES
    features = np.eye(TASTES)[np.arange(items) % TASTES] + random.normal(0, 0.3, (items, TASTES))
    features = np.hstack((features, random.normal(0, 0.3, (items, 4))))
    data = Interactions.build(worlds.numbered(120, "u"), worlds.numbered(items, "i"), user_rows, item_rows)
    return replace(data, item_features=features.astype(np.float32))


def found_cold(scores: np.ndarray) -> float:
    """Of the best 5 new items for each user, the share that are of their taste; a quarter would be chance."""
    best = np.argsort(-scores[:, TASTES * WARM :], axis=1, kind="stable")[:, :COLD]
    return float((best % TASTES == np.arange(len(scores))[:, None] % TASTES).mean())


def test_what_nobody_took_is_found_by_its_features(planted: Interactions) -> None:
    histories = planted.histories()
    assert found_cold(fit("two_tower", planted, SMALL).scores(histories)) > 0.9
    assert found_cold(fit("als", planted, {"factors": 8}).scores(histories)) < 0.4
    without = replace(planted, item_features=None)
    assert found_cold(fit("two_tower", without, SMALL).scores(histories)) < 0.4


def test_without_features_what_nobody_took_has_no_vector(planted: Interactions) -> None:
    query = fit("two_tower", replace(planted, item_features=None), SMALL | {"epochs": 1})
    assert query.item_vectors is not None
    assert (query.item_vectors[TASTES * WARM :] == 0).all()
    np.testing.assert_allclose(np.linalg.norm(query.item_vectors[: TASTES * WARM], axis=1), 1, rtol=1e-5)


def test_hard_negatives_learn_too(planted: Interactions) -> None:
    assert found_cold(fit("two_tower", planted, SMALL | {"hard": 8}).scores(planted.histories())) > 0.75


def test_the_order_of_a_history_counts_where_it_did_in_training() -> None:
    """Whoever took item a last takes a + 1 next, whatever came before."""
    random = np.random.default_rng(0)
    starts = random.integers(0, 12, 150)
    walk = (starts[:, None] + np.arange(6)) % 12
    walk[:, :3] = random.integers(0, 12, (150, 3))  # of no use
    data = Interactions.build(
        worlds.numbered(150, "u"), worlds.numbered(12, "i"), np.repeat(np.arange(150), 6), walk.ravel()
    )
    query = fit("two_tower", data, SMALL | {"epochs": 30, "factors": 16, "temperature": 0.2})
    for last in range(12):
        scores = query.scores(Histories.single([(last + 5) % 12, (last + 8) % 12, last]))[0]
        assert (last + 1) % 12 in np.argsort(-scores)[:3]


def test_numpy_answers_as_torch_learned() -> None:
    random = torch.Generator().manual_seed(0)
    towers = Towers(20, 3, 6, 5)
    for weight in towers.parameters():
        torch.nn.init.normal_(weight, generator=random)
    features = torch.randn(20, 3, generator=random)
    with torch.no_grad():
        vectors = towers.items(torch.arange(20), torch.ones(20), features)
        rows = torch.tensor([[3, 1, 7], [2, 0, 0]])
        real = torch.tensor([[True] * 3, [True, False, False]])
        expected = towers.users(vectors[rows], real, torch.as_tensor(_ages(3)))
    arrays = {
        "attention": towers.attention.weight[0], "recency": towers.recency, "inner": towers.inner.weight,
        "inner_bias": towers.inner.bias, "outer": towers.outer.weight, "outer_bias": towers.outer.bias,
    }  # fmt: skip
    query = TwoTowerQuery(vectors.numpy(), {name: array.detach().numpy() for name, array in arrays.items()}, 3)
    histories = Histories(
        np.array([0, 4, 5], np.int64), np.array([9, 7, 1, 3, 2], np.int32), np.ones(5, np.float32), np.arange(5)
    )
    np.testing.assert_allclose(query.vectors(histories), expected.numpy(), rtol=1e-4, atol=1e-5)


def test_what_is_not_looked_at_says_nothing(planted: Interactions) -> None:
    query = fit("two_tower", planted, SMALL | {"epochs": 1})
    history = Histories.single([0, 1, 2, 3, 4, 5, 6, 7, 4], [1, 1, 1, 1, 1, 1, 1, -1, 2])
    told = query.contributions(history, np.array([8, 9], np.int32))
    assert (told[[0, 7]] == 0).all()  # older than six liked items; disliked
    assert (told[[1, 2, 3, 5, 6]] != 0).all()
    np.testing.assert_allclose(told[8], 2 * told[4], rtol=1e-5)
    np.testing.assert_allclose(told.sum(axis=0), query.scores(history)[0, [8, 9]], atol=1e-5)


@pytest.mark.parametrize(("timed", "ordered"), [(True, True), (False, True), (True, False)])
def test_samples_ask_for_what_came_next(timed: bool, ordered: bool) -> None:
    lengths = [1, 2, 9, 30]
    user_rows = np.repeat(np.arange(4), lengths)
    item_rows = np.concatenate([np.arange(length) for length in lengths])
    data = Interactions.build(
        worlds.numbered(4, "u"), worlds.numbered(30, "i"), user_rows, item_rows,
        times=np.arange(42) if timed else np.zeros(42, int),
    )  # fmt: skip
    config = TwoTowerConfig(targets=8, batch=5, length=4)
    samples = Samples.of(data, ordered)
    batches = list(samples.batches(config, np.random.default_rng(0)))
    assert len(batches) == samples.steps(config) == 4  # of 0 + 1 + 8 + 8 samples
    rows, real, targets = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    assert len(targets) == 17
    for history, there, target in zip(rows, real, targets, strict=True):
        assert target not in history[there]
        assert len(set(history[there])) == there.sum() >= 1
        if timed and ordered:  # items are numbered in the order they were taken
            assert history[there].tolist() == list(range(target - 1, max(-1, target - 5), -1))
    if not (timed and ordered):
        assert any(target < history[there].max() for history, there, target in zip(rows, real, targets, strict=True))


def test_the_chance_to_be_a_candidate() -> None:
    taken, draws = np.array([5, 3, 0, 2]), 20_000
    random = np.random.default_rng(0)
    seen = np.zeros(4)
    for _ in range(draws):
        seen[np.union1d(random.choice(4, 3, p=taken / 10), random.choice([0, 1, 3], 2))] += 1
    np.testing.assert_allclose(np.exp(_log_included(taken, 3, 2)), seen / draws, atol=0.01)


def test_a_fit_that_was_interrupted_ends_as_if_it_had_not(
    planted: Interactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY_S", -1)
    monkeypatch.setattr(loop, "TELL_EVERY_S", -1)
    config = make_config("two_tower", SMALL | {"epochs": 4})
    whole = TwoTowerTrainer.fit(planted, config, Options())

    def cancel(share: float, message: str) -> None:
        if message.startswith("epoch 3"):
            raise Cancelled()

    with pytest.raises(Cancelled):
        TwoTowerTrainer.fit(planted, config, Options(checkpoints=tmp_path, progress=cancel))
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-00002"]
    again = TwoTowerTrainer.fit(planted, config, Options(checkpoints=tmp_path))
    for name in whole:
        np.testing.assert_array_equal(whole[name], again[name])
    assert list(tmp_path.iterdir()) == []


def test_an_absurd_learning_rate_is_an_error_of_ours(planted: Interactions) -> None:
    with pytest.raises(NotFinite, match="Lower learning_rate"):
        fit("two_tower", planted, SMALL | {"learning_rate": 1e38, "weight_decay": 1})


@pytest.mark.parametrize(
    "wrong",
    [{"factors": 0}, {"length": 2.5}, {"temperature": 0}, {"negatives": -1}, {"id_dropout": 1}, {"hard": -1},
     {"schedule": "none"}, {"asks": "first"}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig, match=next(iter(wrong))):
        TwoTowerConfig(**wrong)
