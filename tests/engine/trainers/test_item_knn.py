from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np
import pytest

from recommender.engine.data.interactions import UNKNOWN, Histories, Interactions
from recommender.engine.errors import Cancelled, InvalidConfig, NotFinite
from recommender.engine.trainers import Options, item_knn, make_config, neighbours
from recommender.engine.trainers.item_knn import ItemKnnConfig, ItemKnnTrainer
from tests import worlds
from tests.contracts.trainer import TrainerContract, fit

COSINE: dict[str, Any] = {"weighting": "cosine", "sharpness": 1.0, "half_life_items": 0.0, "neighbours": 100}
SEQUENCE: dict[str, Any] = {**COSINE, "counting": "sequence", "window": 2, "backward": 0.0}


class TestItemKnn(TrainerContract):
    name = "item_knn"


class TestItemKnnInSequence(TrainerContract):
    name = "item_knn"
    config: ClassVar = {"counting": "sequence", "weighting": "cosine", "sharpness": 0.5}


@pytest.fixture(scope="module")
def shop() -> Interactions:
    """The two groups with weights of all sizes, a fifth of them negative, and repeats."""
    data = worlds.two_groups()
    random = np.random.default_rng(3)
    weights = random.lognormal(0, 1, len(data)) * np.where(random.random(len(data)) < 0.2, -1, 1)
    return Interactions.build(data.users, data.items, data.user_rows, data.item_rows, weights)


def ordered(*rows: list[int], items: int = 6) -> Interactions:
    """One user per list of items, in order."""
    users = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    return Interactions.build(
        worlds.numbered(len(rows), "u"), worlds.numbered(items, "i"), users, [item for row in rows for item in row]
    )


def dense(data: Interactions, **config: Any) -> np.ndarray:
    """w written out in full, float32 (N, N)."""
    arrays = ItemKnnTrainer.fit(data, ItemKnnConfig(**config), Options())
    full = np.zeros((len(arrays["rows"]), len(arrays["rows"]) + 1), np.float32)
    np.put_along_axis(full, arrays["rows"], arrays["weights"], 1)
    return full[:, :-1]


def test_together_is_the_cosine_of_columns(shop: Interactions) -> None:
    x = shop.matrix.maximum(0).toarray().astype(np.float64)
    lengths = np.maximum(np.linalg.norm(x, axis=0), 1e-12)
    expected = x.T @ x / lengths / lengths[:, None]
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(dense(shop, **COSINE, power=1.0), expected, rtol=1e-4, atol=1e-6)


def test_what_is_served_is_what_was_learned(shop: Interactions) -> None:
    """Users' scores are their row of the matrix times w, dislikes taking away."""
    x = shop.matrix.toarray()
    scores = fit("item_knn", shop, {**COSINE, "power": 0.5}).scores(shop.histories())
    expected = (np.sign(x) * np.abs(x) ** 0.5) @ dense(shop, **COSINE, power=0.5)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("weighting", ["tfidf", "bm25"])
def test_those_who_took_few_items_say_more(weighting: str) -> None:
    w = dense(ordered([0, 1], [2, 3, 4, 5]), **{**COSINE, "weighting": weighting, "source_power": 0, "target_power": 0})
    assert w[0, 1] > w[2, 3] > 0
    assert w[0, 2] == 0


def test_in_sequence_only_what_follows_within_the_window_counts() -> None:
    w = dense(ordered([0, 1, 2, 3]), **SEQUENCE)
    np.testing.assert_allclose(w[0], [0, 1, 0.5, 0, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(w[3], 0)
    both = dense(ordered([0, 1, 2, 3]), **{**SEQUENCE, "backward": 0.25})
    np.testing.assert_allclose(both[2], [0.125, 0.25, 0, 1, 0, 0], rtol=1e-6)


def test_one_user_does_not_follow_another() -> None:
    assert dense(ordered([0, 1], [2, 3]), **SEQUENCE)[1].max() == 0


def test_blocks_change_nothing(shop: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    for config in (COSINE, {**SEQUENCE, "backward": 0.5}):
        whole = dense(shop, **config)
        monkeypatch.setattr(item_knn, "BLOCK_PAIRS", 100)
        np.testing.assert_array_equal(dense(shop, **config), whole)
        monkeypatch.undo()


def test_only_the_nearest_are_kept_best_first(shop: Interactions) -> None:
    full = dense(shop, **COSINE)
    arrays = ItemKnnTrainer.fit(shop, ItemKnnConfig(**{**COSINE, "neighbours": 3}), Options())
    assert (arrays["rows"].dtype, arrays["weights"].dtype) == (np.int32, np.float32)
    np.testing.assert_allclose(arrays["weights"], -np.sort(-full, axis=1)[:, :3])
    np.testing.assert_array_equal(np.take_along_axis(full, arrays["rows"], 1), arrays["weights"])


def test_an_item_that_nobody_took_has_no_neighbours() -> None:
    data = ordered([0, 1], [0, 1, 2])
    arrays = ItemKnnTrainer.fit(data, ItemKnnConfig(), Options())
    assert (arrays["rows"][5] == UNKNOWN).all()
    assert len(fit("item_knn", data, {}).neighbours(5, 3)[0]) == 0  # type: ignore[attr-defined]


def test_later_items_count_more() -> None:
    data = ordered([0, 1], [2, 3])
    query = fit("item_knn", data, {**COSINE, "half_life_items": 1.0})
    np.testing.assert_allclose(query.scores(Histories.single([0, 2]))[0, [1, 3]], [0.5, 1])
    np.testing.assert_allclose(query.scores(Histories.single([0, 2, 0]))[0, [1, 3]], [1, 0.5])  # it came again
    np.testing.assert_allclose(query.scores(Histories.single([0, 2, 2, 2]))[0, [1, 3]], [0.5, 1])  # one later item


def test_a_dislike_takes_away_what_a_like_gives_and_both_cancel() -> None:
    query = fit("item_knn", ordered([0, 1], [2, 3]), COSINE)
    np.testing.assert_allclose(query.scores(Histories.single([0], [-5]))[0], -query.scores(Histories.single([0]))[0])
    assert (query.scores(Histories.single([0, 0], [2, -2])) == 0).all()


def test_batches_and_chunks_change_nothing(shop: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    query = fit("item_knn", shop, {"neighbours": 7})
    expected = query.scores(shop.histories())
    monkeypatch.setattr(neighbours, "BATCH_CELLS", 7 * 40)
    monkeypatch.setattr(neighbours, "CHUNK_CELLS", 90)
    np.testing.assert_allclose(query.scores(shop.histories()), expected, rtol=1e-5, atol=1e-6)


def test_a_fit_is_cancelled_between_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_knn, "BLOCK_PAIRS", 100)
    calls: list[float] = []

    def cancel(share: float, message: str) -> None:
        calls.append(share)
        if share > 0.3:
            raise Cancelled()

    with pytest.raises(Cancelled):
        ItemKnnTrainer.fit(worlds.two_groups(), ItemKnnConfig(), Options(progress=cancel))
    assert len(calls) > 2


def test_numbers_too_large_to_learn_from_are_an_error_of_ours() -> None:
    data = worlds.two_groups()
    huge = Interactions.build(data.users, data.items, data.user_rows, data.item_rows, np.full(len(data), 1e30))
    with pytest.raises(NotFinite):
        fit("item_knn", huge, {"power": 2.0, "weighting": "cosine", "source_power": 0.0, "target_power": 0.0})


@pytest.mark.parametrize(
    "wrong",
    [{"counting": "sets"}, {"weighting": 1}, {"neighbours": 0}, {"neighbours": 1.5}, {"power": -1}, {"backward": 2},
     {"window": 0}, {"sharpness": 0}, {"half_life_items": -1}, {"shrinkage": float("nan")}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig):
        make_config("item_knn", wrong)


def test_a_config_survives_json() -> None:
    config = ItemKnnConfig(window=3)
    assert make_config("item_knn", asdict(config)) == config
