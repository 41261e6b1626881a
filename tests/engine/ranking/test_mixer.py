from typing import Any

import numpy as np
import pytest

from recommender.engine.errors import ArtifactDamaged, InvalidConfig
from recommender.engine.ranking import mixer, mixing
from recommender.engine.ranking.mixer import Mixer
from recommender.engine.ranking.sources import SOURCES, Pool, merge

MODEL, TRENDING, POPULAR = (SOURCES.index(name) for name in ("model", "trending", "popular"))


def ranked(rows: Any) -> Any:
    rows = np.array(rows, dtype=np.int32)
    return rows, np.arange(len(rows), 0, -1).astype(np.float32)


@pytest.fixture
def pool() -> Pool:
    return merge({"model": ranked([5, 3, 1]), "popular": ranked([1, 2, 5]), "trending": ranked([2, 4])})


def order(scores: Any, pool: Pool) -> list[int]:
    return [int(row) for row in pool.rows[np.argsort(-scores, kind="stable")]]


def test_the_models_list_first_and_then_the_others_in_their_order(pool: Pool) -> None:
    scores, source = Mixer("first").score(pool)
    assert order(scores, pool) == [5, 3, 1, 2, 4] and ((scores > 0) & (scores <= 1)).all()
    assert [SOURCES[place] for place in source] == ["model", "trending", "model", "trending", "model"]
    assert Mixer("first").wanted == {"model"}


def test_weights_are_added_up_term_by_term(pool: Pool) -> None:
    weights = np.zeros((3, len(SOURCES)), np.float32)
    weights[:, MODEL], weights[:, POPULAR] = [0.2, 0.3, 0.0], [0.1, 0.0, 0.4]
    one = Mixer("weights", weights)
    scores, source = one.score(pool)
    by_row = dict(zip(pool.rows.tolist(), scores.tolist(), strict=True))
    assert by_row[5] == pytest.approx(0.2 + 0.3 + 0.4), "first of the model's, last of the popular ones"
    assert by_row[1] == pytest.approx(0.3 * 61 / 63 + 0.1 + 0.4)
    assert by_row[4] == pytest.approx(1e-6), "named by nothing that counts"
    assert [SOURCES[place] for place in source][:3] == ["popular", "popular", "model"]
    assert (scores.dtype, source.dtype) == (np.float32, np.int8) and one.wanted == {"model", "popular"}


def test_where_nothing_was_learned_places_count_as_usual(pool: Pool) -> None:
    scores, _ = mixer.open().score(pool)
    assert order(scores, pool)[:2] == [5, 3] and ((scores > 0) & (scores <= 1)).all()
    assert mixer.open().wanted == set(SOURCES)


@pytest.mark.parametrize("kind", ["first", "reciprocal"])
def test_an_empty_pool(kind: str) -> None:
    scores, source = Mixer(kind).score(merge({}))
    assert len(scores) == len(source) == 0


def test_what_was_learned_is_opened_by_names() -> None:
    stored = {"weights": np.array([[1, 3], [0, 0], [0, 4]], np.float32)}
    opened = mixer.open(stored, {"kind": "weights", "sources": ["popular", "gone"]})
    assert opened.weights[:, POPULAR].tolist() == [1, 0, 0] and opened.weights.sum() == 1
    assert mixer.open({}, {"kind": "first", "sources": list(SOURCES)}).kind == "first"


@pytest.mark.parametrize(
    ("stored", "facts"),
    [
        ({"weights": np.ones((3, 1))}, {"kind": "other", "sources": ["model"]}),
        ({"weights": np.ones((2, 1))}, {"kind": "weights", "sources": ["model"]}),
        ({"weights": -np.ones((3, 1))}, {"kind": "weights", "sources": ["model"]}),
        ({"weights": np.full((3, 1), np.nan)}, {"kind": "weights", "sources": ["model"]}),
        ({"weights": np.zeros((3, 1))}, {"kind": "weights", "sources": ["model"]}),
        ({"weights": np.ones((3, 8))}, {"kind": "lambdamart", "sources": list(SOURCES)}),
        ({}, {"kind": "weights"}),
    ],
)
def test_a_damaged_one_is_refused(stored: Any, facts: Any) -> None:
    with pytest.raises(ArtifactDamaged):
        mixer.open(stored, facts)


# --- Learning


def world(users: int, helps: bool, seed: int = 0) -> tuple[list[Pool], list[Any]]:
    """Each user takes one thing next: the third that trends, or, where that does not help, one of the model's first.
    What is popular says nothing."""
    random = np.random.default_rng(seed)
    pools, targets = [], []
    for _ in range(users):
        lists = {name: ranked(random.choice(60, 12, replace=False)) for name in ("model", "trending", "popular")}
        pools.append(merge(lists))
        wanted = lists["trending"][0][2:3] if helps and random.random() < 0.7 else lists["model"][0][:1]
        targets.append(wanted)
    return pools, targets


def test_a_source_that_tells_what_comes_next_is_found() -> None:
    found = mixing.learn(*world(300, helps=True))
    assert found is not None and found.facts["kind"] == "weights"
    assert found.facts["gain"]["low"] > 0 and found.facts["mixed"] > found.facts["model"]
    most = found.facts["weights"]
    assert most["trending"] > 0.2 and most["model"] > 0 and most["popular"] < 0.05
    assert sum(most.values()) == pytest.approx(1, abs=1e-3) and found.facts["users"] == 300
    opened = mixer.open(found.arrays, found.facts)
    pools, targets = world(200, helps=True, seed=1)
    panel = mixing.Panel.of(pools, targets)
    assert panel.by_weights(opened.weights.astype(np.float64)).mean() > panel.alone().mean() + 0.1


def test_where_nothing_helps_the_model_stands_first() -> None:
    found = mixing.learn(*world(300, helps=False))
    assert found is not None and found.facts["kind"] == "first" and found.arrays == {}
    assert mixer.open(found.arrays, found.facts).kind == "first"


def test_a_gain_by_chance_is_not_believed() -> None:
    """Targets drawn from the pool by chance: weights learned from them must not be served but seldom."""
    kinds = []
    for seed in range(5):
        pools, _ = world(150, helps=False, seed=seed)
        random = np.random.default_rng(seed)
        found = mixing.learn(pools, [random.choice(pool.rows, 2, replace=False) for pool in pools], seed=seed)
        assert found is not None
        kinds.append(found.facts["kind"])
    assert kinds.count("first") >= 4


def test_few_users_or_nothing_to_rank_teach_nothing() -> None:
    pools, targets = world(150, helps=True)
    assert mixing.learn(pools[:99], targets[:99]) is None
    assert mixing.learn(pools, [rows[:0] for rows in targets]) is None
    assert mixing.learn([merge({})] * 150, targets) is None
    nowhere = mixing.learn(pools, [np.array([999])] * 150)
    assert nowhere is not None and nowhere.facts["kind"] == "first"


def test_the_same_seed_learns_the_same() -> None:
    first, again = (mixing.learn(*world(120, helps=True)) for _ in range(2))
    assert first is not None and again is not None and first.facts == again.facts
    np.testing.assert_array_equal(first.arrays["weights"], again.arrays["weights"])


def test_ndcg_is_that_of_the_whole_pool_sorted() -> None:
    pools, targets = world(40, helps=True)
    panel = mixing.Panel.of(pools, targets)
    scores = np.random.default_rng(0).random(panel.valid.shape).astype(np.float32)
    for user, (pool, wanted) in enumerate(zip(pools, targets, strict=True)):
        best = pool.rows[np.argsort(-scores[user, : len(pool)])[:10]].tolist()
        expected = 1 / np.log2(best.index(wanted[0]) + 2) if wanted[0] in best else 0
        assert panel.ndcg(scores)[user] == pytest.approx(expected)
        place = pool.places[pool.rows == wanted[0], MODEL]
        expected = 1 / np.log2(place[0] + 2) if len(place) and 0 <= place[0] < 10 else 0
        assert panel.alone()[user] == pytest.approx(expected)


def test_trees_learn_what_weights_cannot() -> None:
    """What comes next is the one thing that stands third in both lists: no sum of falling terms finds it."""
    pytest.importorskip("lightgbm")
    random = np.random.default_rng(0)
    pools, targets = [], []
    for _ in range(250):
        rows = random.choice(80, 24, replace=False)
        lists = [rows[:12].copy(), rows[12:].copy()]
        lists[1][2] = lists[0][2]
        pools.append(merge({"model": ranked(lists[0]), "trending": ranked(lists[1])}))
        targets.append(lists[0][2:3] if random.random() < 0.5 else lists[0][5:6])
    found = mixing.learn(pools, targets, kind="lambdamart")
    assert found is not None and found.facts["kind"] == "lambdamart"
    opened = mixer.open(found.arrays, found.facts)
    scores, source = opened.score(pools[0])
    assert opened.trees is not None and opened.wanted == set(SOURCES)
    assert ((scores > 0) & (scores < 1)).all() and len(source) == len(pools[0])
    changed = mixer.open(found.arrays, {**found.facts, "sources": list(SOURCES[::-1])})
    assert changed.kind == "weights" and changed.trees is None, "trees know columns, not names"


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(InvalidConfig, match="guess"):
        mixing.learn(*world(5, helps=True), kind="guess")
