import numpy as np

from recommender.engine.data.interactions import Histories, Interactions
from tests import worlds
from tests.contracts.trainer import TrainerContract, fit


class TestPopularity(TrainerContract):
    name = "popularity"
    personal = False


def counted(count_users: bool) -> np.ndarray:
    data = Interactions.build(
        worlds.numbered(2, "u"), worlds.numbered(3, "i"), [0, 0, 0, 1, 1], [0, 0, 1, 1, 2], [1, 2, 1, 1, -1]
    )
    return fit("popularity", data, {"count_users": count_users}).scores(Histories.single([]))[0]


def test_counts_each_user_once_per_item_and_no_dislikes() -> None:
    np.testing.assert_array_equal(counted(True), [1, 2, 0])


def test_or_sums_the_weights() -> None:
    np.testing.assert_array_equal(counted(False), [3, 2, 0])
