"""Networks that learn from the shop's own pictures."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from recommender.engine.data.vectors import unit
from recommender.engine.encoders import Arrays, make_config
from recommender.engine.encoders.image.contrastive import (
    ContrastiveConfig,
    ContrastiveEncoder,
    Head,
    main_directions,
    neighbours,
)
from recommender.engine.encoders.image.fine_tuning import ImageTowerConfig, fine_tune
from recommender.engine.errors import InvalidConfig, NoData
from recommender.engine.options import Options
from tests.contracts.encoder import EncoderContract
from tests.engine.encoders.image.samples import SILENT, noise, thing

TINY = {
    "learned": 0.3,
    "size": 16,
    "width": 4,
    "depth": 2,
    "steps": 3,
    "batch": 4,
    "projection": 4,
    "dimension": 8,
    "hidden": 8,
}
NO_TOWER = {**TINY, "learned": 0.0, "hidden": 32, "dimension": 16}


class TestContrastive(EncoderContract):
    modality, name = "image", "contrastive"

    @pytest.fixture(scope="class")
    @classmethod
    def config(cls) -> dict[str, Any]:
        return TINY

    @pytest.fixture(scope="class")
    @classmethod
    def inputs(cls) -> Sequence[Any]:
        return [*noise(6), *(thing("disc", seed) for seed in range(8)), *(thing("bar", seed) for seed in range(8))]

    @pytest.fixture(scope="class")
    @classmethod
    def silent(cls) -> Sequence[Any]:
        return SILENT


def nearest_are_alike(vectors: np.ndarray, kinds: np.ndarray) -> float:
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    return float((kinds[cosines.argmax(axis=1)] == kinds).mean())


@pytest.fixture(scope="module")
def world() -> tuple[list[np.ndarray], np.ndarray]:
    """Three kinds of things in any colour, place and size."""
    kinds = np.repeat(["disc", "bar", "cross"], 40)
    return [thing(kind, seed) for seed, kind in enumerate(kinds)], kinds


@pytest.fixture(scope="module")
def known(world: Any) -> tuple[ContrastiveConfig, Arrays]:
    config = make_config("image", "contrastive", NO_TOWER)
    return config, ContrastiveEncoder.fit(world[0], config, Options())


def test_things_of_one_outline_are_alike_whatever_their_colour_place_and_size(world: Any, known: Any) -> None:
    (pictures, kinds), (config, arrays) = world, known
    opened = ContrastiveEncoder.open(arrays, config)
    assert nearest_are_alike(opened.encode(pictures), kinds) > 0.95
    unseen = [thing(kind, 1000 + row) for row, kind in enumerate(kinds)][::2]
    assert nearest_are_alike(opened.encode(unseen), kinds[::2]) > 0.9


@pytest.mark.parametrize("count", [2, 5])
def test_a_handful_of_pictures_is_enough(count: int) -> None:
    config = make_config("image", "contrastive", TINY)
    pictures = [*noise(count), *SILENT]
    found = ContrastiveEncoder.open(ContrastiveEncoder.fit(pictures, config, Options()), config).encode(pictures)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), [1.0] * count + [0.0] * len(SILENT), atol=1e-5)


def test_pictures_that_say_nothing_teach_nothing() -> None:
    config = make_config("image", "contrastive", TINY)
    for pictures in ([], SILENT, [*SILENT, *noise(1)]):
        with pytest.raises(NoData, match="two pictures"):
            ContrastiveEncoder.fit(pictures, config, Options())


def test_a_sample_bounds_what_is_learned_from() -> None:
    config = make_config("image", "contrastive", {**NO_TOWER, "joined": 0.0, "sample": 3})
    asked = set[int]()

    class Counted(list[Any]):
        def __getitem__(self, row: Any) -> Any:
            asked.add(row)
            return super().__getitem__(row)

    ContrastiveEncoder.fit(Counted(noise(9)), config, Options())
    assert len(asked) == 3


def test_whole_pictures_need_no_figure() -> None:
    config = make_config("image", "contrastive", {**TINY, "figure": False})
    pictures = noise(6)
    found = ContrastiveEncoder.open(ContrastiveEncoder.fit(pictures, config, Options()), config).encode(pictures)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_main_directions_are_those_of_the_covariance() -> None:
    random = np.random.default_rng(0)
    values = (random.normal(size=(500, 6)) * [9, 5, 1, 0.1, 0.1, 0.1] + 3).astype(np.float32)
    mean, directions = main_directions(values, ContrastiveConfig(dimension=2, whitening=1.0))
    found = (values - mean) @ directions
    np.testing.assert_allclose(found.T @ found / len(found), np.eye(2), atol=0.01)
    _, plain = main_directions(values, ContrastiveConfig(dimension=2, whitening=0.0))
    np.testing.assert_allclose(np.abs(plain[:2]), np.eye(2), atol=0.05)


def test_neighbours_are_the_nearest_by_cosine() -> None:
    vectors = unit(np.random.default_rng(0).normal(size=(70, 5)).astype(np.float32))
    found = neighbours(vectors, ContrastiveConfig(neighbours=10))
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    np.testing.assert_array_equal(found, np.argsort(-cosines, axis=1)[:, :3])
    assert neighbours(vectors[:9], ContrastiveConfig()).shape == (9, 0)


@pytest.mark.parametrize(
    "values",
    [{"size": 20}, {"size": 72}, {"crop": 0}, {"learned": 2}, {"joined": -1}, {"batch": 1}, {"width": 1.5},
     {"temperature": 0}, {"dimension": 1}, {"neighbours": -1}],
)  # fmt: skip
def test_settings_are_checked(values: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig, match=next(iter(values))):
        make_config("image", "contrastive", values)


def test_fine_tuning_learns_what_goes_together(world: Any, known: Any) -> None:
    """Discs go with bars, which do not look like them, and crosses with crosses."""
    (pictures, kinds), (config, arrays) = world, known
    rows = np.arange(len(pictures))
    pairs = np.stack(np.meshgrid(rows, rows), axis=2).reshape(-1, 2)
    first, second = kinds[pairs].T
    pairs = pairs[((first == "disc") & (second == "bar")) | ((first == "cross") & (second == "cross"))]
    pairs = np.random.default_rng(0).permutation(pairs)[:900]
    settings = ImageTowerConfig(epochs=8, batch=64, learning_rate=3e-3)
    told: list[float] = []
    tuned = fine_tune(pictures, pairs, arrays, config, settings, Options(progress=lambda share, _: told.append(share)))
    assert tuned.gain.kept and tuned.gain.held == 6 and told == sorted(told)
    assert tuned.gain.after > tuned.gain.before
    assert set(tuned.arrays) == set(arrays)
    unseen = [thing(kind, 5000) for kind in ("disc", "bar", "cross")]
    for given, better in ((arrays, False), (tuned.arrays, True)):
        disc, bar, cross = ContrastiveEncoder.open(given, config).encode(unseen)
        assert (disc @ bar > disc @ cross + 0.3) == better


def test_fine_tuning_keeps_what_was_better(world: Any, known: Any) -> None:
    (pictures, _), (config, arrays) = world, known
    vectors = ContrastiveEncoder.open(arrays, config).encode(pictures)
    nearest = neighbours(vectors, config)  # what it finds already
    pairs = np.stack((np.arange(len(pictures)), nearest[:, 0]), axis=1)
    tuned = fine_tune(pictures, pairs, arrays, config, ImageTowerConfig(epochs=1, learning_rate=1.0), Options())
    assert not tuned.gain.kept and tuned.gain.after == tuned.gain.before
    assert tuned.arrays is arrays


def test_fine_tuning_needs_pairs_and_a_head(world: Any, known: Any) -> None:
    (pictures, _), (config, arrays) = world, known
    headless = make_config("image", "contrastive", {**NO_TOWER, "joined": 0.0})
    assert Head.of(arrays, headless) is None
    with pytest.raises(InvalidConfig, match="no head"):
        fine_tune(pictures[:10], np.array([[0, 1]]), arrays, headless, ImageTowerConfig(), Options())
    for pairs in (np.empty((0, 2), dtype=int), np.array([[0, 1], [1, 1]])):
        with pytest.raises(NoData, match="100 pictures"):
            fine_tune(pictures[:10], pairs, arrays, config, ImageTowerConfig(), Options())
