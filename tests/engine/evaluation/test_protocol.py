"""The protocol against one user at a time in plain loops, and on worlds whose figures are known."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.data.split import random_split
from recommender.engine.errors import Cancelled, InvalidDataset
from recommender.engine.evaluation import protocol
from recommender.engine.evaluation.protocol import evaluate, paired_difference, popularity_thirds
from recommender.engine.trainers import Query
from tests import worlds
from tests.contracts.trainer import fit
from tests.engine.test_metrics import looped


@dataclass(frozen=True)
class Table:
    """A query that answers each user (known by the number of events they have) from a row of scores."""

    scored: np.ndarray
    item_vectors: None = None

    def vectors(self, histories: Histories) -> np.ndarray:
        raise NotImplementedError

    def scores(self, histories: Histories) -> np.ndarray:
        return self.scored[np.diff(histories.indptr)].astype(np.float32)

    def contributions(self, histories: Histories, item_rows: np.ndarray) -> np.ndarray:
        raise NotImplementedError


def made(users: int, items: int, pairs: list[tuple[int, int]], weights: list[float] | None = None) -> Interactions:
    rows = np.array(pairs, dtype=np.int32).reshape(-1, 2)
    return Interactions.build(worlds.numbered(users, "u"), worlds.numbered(items, "i"), rows[:, 0], rows[:, 1], weights)


@pytest.fixture(scope="module")
def split() -> tuple[Interactions, Interactions]:
    return random_split(worlds.long_tail(), 0.3, seed=1)


@pytest.mark.parametrize("batch_bytes", [1, 10_000, 2**27])
def test_equals_one_user_at_a_time_in_plain_loops(split, batch_bytes, monkeypatch) -> None:
    monkeypatch.setattr(protocol, "BATCH_BYTES", batch_bytes)
    train, test = split
    query = fit("als", train, {"factors": 4})
    report = evaluate(query, train, test, (3, 10), samples=10)
    seen = [set(rows.tolist()) for rows, _, _ in train.histories()]
    wanted = [set(rows.tolist()) for rows, _, _ in test.histories()]
    shown = np.zeros(200, int)
    assert report.user_rows.tolist() == [user for user in range(300) if wanted[user]]
    for place, user in enumerate(report.user_rows.tolist()):
        scores = query.scores(train.histories([user]))[0]
        ranked = [row for row in sorted(range(200), key=lambda i: (-scores[i], i)) if row not in seen[user]]
        hits = [row in wanted[user] for row in ranked[:10]]
        shown[ranked[:3]] += 1
        for metric in ("recall", "ndcg", "hit_rate", "mrr", "map"):
            for k in (3, 10):
                expected = looped(metric, hits, len(wanted[user]), k)
                assert report.per_user[f"{metric}@{k}"][place] == pytest.approx(expected)
    assert report.catalogue["coverage@3"] == (shown > 0).mean()
    assert report.shown == (shown > 0).sum()


def test_the_answer_by_hand() -> None:
    """Three users: one with a hit at place 2 once their own item is hidden, one cold, one without test items."""
    history = made(3, 4, [(0, 0), (2, 1), (2, 2)])
    test = made(3, 4, [(0, 2), (1, 3)])
    report = evaluate(Table(np.array([[4, 3, 2, 1], [9, 3, 2, 1], [0, 0, 0, 0]])), history, test, (1, 2), samples=10)
    assert report.user_rows.tolist() == [0, 1]
    assert report.warm.tolist() == [True, False]
    assert report.per_user["recall@2"].tolist() == [1, 0]
    assert report.main["recall@1"].value == 0
    assert report.main["recall@2"].value == 1
    assert report.main["mrr@2"].value == 0.5
    found = report.as_json()
    assert (found["users"], found["cold_users"]) == (1, 1)
    assert found["segments"]["history cold"]["users"] == 1
    assert found["segments"]["history 1-5"]["metrics"]["recall@2"]["value"] == 1
    assert found["segments"]["history 21+"]["metrics"]["recall@2"]["value"] is None


def test_what_a_user_has_or_dislikes_is_not_asked_for() -> None:
    history = made(2, 3, [(0, 0), (1, 0)])
    test = made(2, 3, [(0, 0), (0, 1), (1, 2)], [1, 1, -1])
    report = evaluate(Table(np.zeros((2, 3))), history, test, (1,), samples=10)
    assert report.user_rows.tolist() == [0]
    assert report.repeats == 1
    assert report.per_user["recall@1"].tolist() == [1]


def test_constant_scores_rank_by_row() -> None:
    history, test = made(1, 5, [(0, 0)]), made(1, 5, [(0, 2)])
    report = evaluate(Table(np.ones((2, 5))), history, test, (1, 2), samples=10)
    assert (report.main["recall@1"].value, report.main["mrr@2"].value) == (0, 0.5)


def test_hidden_items_do_not_count_as_shown() -> None:
    history, test = made(1, 3, [(0, 0), (0, 1)]), made(1, 3, [(0, 2)])
    report = evaluate(Table(np.ones((3, 3))), history, test, (3,), samples=10)
    assert report.shown == 1
    assert report.main["hit_rate@3"].value == 1


def test_k_beyond_the_catalogue() -> None:
    report = evaluate(Table(np.ones((2, 3))), made(1, 3, [(0, 0)]), made(1, 3, [(0, 2)]), (50,), samples=10)
    assert report.main["recall@50"].value == 1


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_counted_and_never_hit(wrong: float) -> None:
    history, test = made(1, 3, [(0, 0)]), made(1, 3, [(0, 2)])
    report = evaluate(Table(np.array([[0, 0, 0], [0, 0, wrong]])), history, test, (3,), samples=10)
    assert report.not_finite == 1
    assert report.main["recall@3"].value == 0


def test_nobody_to_ask() -> None:
    report = evaluate(Table(np.ones((2, 3))), made(1, 3, [(0, 0)]), made(1, 3, []), (2,), samples=10)
    assert len(report.user_rows) == 0
    assert report.compared == 0
    assert json.loads(json.dumps(report.as_json(), allow_nan=False))["metrics"]["ndcg@2"]["value"] is None


def test_history_and_test_must_share_their_ids() -> None:
    with pytest.raises(InvalidDataset, match="share"):
        evaluate(Table(np.ones((2, 3))), made(1, 3, [(0, 0)]), made(1, 4, [(0, 2)]), (2,))


def test_recall_by_popularity_adds_up(split) -> None:
    train, test = split
    report = evaluate(fit("popularity", train, {}), train, test, (10,), samples=10)
    thirds = popularity_thirds(np.bincount(train.matrix.indices, minlength=200))
    found = np.zeros(len(report.user_rows))
    for part, label in enumerate(protocol.POPULARITY):
        of_part = test.matrix[:, thirds == part].getnnz(axis=1)[report.user_rows]
        found += np.nan_to_num(report.per_user[f"recall.{label}@10"]) * of_part
    np.testing.assert_allclose(found / np.diff(test.matrix.indptr)[report.user_rows], report.per_user["recall@10"])
    segments = report.as_json()["segments"]
    assert segments["items head"]["metrics"]["recall@10"]["value"] > 0.2
    assert segments["items tail"]["metrics"]["recall@10"]["value"] == 0


def test_thirds_hold_a_third_of_the_pairs_each() -> None:
    assert popularity_thirds(np.array([1, 4, 0, 2, 2, 3])).tolist() == [2, 0, 2, 1, 2, 1]
    known = np.random.default_rng(0).zipf(1.5, 500).clip(0, 200)
    thirds = popularity_thirds(known)
    shares = np.array([known[thirds == part].sum() for part in range(3)]) / known.sum()
    assert abs(shares - 1 / 3).max() < 0.1


def test_lists_are_told_apart_before_hiding(split) -> None:
    train, test = split
    popular = evaluate(fit("popularity", train, {}), train, test, (5,), samples=10)
    personal = evaluate(fit("als", train, {"factors": 4}), train, test, (5,), samples=10)
    assert popular.distinct_lists == 1
    assert personal.distinct_lists > 100
    assert popular.compared == personal.compared == 200


def test_two_groups_are_told_apart() -> None:
    train, test = random_split(worlds.two_groups(), 0.3, seed=0)
    personal, popular = (
        evaluate(fit(name, train, config), train, test, (10,))
        for name, config in (("als", {"factors": 2}), ("popularity", {}))
    )
    gain = paired_difference(personal, popular, "recall@10")
    assert gain.low > 0.05
    assert gain.value == pytest.approx(personal.main["recall@10"].value - popular.main["recall@10"].value)
    loss = paired_difference(popular, personal, "recall@10")
    assert (loss.low, loss.high) == pytest.approx((-gain.high, -gain.low))


def test_pairing_makes_the_interval_narrower(split) -> None:
    train, test = split
    query: Query = fit("popularity", train, {})
    a = evaluate(query, train, test, (10,))
    same = paired_difference(a, a, "ndcg@10")
    assert (same.low, same.value, same.high) == (0, 0, 0)


def test_different_users_cannot_be_paired(split) -> None:
    train, test = split
    query = fit("popularity", train, {})
    fewer = test.where(test.user_rows > 10)
    with pytest.raises(ValueError, match="different users"):
        paired_difference(evaluate(query, train, test), evaluate(query, train, fewer), "ndcg@10")


def test_progress_may_cancel(split) -> None:
    def cancel(share: float, message: str) -> None:
        raise Cancelled()

    with pytest.raises(Cancelled):
        evaluate(fit("popularity", split[0], {}), *split, progress=cancel)
