"""Vectors of length 1."""

import numpy as np

from recommender.engine.data.vectors import unit


def test_vectors_become_one_long_and_keep_their_direction() -> None:
    vectors = np.array([[3, 4], [-2, 0], [1e-6, 0]], np.float32)
    found = unit(vectors)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[0.6, 0.8], [-1, 0], [1, 0]], rtol=1e-6)


def test_zero_stays_zero() -> None:
    assert unit(np.zeros((2, 3), np.float32)).tolist() == [[0, 0, 0], [0, 0, 0]]
