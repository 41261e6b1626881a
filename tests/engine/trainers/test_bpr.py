from dataclasses import asdict, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from recommender.engine.data.interactions import Histories
from recommender.engine.errors import InvalidConfig, NotFinite
from recommender.engine.trainers import Options, make_config
from recommender.engine.trainers.bpr import BprConfig, BprTrainer
from tests import worlds
from tests.contracts.trainer import TrainerContract, fit

SMALL: dict[str, Any] = {"factors": 8, "iterations": 50}


class TestBpr(TrainerContract):
    name = "bpr"
    config: ClassVar = SMALL


def test_more_threads_give_the_same_arrays() -> None:
    data = worlds.two_groups()
    one, four = (BprTrainer.fit(data, BprConfig(**SMALL), Options(threads=threads)) for threads in (1, 4))
    for name, array in one.items():
        np.testing.assert_array_equal(array, four[name])


def test_users_of_training_put_what_they_have_before_what_they_have_not() -> None:
    """The objective itself: x_ui > x_uj for taken i and other j, with the learned user vectors."""
    data = worlds.two_groups()
    arrays = BprTrainer.fit(data, BprConfig(**SMALL), Options())
    assert (arrays["user_vectors"][:, -1] == 1).all()  # what carries an item's bias into the inner product
    scores = arrays["user_vectors"] @ arrays["item_vectors"].T
    taken = data.matrix.toarray() > 0
    auc = np.mean([(s[t][:, None] > s[~t]).mean() for s, t in zip(scores, taken, strict=True)])
    assert auc > 0.85  # to know the groups only is .80


def test_a_newcomer_s_answers_are_like_those_of_who_has_the_same() -> None:
    data = worlds.two_groups()
    arrays = BprTrainer.fit(data, BprConfig(**SMALL), Options())
    folded = BprTrainer.query(arrays, BprConfig(**SMALL)).scores(data.histories())
    learned = arrays["user_vectors"] @ arrays["item_vectors"].T
    together = [np.corrcoef(a, b)[0, 1] for a, b in zip(folded, learned, strict=True)]
    assert np.median(together) > 0.8


def test_dislikes_teach_nothing() -> None:
    data = worlds.two_groups()
    disliked = np.random.default_rng(0).random(len(data)) < 0.2
    disliked &= (
        np.bincount(data.user_rows * 40 + data.item_rows, minlength=2400)[data.user_rows * 40 + data.item_rows] < 2
    )
    mixed = replace(data, weights=np.where(disliked, -1, 1).astype(np.float32))
    nothing_held = Options(held=data.where(np.zeros(len(data), np.bool_)))
    with_them, without = (
        BprTrainer.fit(part, BprConfig(**SMALL), nothing_held) for part in (mixed, mixed.where(~disliked))
    )
    np.testing.assert_array_equal(with_them["item_vectors"], without["item_vectors"])


def test_a_disliked_recommendation_falls() -> None:
    query = fit("bpr", worlds.two_groups(), SMALL)
    liked = query.scores(Histories.single([0, 2, 4]))[0]
    best = max(set(range(40)) - {0, 2, 4}, key=lambda row: liked[row])
    assert query.scores(Histories.single([0, 2, 4, best], [1, 1, 1, -50]))[0][best] < liked[best]


def test_learning_that_flies_apart_is_an_error_of_ours() -> None:
    with pytest.raises(NotFinite), np.errstate(all="ignore"):
        fit("bpr", worlds.two_groups(), {**SMALL, "learning_rate": 10.0, "regularization": 10.0})


@pytest.mark.parametrize(
    "wrong",
    [{"factors": 0}, {"factors": 2.5}, {"learning_rate": 0}, {"learning_rate": float("nan")}, {"regularization": -1},
     {"iterations": 0}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig):
        make_config("bpr", wrong)


def test_a_config_survives_json() -> None:
    config = BprConfig(factors=16)
    assert make_config("bpr", asdict(config)) == config
