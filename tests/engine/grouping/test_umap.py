import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.manifold import trustworthiness

from recommender.engine.grouping import umap
from recommender.engine.grouping.umap import lay_out, nearest


def blobs(groups=8, members=25, dimension=24, seed=0):
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(groups), members)
    centres = random.normal(size=(groups, dimension)) * 1.5
    return (centres[labels] + random.normal(size=(len(labels), dimension))).astype(np.float32), labels


@pytest.fixture(scope="module")
def world():
    return blobs()


@pytest.fixture(scope="module")
def points(world):
    return lay_out(world[0])


def test_neighbours_stay_neighbours_better_than_on_the_main_axes(world, points):
    vectors, _ = world
    ours, axes = (trustworthiness(vectors, at, n_neighbors=10) for at in (points, umap._main_axes(vectors)))
    assert ours > axes + 0.03
    assert ours > 0.95


def test_groups_stay_together(world, points):
    _, labels = world
    rows, _ = nearest(points, points, 6)
    assert (labels[rows[:, 1:]] == labels[:, None]).mean() > 0.95


def test_real_pictures_keep_their_neighbours():
    vectors = load_digits().data[:300].astype(np.float32)
    assert trustworthiness(vectors, lay_out(vectors), n_neighbors=10) > 0.95


def test_the_same_seed_gives_the_same_map(world, points):
    again = lay_out(world[0])
    assert again.dtype == np.float32 and again.shape == (200, 2)
    np.testing.assert_array_equal(again, points)
    assert not np.array_equal(lay_out(world[0], seed=7), points)
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-4)


def test_beyond_the_limit_others_are_put_among_their_neighbours(world):
    vectors, labels = world
    points = lay_out(vectors, limit=100)
    rows, _ = nearest(points, points, 4)
    assert np.isfinite(points).all()
    assert (labels[rows[:, 1:]] == labels[:, None]).mean() > 0.9


@pytest.mark.parametrize("count", [0, 1, 2, 3, umap.FEWEST - 1, umap.FEWEST])
def test_few_points(world, count):
    points = lay_out(world[0][:count])
    assert points.shape == (count, 2) and np.isfinite(points).all()
    if count > 1:
        assert len(np.unique(points, axis=0)) == count


@pytest.mark.parametrize("dimension", [1, 8])
def test_points_that_are_all_the_same(dimension):
    for count in (3, 40):
        assert np.isfinite(lay_out(np.ones((count, dimension), dtype=np.float32))).all()


def test_groups_without_a_way_between_them(world):
    """The graph falls into parts, which have no spectral start."""
    vectors = world[0][:50].copy()
    vectors[25:] += 1000
    points = lay_out(vectors)
    assert np.isfinite(points).all()
    rows, _ = nearest(points, points, 5)
    assert ((rows >= 25) == (np.arange(50) >= 25)[:, None]).all()


def test_the_neighbourhoods_weigh_the_logarithm_of_their_size(world):
    """Equation 2 of the paper, before the two directions are joined."""
    graph = umap._fuzzy_graph(world[0], 15)
    assert abs(graph - graph.T).max() < 1e-6
    assert graph.data.max() <= 1 + 1e-6 and graph.data.min() > 0
    assert (np.asarray(graph.max(axis=1).todense()).ravel() > 0.999).all(), "everybody's nearest is surely theirs"
    assert (np.asarray(graph.sum(axis=1)).ravel() >= np.log2(15) - 0.05).all()
