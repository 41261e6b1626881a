from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.errors import Cancelled
from recommender.engine.evaluation.protocol import evaluate
from recommender.engine.trainers import Options, fold_in
from recommender.engine.trainers.fold_in import FoldInQuery
from tests import worlds

D, N = 6, 40


@pytest.fixture(scope="module")
def vectors() -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(N, D)).astype(np.float32)


@pytest.fixture(scope="module")
def unseen() -> NDArray[np.float32]:
    return np.random.default_rng(1).lognormal(size=N).astype(np.float32)


def long(events: int = 3 * D, seed: int = 0) -> Histories:
    """A history of repeats, dislikes and, where `events` allow it, more distinct items than D."""
    random = np.random.default_rng(seed)
    return Histories.single(random.integers(0, N, events), random.normal(0.5, 1, events))


def written_out(query: FoldInQuery, history: Histories) -> NDArray[np.float64]:
    """(Y'CY + lambda I)^-1 Y'Cp with full matrices."""
    y = query.item_vectors.astype(np.float64)
    weights = np.bincount(history.item_rows, weights=history.weights, minlength=N)
    confidence = (np.ones(N) if query.unseen is None else query.unseen) + query.alpha * np.abs(weights)
    system = (y.T * confidence) @ y + query.lambda_ * np.eye(D)
    return np.asarray(np.linalg.solve(system, (y.T * confidence) @ (weights > 0)))


@pytest.mark.parametrize("events", [1, D, 4 * D])
@pytest.mark.parametrize("weighted", [False, True])
def test_it_solves_the_equation(
    vectors: NDArray[np.float32], unseen: NDArray[np.float32], events: int, weighted: bool
) -> None:
    query = FoldInQuery(vectors, 0.7, 3.0, unseen if weighted else None)
    history = long(events)
    np.testing.assert_allclose(query.vectors(history)[0], written_out(query, history), rtol=1e-4, atol=1e-5)


def test_short_and_long_histories_of_one_batch_are_each_their_own(vectors: NDArray[np.float32]) -> None:
    query = FoldInQuery(vectors, 0.7, 3.0)
    parts = [long(events, seed=events) for events in (3, 30, 0, 7)]
    together = Histories(
        np.cumsum([0, 3, 30, 0, 7]).astype(np.int64),
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("item_rows", "weights", "times")),
    )
    expected = np.concatenate([query.vectors(part) for part in parts])
    np.testing.assert_allclose(query.vectors(together), expected, rtol=1e-4, atol=1e-5)


def test_batches_change_nothing(vectors: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch) -> None:
    query, histories = FoldInQuery(vectors, 0.7, 3.0), worlds.two_groups().histories()
    whole = query.vectors(histories)
    monkeypatch.setattr(fold_in, "BATCH_EVENTS", 20)
    np.testing.assert_allclose(query.vectors(histories), whole, rtol=1e-4, atol=1e-6)


def test_contributions_are_complete_and_dislikes_have_none(
    vectors: NDArray[np.float32], unseen: NDArray[np.float32]
) -> None:
    query, history = FoldInQuery(vectors, 0.7, 3.0, unseen), long()
    contributions = query.contributions(history, np.arange(N, dtype=np.int32))
    np.testing.assert_allclose(contributions.sum(axis=0), query.scores(history)[0], rtol=1e-3, atol=1e-5)
    disliked = np.bincount(history.item_rows, weights=history.weights, minlength=N)[history.item_rows] <= 0
    assert disliked.any()
    assert (contributions[disliked] == 0).all()


def test_what_says_nothing_scores_all_alike(vectors: NDArray[np.float32]) -> None:
    query = FoldInQuery(vectors, 0.7, 3.0)
    assert (query.scores(Histories.single([])) == 0).all()
    np.testing.assert_allclose(query.scores(Histories.single([3, 4], [-1, -2])), 0, atol=1e-7)


def test_nothing_is_written_to_what_is_stored(vectors: NDArray[np.float32], unseen: NDArray[np.float32]) -> None:
    frozen, weights = vectors.copy(), unseen.copy()
    for array in (frozen, weights):
        array.flags.writeable = False
    np.testing.assert_array_equal(
        FoldInQuery(frozen, 0.7, 3.0, weights).scores(long()), FoldInQuery(vectors, 0.7, 3.0, unseen).scores(long())
    )


def test_a_small_shop_keeps_all_its_events() -> None:
    data = worlds.single_user()
    rest, held = fold_in.cut(data, Options())
    assert (len(rest), len(held)) == (len(data), 0)


def test_a_larger_shop_gives_some_users_last_events() -> None:
    data = worlds.long_tail()
    rest, held = fold_in.cut(data, Options())
    assert len(rest) == len(data) - 0.05 * len(data)
    assert 0 < len(held) <= len(np.unique(held.user_rows))
    last = data.item_rows[data.indptr[held.user_rows + 1] - 1]
    np.testing.assert_array_equal(held.item_rows, last)


def test_what_is_held_out_already_is_used_but_for_what_is_known() -> None:
    data = worlds.two_groups()
    held = Interactions.build(data.users, data.items, [0, 0, 1], [data.item_rows[0], 1, 3], [1, 1, -1])
    rest, chosen_by = fold_in.cut(data, Options(held=held))
    assert rest is data
    assert chosen_by.item_rows.tolist() == [1]


def test_the_best_setting_is_chosen() -> None:
    """The oracle is the protocol that models are judged by."""
    data = worlds.long_tail(users=120, items=60)
    random = np.random.default_rng(5)
    vectors = random.normal(size=(60, 4)).astype(np.float32)
    vectors[:, -1] += np.log(np.bincount(data.item_rows, minlength=60) + 1)  # popular items lie in one direction
    known, held = fold_in.cut(data, Options())
    assert len(held) >= fold_in.FEWEST_HELD
    chosen = fold_in.query({"item_vectors": vectors, **fold_in.choose(vectors, known, held, Options())})
    taken = np.maximum(np.bincount(known.matrix.indices, minlength=60), 1)
    values = {}
    for beta, relative, alpha in product(fold_in.BETAS, fold_in.LAMBDAS, fold_in.ALPHAS):
        unseen = (taken**beta / np.mean(taken**beta)).astype(np.float32)
        lambda_ = relative * float(np.linalg.eigvalsh((vectors.T * unseen) @ vectors).mean())
        query = FoldInQuery(vectors, lambda_, alpha, unseen)
        values[lambda_, alpha] = evaluate(query, known, held, (10,), samples=1).main["ndcg@10"].value
    best = max(values.values())
    assert min(values.values()) < 0.95 * best
    found = evaluate(chosen, known, held, (10,), samples=1).main["ndcg@10"].value
    assert found == pytest.approx(best, abs=1e-9)


def test_where_all_items_score_alike_nothing_is_found() -> None:
    data = worlds.long_tail(users=50, items=60)
    known, held = fold_in.cut(data, Options())
    alike = FoldInQuery(np.zeros((60, 2), np.float32), 1.0, 1.0)
    assert fold_in._value(alike, known, held, np.unique(held.user_rows)) == 0


def test_without_events_to_choose_by_the_middle_is_taken(vectors: NDArray[np.float32]) -> None:
    data = worlds.two_groups()
    chosen = fold_in.choose(vectors, data, data.where(np.zeros(len(data), np.bool_)), Options())
    _, relative, alpha = fold_in.MIDDLE
    unseen = chosen["unseen"]
    assert chosen["alpha"] == alpha
    assert chosen["lambda"] == pytest.approx(relative * np.linalg.eigvalsh((vectors.T * unseen) @ vectors).mean())
    assert unseen.mean() == pytest.approx(1)
    assert (unseen > 0).all()


def test_choosing_says_how_far_it_is_and_may_be_cancelled(vectors: NDArray[np.float32]) -> None:
    data = worlds.two_groups()
    shares: list[float] = []
    nobody = data.where(np.zeros(len(data), np.bool_))
    fold_in.choose(vectors, data, nobody, Options(progress=lambda share, message: shares.append(share)), done=0.4)
    assert shares[0] == pytest.approx(0.4)
    assert shares[-1] == 1

    def cancel(share: float, message: str) -> None:
        raise Cancelled()

    with pytest.raises(Cancelled):
        fold_in.choose(vectors, data, nobody, Options(progress=cancel))
