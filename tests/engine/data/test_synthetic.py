"""Synthetic interactions have what they promise: sizes, a long tail, uneven users, tastes."""

import numpy as np
import pytest

from recommender.engine.data import synthetic
from recommender.engine.data.split import random_split
from recommender.engine.evaluation.protocol import evaluate, paired_difference
from recommender.engine.trainers import Options, make_config, trainer


@pytest.mark.parametrize(
    ("events", "users", "items"), [(10, 1, 1_000), (200_000, 4_000, 2_000), (20_000_000, 400_000, 100_000)]
)
def test_sizes(events: int, users: int, items: int) -> None:
    assert synthetic.sizes(events) == (users, items)


def test_shape_order_and_seed() -> None:
    data = synthetic.interactions(20_000, seed=1)
    assert (len(data), data.shape) == (20_000, (400, 1000))
    assert np.array_equal(np.lexsort((data.times, data.user_rows)), np.arange(20_000))
    assert data.times.min() >= 0 and data.times.max() < synthetic.SPAN_S
    assert np.array_equal(data.items.encoded, np.sort(data.items.encoded)) and data.items.id(7) == "007"
    again, other = synthetic.interactions(20_000, seed=1), synthetic.interactions(20_000, seed=2)
    assert np.array_equal(data.item_rows, again.item_rows) and not np.array_equal(data.item_rows, other.item_rows)


def test_the_tail_is_long_and_users_differ() -> None:
    data = synthetic.interactions(100_000)
    counts = np.sort(np.bincount(data.item_rows, minlength=data.shape[1]))[::-1]
    ranks = np.arange(10, 300)
    slope = np.polyfit(np.log(ranks), np.log(counts[ranks]), 1)[0]
    assert -1.3 < slope < -0.7  # Zipf's
    activity = np.log(np.diff(data.indptr)[np.diff(data.indptr) > 0])
    assert activity.std() == pytest.approx(synthetic.SIGMA, abs=0.1)


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "CHUNK", 700)
    data = synthetic.interactions(5_000)
    assert len(np.unique(data.item_rows[-700:])) > 100 and data.item_rows.max() < data.shape[1]


def test_there_is_something_to_learn() -> None:
    train, test = random_split(synthetic.interactions(60_000), 0.2, seed=0)
    reports = []
    for name in ("als", "popularity"):
        config = make_config(name, {"factors": 16} if name == "als" else {})
        kind = trainer(name)
        reports.append(evaluate(kind.query(kind.fit(train, config, Options()), config), train, test, (10,)))
    assert paired_difference(*reports, "ndcg@10").low > 0
