import numpy as np
import pytest

from recommender.engine.data import features
from recommender.engine.data.features import joined, marked, multi_hot, shared_words


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


def test_words_of_others_are_marked_in_the_same_columns() -> None:
    columns = shared_words([["red", "wool"], ["wool"], ["red"], ["rare"]])
    assert columns == ["red", "wool"]
    assert marked([["wool", "new"], [], ["red", "wool"]], columns).tolist() == [[0, 1], [0, 0], [1, 1]]


def test_parts_count_alike_side_by_side() -> None:
    words, vectors = np.array([[1, 1], [0, 0]], dtype=np.float32), np.array([[3, 4, 0], [0, 0, 2]], dtype=np.float32)
    both = joined([words, None, vectors])
    assert both is not None
    np.testing.assert_allclose(both, [[0.5**0.5, 0.5**0.5, 0.6, 0.8, 0], [0, 0, 0, 0, 1]], rtol=1e-6)
    assert joined([words, None]) is words and joined([None]) is None
