"""What every index promises. An index's own test file subclasses this and gives its name."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from recommender.engine.index import Index, IndexOptions, index_kind


def vectors_like_learned(n: int = 3000, d: int = 16, seed: int = 0) -> NDArray[np.float32]:
    """Clustered directions with lengths that differ as popularity does, like the vectors of a factorisation."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(20, d))
    directions = centres[random.integers(0, 20, n)] + 0.5 * random.normal(size=(n, d))
    return (directions * random.lognormal(0, 0.7, (n, 1))).astype(np.float32)


def brute_force(vectors: NDArray[np.float32], queries: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Rows by falling inner product, ties by lower row, one query at a time."""
    return np.array([sorted(range(len(vectors)), key=lambda i: (-(vectors @ q)[i], i))[:k] for q in queries])


class IndexContract:
    name: ClassVar[str]

    def made(self, vectors: NDArray[np.float32], directory: Path, options: IndexOptions | None = None) -> Index:
        directory.mkdir(exist_ok=True)
        kind = index_kind(self.name)
        kind.build(vectors, directory, options or IndexOptions())
        return kind.open(directory, vectors)

    def test_rows_and_scores_have_their_shapes(self, tmp_path: Path) -> None:
        vectors = vectors_like_learned(500)
        rows, scores = self.made(vectors, tmp_path).search(vectors[:7], 5)
        assert rows.shape == scores.shape == (7, 5)
        assert (rows.dtype, scores.dtype) == (np.int32, np.float32)
        assert (np.diff(scores, axis=1) <= 0).all()

    def test_scores_are_inner_products(self, tmp_path: Path) -> None:
        vectors = vectors_like_learned(500)
        rows, scores = self.made(vectors, tmp_path).search(vectors[:7], 5)
        np.testing.assert_allclose(scores, np.einsum("bkd,bd->bk", vectors[rows], vectors[:7]), rtol=1e-4)

    def test_looking_everywhere_finds_what_brute_force_finds(self, tmp_path: Path) -> None:
        vectors = vectors_like_learned()
        queries = vectors_like_learned(100, seed=1)
        rows, _ = self.made(vectors, tmp_path, IndexOptions(nprobe=10**6)).search(queries, 20)
        exact = np.argsort(-(queries @ vectors.T), axis=1)[:, :20]
        found = [len(set(a) & set(b)) / 20 for a, b in zip(rows.tolist(), exact.tolist(), strict=True)]
        assert np.mean(found) >= 0.99

    @pytest.mark.parametrize("n", [1, 2, 3, 17])
    def test_tiny_catalogues_give_all_they_have(self, n: int, tmp_path: Path) -> None:
        vectors = vectors_like_learned(n)
        queries = vectors_like_learned(4, seed=1)
        rows, _ = self.made(vectors, tmp_path).search(queries, 50)
        np.testing.assert_array_equal(rows, brute_force(vectors, queries, n))

    def test_k_larger_than_the_parts_looked_at_still_gives_k(self, tmp_path: Path) -> None:
        vectors = vectors_like_learned(400)
        rows, _ = self.made(vectors, tmp_path, IndexOptions(nprobe=1)).search(vectors[:3], 400)
        assert (np.sort(rows, axis=1) == np.arange(400)).all()

    def test_ties_go_to_the_lower_row(self, tmp_path: Path) -> None:
        vectors = np.ones((30, 4), np.float32)
        rows, _ = self.made(vectors, tmp_path, IndexOptions(nprobe=10**6)).search(vectors[:2], 30)
        np.testing.assert_array_equal(rows, [np.arange(30)] * 2)

    def test_no_queries_give_no_rows(self, tmp_path: Path) -> None:
        vectors = vectors_like_learned(50)
        rows, scores = self.made(vectors, tmp_path).search(vectors[:0], 5)
        assert rows.shape == scores.shape == (0, 5)

    def test_the_same_seed_gives_the_same_answers_and_files(self, tmp_path: Path) -> None:
        vectors = vectors_like_learned()
        first, second = (self.made(vectors, tmp_path / name, IndexOptions(nprobe=3)) for name in ("a", "b"))
        for one, other in zip(first.search(vectors[:50], 10), second.search(vectors[:50], 10), strict=True):
            np.testing.assert_array_equal(one, other)
        for file in (tmp_path / "a").iterdir():
            assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()

    def test_opens_over_read_only_mapped_vectors(self, tmp_path: Path) -> None:
        vectors = vectors_like_learned(500)
        expected = self.made(vectors, tmp_path / "index").search(vectors[:5], 10)
        np.save(tmp_path / "vectors.npy", vectors)
        mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
        found = index_kind(self.name).open(tmp_path / "index", mapped).search(mapped[:5], 10)
        np.testing.assert_array_equal(found[0], expected[0])
