import json
from collections.abc import Iterator
from dataclasses import asdict
from itertools import product
from typing import Any, ClassVar

import numpy as np
import pytest

from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.errors import InvalidConfig
from recommender.engine.learning.trees import Trees, exported
from recommender.engine.trainers import Options, lambdamart, make_config
from recommender.engine.trainers.blend import SCALES, BlendQuery, BlendTrainer
from recommender.engine.trainers.lambdamart import (
    LambdamartQuery,
    Panel,
    candidates,
    grow,
    learn,
    tell,
)
from recommender.engine.trainers.parts import Judge
from tests import worlds
from tests.contracts.trainer import TrainerContract

lightgbm = pytest.importorskip("lightgbm")

USERS, ITEMS = 240, 40


@pytest.fixture(autouse=True, scope="module")
def whatever_they_gain() -> Iterator[None]:
    """Trees are served by every blend here that asks for them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lambdamart, "learn", lambda panel, linear, *rest: learn(panel, -1.0, *rest))
        yield


class TestBlendByLambdamart(TrainerContract):
    name = "blend"
    config: ClassVar = {
        "parts": ("item_knn", "als"), "configs": {"als": {"factors": 2, "iterations": 5}}, "method": "lambdamart",
    }  # fmt: skip


class Fixed:
    """Answers user v with row v, which its first event's time tells."""

    item_vectors = None

    def __init__(self, rows: Any) -> None:
        self.rows = np.asarray(rows, dtype=np.float32)

    def scores(self, histories: Histories) -> Any:
        return self.rows[histories.times[histories.indptr[:-1]]]

    def contributions(self, histories: Histories, item_rows: Any) -> Any:
        return np.tile(self.scores(histories)[0, item_rows] / len(histories.item_rows), (len(histories.item_rows), 1))


def silent(share: float, message: str) -> None:
    pass


@pytest.fixture(scope="module")
def either() -> tuple[Judge, list[Any]]:
    """What is wanted is high in exactly one of two parts, which no sum of the two can say."""
    random = np.random.default_rng(5)
    signs = random.standard_normal((2, USERS, ITEMS))
    wanted = (signs[0] > 0.8) ^ (signs[1] > 0.8)
    wanted[:, -1] = False
    owners, items = np.nonzero(wanted)
    last = np.full(USERS, ITEMS - 1, np.int32)
    histories = Histories(np.arange(USERS + 1), last, np.ones(USERS, np.float32), np.arange(USERS))
    indptr = np.concatenate(([0], np.cumsum(np.bincount(owners, minlength=USERS))))
    return Judge(histories, items.astype(np.int32), indptr.astype(np.int64), ITEMS), [Fixed(signs[0]), Fixed(signs[1])]


POPULARITY = np.zeros(ITEMS, np.float32)


@pytest.fixture(scope="module")
def panel(either: tuple[Judge, list[Any]]) -> Panel:
    return Panel.of(*either, SCALES["linear"], POPULARITY, silent)


@pytest.fixture(scope="module")
def trees(panel: Panel) -> Trees:
    found = grow(panel, np.ones(USERS, bool), 42, silent)
    assert found is not None
    return found


def test_trees_find_what_no_sum_can(either: tuple[Judge, list[Any]], panel: Panel) -> None:
    judge, queries = either
    first, second = (SCALES["linear"](query.rows) for query in queries)
    linear = max(judge.ndcg(Fixed(w * first + (1 - w) * second)).mean() for w in np.linspace(0, 1, 21))  # type: ignore[arg-type]
    taught, asked = np.arange(USERS) < USERS / 2, np.arange(USERS) >= USERS / 2
    found = grow(panel, taught, 42, silent)
    assert found is not None
    assert panel.ndcg(found, asked).mean() > 1.15 * linear
    assert learn(panel, float(linear), 42, silent) is not None


def test_trees_that_do_not_gain_are_not_taken(panel: Panel) -> None:
    assert learn(panel, 1.0, 42, silent) is None
    few = Panel(panel.told[:30], panel.valid[:30], panel.hits[:30], panel.relevant[:30])
    assert learn(few, 0.0, 42, silent) is None
    nothing = Panel(panel.told, panel.valid, np.zeros_like(panel.hits), panel.relevant)
    assert learn(nothing, 0.0, 42, silent) is None


def test_arrays_say_what_lightgbm_says() -> None:
    random = np.random.default_rng(0)
    rows = random.standard_normal((3000, 4)).astype(np.float32)
    data = lightgbm.Dataset(rows, (rows[:, 0] * rows[:, 1] > rows[:, 2]).astype(int), group=np.full(100, 30))
    settings = {"objective": "lambdarank", "num_leaves": 15, "max_depth": 5, "verbosity": -1, "num_threads": 1}
    booster = lightgbm.train(settings, data, 20)
    np.testing.assert_allclose(exported(booster.dump_model()).scores(rows), booster.predict(rows), atol=1e-5)


def test_a_tree_of_one_leaf_says_the_same_to_all() -> None:
    stump = exported({"tree_info": [{"tree_structure": {"leaf_value": 0.25}}]})
    np.testing.assert_array_equal(stump.scores(np.zeros((3, 2), np.float32)), [0.25] * 3)


def test_candidates_are_the_best_of_each_that_are_new(either: tuple[Judge, list[Any]]) -> None:
    judge, queries = either
    scores = [query.scores(judge.histories) for query in queries]
    rows, shown = candidates(scores, judge.histories, 5)
    for user, part in product(range(USERS), scores):
        best = np.argsort(-part[user, :-1])[:5]  # all have the last item
        assert set(best) <= set(rows[user, shown[user]])
    assert shown.sum(axis=1).max() <= 10
    assert all(len(set(own[new])) == new.sum() for own, new in zip(rows, shown, strict=True))


def test_ranks_are_told_as_they_are_among_all_items(either: tuple[Judge, list[Any]]) -> None:
    judge, queries = either
    scores = [query.scores(judge.histories) for query in queries]
    rows, shown = candidates(scores, judge.histories, 50)
    told = tell(scores, rows, shown, POPULARITY, judge.histories)
    for number, part in enumerate(scores):
        rank = (part[:, None, :-1] > np.take_along_axis(part, rows, 1)[:, :, None]).sum(axis=2)
        np.testing.assert_allclose(told[:, :, 2 * number + 1][shown], (1 / (61 + rank))[shown], rtol=1e-6)


def test_what_is_no_candidate_stands_below_and_sums_add_up(
    either: tuple[Judge, list[Any]], trees: Trees, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge, (first, second) = either
    monkeypatch.setattr(lambdamart, "SERVED", 5)
    linear = BlendQuery((first, second), (0.5, 0.5), "linear")
    query = LambdamartQuery((first, second), linear, trees, POPULARITY, SCALES["linear"])
    scores = query.scores(judge.histories)
    rows, shown = candidates([first.rows, second.rows], judge.histories, 5)
    assert np.isfinite(scores).all()
    ordered = [own[new] for own, new in zip(rows, shown, strict=True)]
    for line, sums, own in zip(scores, linear.scores(judge.histories), ordered, strict=True):
        others = np.setdiff1d(np.arange(ITEMS), own)
        assert line[own].min() > line[others].max()
        np.testing.assert_array_equal(np.argsort(-line[others]), np.argsort(-sums[others]))
    one = Histories.single([ITEMS - 1, 3, 7], times=[9, 9, 9])
    items = np.arange(ITEMS, dtype=np.int32)
    parts = query.contributions(one, items)
    np.testing.assert_allclose(parts.sum(axis=0), query.scores(one)[0], atol=1e-5)
    assert query.contributions(Histories.single([]), items).shape == (0, ITEMS)


def tastes(users: int = 200) -> Interactions:
    random = np.random.default_rng(1)
    user_rows = np.tile(np.arange(users), 8)
    item_rows = 10 * (user_rows % 4) + random.integers(0, 10, len(user_rows))
    return Interactions.build(worlds.numbered(users, "u"), worlds.numbered(40, "i"), user_rows, item_rows)


CONFIG: dict[str, Any] = {"parts": ("item_knn", "popularity"), "method": "lambdamart"}


def test_trees_are_served_where_they_gain_and_grown_anew_when_settled() -> None:
    data, config = tastes(), make_config("blend", CONFIG)
    arrays = BlendTrainer.fit(data, config, Options())
    assert BlendTrainer.described(arrays)["method"] == "lambdamart"
    assert isinstance(BlendTrainer.query(arrays, config), LambdamartQuery)
    settled = BlendTrainer.settled(arrays, config)
    assert (settled.method, settled.weights) == ("lambdamart", ())
    again = BlendTrainer.fit(data, make_config("blend", json.loads(json.dumps(asdict(settled)))), Options())
    for key in arrays:
        np.testing.assert_array_equal(arrays[key], again[key])


def test_where_they_do_not_it_is_a_weighted_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    data, config = tastes(), make_config("blend", CONFIG)
    monkeypatch.setattr(lambdamart, "learn", lambda *rest: None)
    arrays = BlendTrainer.fit(data, config, Options())
    assert BlendTrainer.described(arrays)["method"] == BlendTrainer.settled(arrays, config).method == "linear"
    assert not any(key.startswith("trees/") for key in arrays)


def test_without_lightgbm_it_says_what_to_install(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lightgbm", None)
    with pytest.raises(InvalidConfig, match="requirements-extras"):
        grow(panel, np.ones(USERS, bool), 42, silent)


def test_known_weights_are_no_trees() -> None:
    with pytest.raises(InvalidConfig, match="weights"):
        make_config("blend", {**CONFIG, "weights": (1, 1)})
