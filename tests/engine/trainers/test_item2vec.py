from dataclasses import asdict, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.errors import InvalidConfig
from recommender.engine.trainers import Options, make_config
from recommender.engine.trainers.item2vec import Item2vecConfig, Item2vecQuery, Item2vecTrainer
from tests import worlds
from tests.contracts.trainer import TrainerContract, fit

SMALL: dict[str, Any] = {"factors": 8, "epochs": 10}


class TestItem2Vec(TrainerContract):
    name = "item2vec"
    config: ClassVar = SMALL


def pairs_of(world_seed: int = 0, users: int = 200, items: int = 20) -> Interactions:
    """Item 2 p is always followed by 2 p + 1; pairs follow one another by chance."""
    pair = np.random.default_rng(world_seed).integers(0, items // 2, (users, 6))
    item_rows = np.stack((2 * pair, 2 * pair + 1), axis=-1).reshape(-1)
    return Interactions.build(
        worlds.numbered(users, "u"), worlds.numbered(items, "i"), np.repeat(np.arange(users), 12), item_rows
    )


@pytest.mark.parametrize("target", ["output", "input"])
def test_what_comes_together_is_found(target: str) -> None:
    settings = {"factors": 16, "window": 1, "epochs": 30, "target": target, "popularity": 0.0, "half_life_items": 0.0}
    scores = fit("item2vec", pairs_of(), settings).scores(
        Histories(
            np.arange(11, dtype=np.int64),
            np.arange(0, 20, 2, dtype=np.int32),
            np.ones(10, np.float32),
            np.zeros(10, np.int64),
        )
    )
    scores[np.arange(10), np.arange(0, 20, 2)] = -np.inf
    if target == "output":
        assert (scores.argmax(axis=1) == np.arange(1, 20, 2)).all()
    else:  # what is alike shares its neighbours: the first items of other pairs come before the second ones
        assert (scores[:, ::2][~np.eye(10, dtype=bool)].mean()) > scores[:, 1::2].mean()


def test_a_score_is_the_mean_written_out() -> None:
    config = Item2vecConfig(**SMALL, half_life_items=2.0, power=0.5, popularity=0.3)
    data = worlds.two_groups()
    arrays = Item2vecTrainer.fit(data, config, Options())
    query = Item2vecTrainer.query(arrays, config)
    history = Histories.single([4, 0, 2, 4, 6], [1, 4, -1, 1, 3])
    # Distinct, by their last event: 0 (weight 4, age 3), 2 (-1, age 2), 4 (2, age 1), 6 (3, age 0).
    s = np.array([2.0, -1.0, np.sqrt(2), np.sqrt(3)]) * 2.0 ** -(np.array([3, 2, 1, 0]) / 2)
    e, t = arrays["input_vectors"][[0, 2, 4, 6]].astype(np.float64), arrays["item_vectors"].astype(np.float64)
    expected = (s @ (e[:, :-1] @ t[:, :-1].T) + s.sum() * t[:, -1]) / np.abs(s).sum()
    np.testing.assert_allclose(query.scores(history)[0], expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(t[:, -1], 0.3 * np.log(np.bincount(data.item_rows, minlength=40)), rtol=1e-5)


def test_popular_items_gain_by_popularity() -> None:
    data = worlds.long_tail()
    taken = np.bincount(data.item_rows, minlength=200)
    even, popular = (
        fit("item2vec", data, {**SMALL, "popularity": popularity}).scores(Histories.single([3, 9]))[0]
        for popularity in (0.0, 2.0)
    )
    np.testing.assert_allclose((popular - even)[taken > 0], 2 * np.log(taken[taken > 0]), rtol=1e-3, atol=1e-4)


def test_items_that_nobody_likes_have_no_vectors_and_score_nothing() -> None:
    data = worlds.single_user()
    arrays = Item2vecTrainer.fit(data, Item2vecConfig(**SMALL), Options())
    assert (arrays["item_vectors"][3:] == 0).all()
    assert (arrays["input_vectors"][3:] == 0).all()
    assert (arrays["input_vectors"][:3] != 0).any(axis=1).all()


def test_where_times_say_nothing_order_is_left_to_chance() -> None:
    """Halves that are only ever beyond the window of one another, in the order given, are still found together."""
    users, items = 60, 20
    rows = np.tile(np.arange(10), users) * 2 + np.repeat(np.arange(users) % 2, 10)
    data = Interactions.build(
        worlds.numbered(users, "u"), worlds.numbered(items, "i"), np.repeat(np.arange(users), 10), rows,
        times=np.zeros(len(rows)),
    )  # fmt: skip
    settings = {"factors": 16, "window": 1, "epochs": 40, "popularity": 0.0}
    far: list[float] = []
    for part in (data, replace(data, times=np.arange(len(data)))):
        scores = fit("item2vec", part, settings).scores(Histories.single([0]))[0]
        far.append(float(scores[18] - scores[19]))  # of the same half, nine places away; of the other
    assert far[0] > far[1] + 0.1


def test_dislikes_teach_nothing() -> None:
    data = worlds.two_groups()
    weights = np.where(np.random.default_rng(0).random(len(data)) < 0.2, -1, 1)
    mixed = Interactions.build(data.users, data.items, data.user_rows, data.item_rows, weights)
    with_them, without = (
        Item2vecTrainer.fit(part, Item2vecConfig(**SMALL), Options()) for part in (mixed, mixed.where(weights > 0))
    )
    for name, array in with_them.items():
        np.testing.assert_array_equal(array, without[name])


def test_a_long_history_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    from recommender.engine.trainers import item2vec

    monkeypatch.setattr(item2vec, "LONGEST", 3)
    data = worlds.two_groups()
    [chunk] = item2vec._chunks(data, np.random.default_rng(0))
    assert max(map(len, chunk)) == 3
    assert sorted(int(word) for part in chunk for word in part) == sorted(data.item_rows.tolist())


def test_read_only_arrays_will_do() -> None:
    def frozen(seed: int) -> NDArray[np.float32]:
        array = np.random.default_rng(seed).normal(size=(9, 3)).astype(np.float32)
        array.flags.writeable = False
        return array

    query = Item2vecQuery(frozen(0), frozen(1), 0.0, 1.0)
    assert np.isfinite(query.scores(Histories.single([1, 2, 2], [1, -1, 1]))).all()


@pytest.mark.parametrize(
    "wrong",
    [{"factors": 0}, {"window": 0}, {"negative": 0}, {"ns_exponent": float("nan")}, {"epochs": 0}, {"sample": -1},
     {"learning_rate": 0}, {"target": "both"}, {"popularity": -1}, {"half_life_items": -1}, {"power": 3}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig):
        make_config("item2vec", wrong)


def test_a_config_survives_json() -> None:
    config = Item2vecConfig(factors=16)
    assert make_config("item2vec", asdict(config)) == config
