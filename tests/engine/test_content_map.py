"""A map from content to taste, in worlds where content decides, and where it says nothing."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from recommender.engine.content_map import LAMBDAS, MEAN, ContentMap, learn
from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.errors import Cancelled
from recommender.engine.trainers import Options, Query, make_config, trainer
from tests.worlds import numbered, two_groups

CONFIGS = {
    "als": {"factors": 8, "iterations": 5},
    "item_knn": {},
    "ease": {},
    "popularity": {},
}
COLD = 8  # items of the world that nobody took, the last ones


def world(users: int = 80, items: int = 48, seed: int = 0) -> tuple[Interactions, NDArray[np.float32]]:
    """Four tastes: each user takes twelve items of one of them, of all but the last COLD items. Contents are a
    direction for each taste, in noise: item i is of taste i % 4."""
    random = np.random.default_rng(seed)
    user_rows = np.repeat(np.arange(users), 12)
    item_rows = random.integers(0, (items - COLD) // 4, len(user_rows)) * 4 + user_rows % 4
    data = Interactions.build(numbered(users, "u"), numbered(items, "i"), user_rows, item_rows)
    directions = random.normal(size=(4, 16))
    contents = directions[np.arange(items) % 4] + 0.5 * random.normal(size=(items, 16))
    return data, contents.astype(np.float32)


def queried(name: str, data: Interactions) -> Query:
    config = make_config(name, CONFIGS[name])
    return trainer(name).query(trainer(name).fit(data, config, Options(threads=1)), config)


def fan(taste: int) -> Histories:
    return Histories.single([taste, taste + 4, taste + 8, taste + 12])


@pytest.mark.parametrize("name", ["als", "item_knn", "ease"])
def test_items_that_nobody_took_are_found_by_those_whose_taste_they_are(name: str) -> None:
    data, contents = world()
    query = queried(name, data)
    learned = learn(data, query, contents, Options(threads=1))
    assert learned is not None and learned.figures["useful"]
    assert learned.figures["ndcg@20"] > learned.figures["chance"]["ndcg@20"] + 0.2
    placed = ContentMap.open(learned.arrays).place(query, contents[-COLD:])
    for taste in range(4):
        scores = placed.scores(query, fan(taste))[0]
        assert set(np.argsort(-scores)[:2] % 4) == {taste}


@pytest.mark.parametrize("name", ["als", "item_knn", "ease"])
def test_a_newcomer_scores_as_the_model_would_score_it_had_it_been_taken(name: str) -> None:
    """The oracle: the same items, taken like the others, in a model that knows them."""
    data, contents = world()
    whole, _ = world(items=48 + COLD)  # whose last COLD items are others, so that the former 48 are all taken
    known, query = queried(name, whole), queried(name, data)
    learned = learn(data, query, contents, Options(threads=1))
    assert learned is not None
    placed = ContentMap.open(learned.arrays).place(query, contents[-COLD:])
    mine, real = [], []
    for taste in range(4):
        mine.append(placed.scores(query, fan(taste))[0, taste::4])
        real.append(known.scores(fan(taste))[0, 40 + taste : 48 : 4])
    assert np.mean(mine) == pytest.approx(np.mean(real), rel=0.4)


def test_one_history_equals_a_batch_of_them() -> None:
    data, contents = world()
    for name in ("als", "item_knn"):
        query = queried(name, data)
        learned = learn(data, query, contents, Options(threads=1))
        assert learned is not None
        placed = ContentMap.open(learned.arrays).place(query, contents[-COLD:])
        together = placed.scores(query, data.histories([0, 1, 2]))
        single = np.concatenate([placed.scores(query, data.histories([user])) for user in (0, 1, 2)])
        np.testing.assert_allclose(together, single, atol=1e-5)


def test_few_newcomers_score_as_among_many() -> None:
    """Which are placed otherwise: what they share of known items is worked out once."""
    data, contents = world()
    query = queried("item_knn", data)
    learned = learn(data, query, contents, Options(threads=1))
    assert learned is not None
    found = ContentMap.open(learned.arrays)
    few, many = found.place(query, contents[-COLD:]), found.place(query, contents)
    assert few.shares is not None and many.shares is None
    histories = data.histories([0, 1, 2])
    np.testing.assert_allclose(few.scores(query, histories), many.scores(query, histories)[:, -COLD:], atol=1e-5)


def test_weights_are_the_ridge_regression_by_hand() -> None:
    data, contents = world()
    query = queried("als", data)
    learned = learn(data, query, contents, Options(threads=1))
    assert learned is not None and query.item_vectors is not None
    lambda_, beta = learned.figures["lambda"], learned.figures["beta"]
    assert lambda_ in LAMBDAS
    takers = np.bincount(np.unique(data.user_rows * 100 + data.item_rows) % 100, minlength=48)
    known = takers > 0
    q = takers[known] ** beta / (takers[known] ** beta).mean()
    c = np.hstack((contents / np.linalg.norm(contents, axis=1, keepdims=True), np.full((48, 1), MEAN)))[known]
    by_hand = np.linalg.solve(
        c.T @ (c * q[:, None]) + lambda_ * np.eye(17), c.T @ (query.item_vectors[known] * q[:, None])
    )
    np.testing.assert_allclose(learned.arrays["weights"], by_hand, atol=1e-4)


def test_more_columns_than_items_is_the_same_regression() -> None:
    data, contents = world()
    query = queried("item_knn", data)
    narrow = learn(data, query, contents, Options(threads=1))
    wide = learn(data, query, np.hstack((contents, np.zeros((48, 60), np.float32))), Options(threads=1))
    assert narrow is not None and wide is not None
    np.testing.assert_allclose(wide.arrays["weights"][:16], narrow.arrays["weights"][:16], atol=1e-4)
    np.testing.assert_allclose(wide.arrays["calibration"], narrow.arrays["calibration"], rtol=1e-3)


def test_content_that_says_nothing_serves_nobody() -> None:
    data, contents = world()
    noise = np.random.default_rng(5).normal(size=contents.shape).astype(np.float32)
    learned = learn(data, queried("als", data), noise, Options(threads=1))
    assert learned is not None and not learned.figures["useful"] and not learned.arrays


def test_too_little_to_learn_from_is_no_map() -> None:
    data, contents = world()
    query = queried("als", data)
    assert learn(data, query, np.zeros_like(contents), Options(threads=1)) is None
    few = contents.copy()
    few[9:] = 0
    assert learn(data, query, few, Options(threads=1)) is None
    single = data.where(np.diff(data.user_rows, prepend=-1) > 0)  # one event of each user
    assert learn(single, query, contents, Options(threads=1)) is None
    disliked = replace(data, weights=-data.weights)
    assert learn(disliked, query, contents, Options(threads=1)) is None


def test_the_same_seed_gives_the_same_bytes_and_progress_can_stop_it() -> None:
    data, contents = world()
    query = queried("als", data)
    first, again = (learn(data, query, contents, Options(seed=3, threads=1)) for _ in range(2))
    assert first is not None and again is not None and first.figures == again.figures
    for key, array in first.arrays.items():
        np.testing.assert_array_equal(array, again.arrays[key])

    def stop(share: float, message: str) -> None:
        raise Cancelled()

    with pytest.raises(Cancelled):
        learn(data, query, contents, Options(progress=stop))


def test_a_model_that_scores_all_alike_has_newcomers_by_how_well_known_they_will_be() -> None:
    """Half of the items are taken by everybody, half by few; the first column tells which."""
    random = np.random.default_rng(0)
    chance = np.where(np.arange(60) % 2, 10.0, 1.0)
    user_rows = np.repeat(np.arange(200), 10)
    item_rows = random.choice(60, len(user_rows), p=chance / chance.sum())
    data = Interactions.build(numbered(200, "u"), numbered(60, "i"), user_rows, item_rows)
    contents = np.stack((np.arange(60) % 2, np.ones(60), random.normal(size=60))).T.astype(np.float32)
    query = queried("popularity", data)
    learned = learn(data, query, contents, Options(threads=1))
    assert learned is not None and learned.figures["useful"]
    placed = ContentMap.open(learned.arrays).place(query, np.array([[1, 1, 0], [0, 1, 0]], dtype=np.float32))
    famous, obscure = placed.scores(query, Histories.single([0]))[0]
    assert famous > 2 * obscure
    assert placed.vectors is None


def test_vectors_of_length_one_stay_so() -> None:
    data = two_groups(per_user=12)
    query = queried("als", data)
    vectors = np.asarray(query.item_vectors)
    unit = replace(query, item_vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True))  # type: ignore[type-var]
    contents = np.eye(2, dtype=np.float32)[np.arange(40) % 2]
    learned = learn(data, unit, contents, Options(threads=1))
    assert learned is not None
    placed = ContentMap.open(learned.arrays).place(unit, contents)
    assert placed.vectors is not None
    np.testing.assert_allclose(np.linalg.norm(placed.vectors, axis=1), 1, atol=1e-5)


def test_hope_goes_from_what_is_expected_to_as_high_as_known_items_score() -> None:
    data, contents = world()
    contents += np.random.default_rng(1).normal(size=contents.shape).astype(np.float32)  # so that much is uncertain
    query = queried("als", data)
    learned = learn(data, query, contents, Options(threads=1))
    assert learned is not None
    highest = [
        ContentMap.open(learned.arrays, hope).place(query, contents).scores(query, data.histories()).max(axis=1).mean()
        for hope in (0.0, 0.5, 1.0)
    ]
    assert highest[0] < highest[1] < highest[2]
    assert highest[1] == pytest.approx((highest[0] + highest[2]) / 2, rel=1e-4)
