"""Figures before backgrounds, and histograms of gradients."""

import numpy as np
import pytest

from recommender.engine.encoders.image import figures, gradients


def scene(figure: tuple[int, int, int, int], size: int = 64, ground: str = "plain") -> tuple[np.ndarray, np.ndarray]:
    """A rectangle (top, left, bottom, right), striped, before a background; and where it is."""
    picture = np.full((size, size, 3), (200, 60, 50), dtype=np.uint8)
    if ground == "tiles":
        picture[::16] = picture[:, ::16] = (170, 90, 80)
    inside = np.zeros((size, size), dtype=bool)
    top, left, bottom, right = figure
    inside[top:bottom, left:right] = True
    picture[inside] = (40, 70, 160)
    picture[top + 6 : bottom - 6, left + 6 : right - 6][::4] = (200, 60, 50)  # as the background: a hole, but enclosed
    return picture, inside


@pytest.mark.parametrize("ground", ["plain", "tiles"])
def test_the_figure_is_found_and_its_holes_are_filled(ground: str) -> None:
    picture, inside = scene((18, 14, 46, 52), ground=ground)
    found = figures.figures(picture[None])[0]
    assert found.dtype == np.float32 and found.min() >= 0 and found.max() <= 1
    both, either = (found > 0.5) & inside, (found > 0.5) | inside
    assert both.sum() / either.sum() > 0.85


def test_frames_do_not_depend_on_place_and_size() -> None:
    first, second = (scene(figure)[0] for figure in ((10, 12, 30, 52), (30, 24, 44, 52)))
    pictures = np.stack([first, second])
    maps = figures.figures(pictures)
    framed = figures.framed(pictures, maps, 64)
    assert framed.shape == (2, 64, 64, 4) and framed.min() >= 0 and framed.max() <= 1
    a, b = framed[..., 3] > 0.5
    assert (a & b).sum() / (a | b).sum() > 0.85
    across, down, wide, high = figures.frames(maps)
    assert across[0] == pytest.approx(0, abs=0.08) and down[0] == pytest.approx(-0.375, abs=0.08)
    assert wide[0] / high[0] == pytest.approx(2, rel=0.15)


def test_one_by_one_is_as_a_batch_and_nothing_is_strange_enough_to_fail() -> None:
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)
    pictures[1] = 7
    pictures[2, :, :32] = 255
    maps = figures.figures(pictures)
    assert np.isfinite(maps).all() and np.isfinite(figures.framed(pictures, maps, 48)).all()
    for row, picture in enumerate(pictures):
        np.testing.assert_allclose(figures.figures(picture[None])[0], maps[row], atol=1e-4)


def test_scaling_keeps_means_and_ramps() -> None:
    ramp = np.tile(np.arange(64, dtype=np.float32), (64, 1))
    found = figures.scaled(ramp[None], 32)[0]
    assert found.shape == (32, 32)
    np.testing.assert_allclose(found[0, 2:-2], np.arange(32)[2:-2] * 2 + 0.5, atol=1e-3)


def test_gradients_tell_the_direction_of_edges_and_not_their_contrast() -> None:
    across = np.zeros((1, 32, 32, 3), dtype=np.float32)
    across[:, ::4] = across[:, 1::4] = 1
    down = across.transpose(0, 2, 1, 3)
    found = gradients.histograms(np.concatenate([across, down, across * 0.5 + 0.2]))
    assert found.shape == (3, gradients.length(32))
    first, second, faint = found / np.linalg.norm(found, axis=1, keepdims=True)
    assert first @ second < 0.3
    assert first @ faint > 0.99
    assert not gradients.histograms(np.full((1, 32, 32, 3), 0.5, dtype=np.float32)).any()
