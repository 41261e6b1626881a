from pathlib import Path

import numpy as np
import pytest

from recommender.engine.errors import ArtifactDamaged, ArtifactMissing, InvalidConfig, NoData
from recommender.engine.index import INDEXES, IndexOptions, choose, faiss
from recommender.engine.index.faiss import FILE, FaissIndex
from tests.contracts.index import IndexContract, vectors_like_learned


class TestFaiss(IndexContract):
    name = "faiss"


def test_looking_at_some_parts_finds_most(tmp_path: Path) -> None:
    vectors, queries = vectors_like_learned(5000), vectors_like_learned(200, seed=1)
    FaissIndex.build(vectors, tmp_path, IndexOptions())
    index = FaissIndex.open(tmp_path, vectors)
    rows, _ = index.search(queries, 10)
    exact = np.argsort(-(queries @ vectors.T), axis=1)[:, :10]
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows.tolist(), exact.tolist(), strict=True)]) > 0.97
    assert index.index.nprobe < index.index.nlist / 3


def test_more_parts_are_looked_at_for_more_recall(tmp_path: Path) -> None:
    vectors, nprobe = vectors_like_learned(3000), []
    for recall in (0.5, 0.9999):
        FaissIndex.build(vectors, tmp_path, IndexOptions(recall=recall))
        nprobe.append(FaissIndex.open(tmp_path, vectors).index.nprobe)
    assert nprobe[0] < nprobe[1]


def test_vectors_of_one_length_are_one_band_and_lengths_fall_from_band_to_band() -> None:
    assert faiss._bands(np.ones(1000, np.float32), 10) == [slice(0, 1000)]
    lengths = np.sort(np.random.default_rng(0).lognormal(0, 1, 5000).astype(np.float32))[::-1]
    bands = faiss._bands(lengths, 50)
    assert [band.start for band in bands] == [0, *(band.stop for band in bands[:-1])] and bands[-1].stop == 5000
    assert all(band.stop - band.start >= 50 for band in bands)
    assert all(
        lengths[band][0] <= 1.4 * lengths[band][-1]
        for band in bands
        if band.stop - band.start > 50 and band is not bands[-1]
    )


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
    for wrong in ({"nprobe": -1}, {"nlist": -1}, {"threads": 0}, {"recall": 0}, {"recall": 1.1}):
        with pytest.raises(InvalidConfig):
            IndexOptions(**wrong)


def test_large_catalogues_are_searched_approximately() -> None:
    assert choose(50_000) == "exact"
    assert choose(50_001) == "faiss"
    assert {choose(1), choose(10**9)} <= set(INDEXES)
