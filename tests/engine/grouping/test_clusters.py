import numpy as np
import pytest

from recommender.engine.grouping.clusters import NO_GROUP, by_density, by_means, closest, how_many
from tests.engine.grouping.test_umap import blobs


def same_partition(found, truth):
    return len(set(zip(found.tolist(), truth.tolist(), strict=True))) == len(set(truth.tolist())) == len(set(found))


def test_means_find_the_groups_that_are_there():
    vectors, truth = blobs(groups=4, members=30, dimension=16)
    labels, centroids = by_means(vectors * 3, 4)
    assert labels.dtype == np.int32 and centroids.shape == (4, 16)
    assert same_partition(labels, truth)
    np.testing.assert_allclose(np.linalg.norm(centroids, axis=1), 1, atol=1e-5)


def test_the_length_of_a_vector_says_nothing():
    random = np.random.default_rng(1)
    vectors, _ = blobs(groups=3, members=20)
    longer = vectors * random.uniform(0.1, 50, (60, 1)).astype(np.float32)
    np.testing.assert_array_equal(by_means(vectors, 3)[0], by_means(longer, 3)[0])


def test_the_largest_group_comes_first_and_the_same_seed_gives_the_same():
    vectors = np.concatenate([blobs(1, size, seed=size)[0] for size in (10, 50, 20)])
    labels, centroids = by_means(vectors, 3)
    assert np.bincount(labels).tolist() == [50, 20, 10]
    again = by_means(vectors, 3)
    np.testing.assert_array_equal(labels, again[0])
    np.testing.assert_array_equal(centroids, again[1])
    np.testing.assert_array_equal(closest(vectors, centroids), labels)


def test_what_says_nothing_is_in_no_group():
    vectors, _ = blobs(groups=2, members=10)
    vectors[3] = 0
    labels, _ = by_means(vectors, 2)
    assert labels[3] == NO_GROUP and (np.delete(labels, 3) >= 0).all()
    labels, centroids = by_means(np.zeros((4, 5), np.float32), 2)
    assert (labels == NO_GROUP).all() and centroids.shape == (0, 5)


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_fewer_vectors_than_groups(count):
    labels, centroids = by_means(np.eye(8, dtype=np.float32)[:count], 6)
    assert len(labels) == count and len(set(labels.tolist())) == len(centroids) == count
    labels, centroids = by_means(np.ones((count, 8), dtype=np.float32), 6)
    assert len(centroids) == min(count, 1)


def test_how_many():
    assert [how_many(count) for count in (0, 1, 2, 50, 800, 10**6)] == [1, 1, 1, 5, 20, 40]


def test_density_leaves_alone_what_lies_apart():
    random = np.random.default_rng(3)
    dense = [random.normal(at, 0.1, (size, 2)) for at, size in (((0, 0), 40), ((5, 5), 25))]
    apart = np.array([[20.0, -20], [-30, 10], [40, 40]])
    labels = by_density(np.concatenate([*dense, apart]).astype(np.float32))
    assert labels.dtype == np.int32
    assert (labels[:40] == 0).mean() > 0.9 and (labels[40:65] == 1).mean() > 0.9
    assert (labels[65:] == NO_GROUP).all()


def test_density_beyond_the_limit_and_of_nothing():
    random = np.random.default_rng(3)
    points = np.concatenate([random.normal(at, 0.1, (60, 2)) for at in ((0, 0), (5, 5))]).astype(np.float32)
    labels = by_density(points, limit=60)
    assert (labels[:60] == labels[0]).mean() > 0.9 and (labels[60:] == labels[-1]).mean() > 0.9
    assert labels[0] != labels[-1]
    for count in (0, 1, 5):
        assert (by_density(points[:count]) == NO_GROUP).all()
