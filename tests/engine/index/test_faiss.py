from pathlib import Path

import numpy as np
import pytest

from recommender.engine.errors import ArtifactDamaged, ArtifactMissing, InvalidConfig, NoData
from recommender.engine.index import INDEXES, IndexOptions, choose
from recommender.engine.index.faiss import FILE, FaissIndex
from tests.contracts.index import IndexContract, vectors_like_learned


class TestFaiss(IndexContract):
    name = "faiss"


def test_looking_at_some_parts_finds_most(tmp_path: Path) -> None:
    vectors, queries = vectors_like_learned(5000), vectors_like_learned(200, seed=1)
    FaissIndex.build(vectors, tmp_path, IndexOptions())
    rows, _ = FaissIndex.open(tmp_path, vectors).search(queries, 10)
    exact = np.argsort(-(queries @ vectors.T), axis=1)[:, :10]
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows.tolist(), exact.tolist(), strict=True)]) > 0.95


def test_the_file_is_mapped_not_read(tmp_path: Path) -> None:
    vectors = vectors_like_learned(3000)
    FaissIndex.build(vectors, tmp_path, IndexOptions())
    index = FaissIndex.open(tmp_path, vectors)
    mapped = [line for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith(str(tmp_path / FILE))]
    assert mapped
    assert index.search(vectors[:1], 3)[0].shape == (1, 3)


def test_a_missing_truncated_or_foreign_file_is_refused(tmp_path: Path) -> None:
    vectors = vectors_like_learned(200)
    with pytest.raises(ArtifactMissing, match=FILE):
        FaissIndex.open(tmp_path, vectors)
    FaissIndex.build(vectors, tmp_path, IndexOptions())
    with pytest.raises(ArtifactDamaged, match="200 x 16"):
        FaissIndex.open(tmp_path, vectors[:100])
    (tmp_path / FILE).write_bytes(b"not an index")
    with pytest.raises(ArtifactDamaged, match=FILE):
        FaissIndex.open(tmp_path, vectors)


def test_no_vectors_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(NoData):
        FaissIndex.build(np.empty((0, 4), np.float32), tmp_path, IndexOptions())


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(InvalidConfig):
        IndexOptions(nprobe=0)


def test_large_catalogues_are_searched_approximately() -> None:
    assert choose(50_000) == "exact"
    assert choose(50_001) == "faiss"
    assert {choose(1), choose(10**9)} <= set(INDEXES)
