import numpy as np
import pytest

from recommender.engine.data import features
from recommender.engine.data.features import multi_hot


def test_a_column_for_each_word_that_items_share() -> None:
    found = multi_hot([["red", "wool"], ["wool", "wool"], [], ["red", "only here"], ["wool"]])
    assert found is not None
    assert found.dtype == np.float32
    assert found.tolist() == [[1, 1], [1, 0], [0, 0], [0, 1], [1, 0]]  # wool, which more have, comes first


def test_the_rarest_are_left_out_beyond_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    words = [["a", "b", "c"], ["a", "b", "c"], ["a", "c"], ["a"]]
    assert [row.sum() for row in multi_hot(words, columns=2)] == [2, 2, 2, 1]  # type: ignore[union-attr]
    monkeypatch.setattr(features, "CELLS", 4)
    assert np.array_equal(multi_hot(words), np.ones((4, 1)))  # type: ignore[arg-type]


def test_where_nothing_is_shared_there_are_none() -> None:
    assert multi_hot([]) is None
    assert multi_hot([["a"], ["b"], []]) is None
