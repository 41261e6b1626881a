"""Fusion, held against vectors whose fused cosines are known, and pairs whose modality is known."""

import numpy as np
import pytest

from recommender.engine.data.vectors import unit
from recommender.engine.encoders.fusion import MIN_PAIRS, Fusion, FusionConfig, fit, turn
from recommender.engine.errors import InvalidConfig, NoData

N = 300


def random_unit(seed: int, n: int = N, d: int = 12) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32))


def clustered(seed: int, groups: np.ndarray, noise: float = 0.3, d: int = 12) -> np.ndarray:
    """Vectors near those of their group's others."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(int(groups.max()) + 1, d))
    return unit((centres[groups] + noise * rng.normal(size=(len(groups), d))).astype(np.float32))


def alone(fusion: Fusion, modality: str, vectors: np.ndarray) -> np.ndarray:
    return turn(vectors, fusion.arrays[f"{modality}/mean"], fusion.arrays[f"{modality}/turn"])


def test_cosine_is_the_mean_over_the_modalities_where_both_have_the_same() -> None:
    parts = {"text": random_unit(1), "image": random_unit(2, d=5)}
    fusion = fit(parts)
    fused = fusion.fuse(parts)
    text, image = alone(fusion, "text", parts["text"]), alone(fusion, "image", parts["image"])
    np.testing.assert_allclose(fused @ fused.T, (text @ text.T + image @ image.T) / 2, atol=1e-5)
    assert fused.shape == (N, fusion.dimension) and fused.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(fused, axis=1), 1, atol=1e-5)


def test_one_that_lacks_a_modality_is_compared_by_the_other_and_less_like() -> None:
    parts = {"text": random_unit(1), "image": random_unit(2)}
    fusion = fit(parts)
    bare = {**parts, "image": np.where(np.arange(N)[:, None] < 10, 0, parts["image"]).astype(np.float32)}
    fused = fusion.fuse(bare)
    text = alone(fusion, "text", parts["text"])
    np.testing.assert_allclose(fused[:10] @ fused[:10].T, text[:10] @ text[:10].T, atol=1e-5)  # both have text only
    np.testing.assert_allclose(fused[:10] @ fused[10:].T, text[:10] @ text[10:].T * 0.5 / np.sqrt(0.5), atol=1e-5)
    assert not fusion.fuse({m: np.zeros_like(v) for m, v in parts.items()}).any()


def test_a_modality_left_out_is_lacked_by_all() -> None:
    parts = {"text": random_unit(1), "image": random_unit(2)}
    fusion = fit(parts)
    nothing = {"text": parts["text"], "image": np.zeros_like(parts["image"])}
    np.testing.assert_array_equal(fusion.fuse({"text": parts["text"]}), fusion.fuse(nothing))
    assert fusion.fuse({}).shape == (0, fusion.dimension)


def test_a_fresh_item_is_fused_as_it_would_have_been_among_the_others() -> None:
    parts = {"text": random_unit(1), "image": random_unit(2)}
    fusion = fit(parts)
    one = fusion.fuse({m: vectors[7:8] for m, vectors in parts.items()})
    np.testing.assert_allclose(one[0], fusion.fuse(parts)[7], atol=1e-6)


def test_what_all_share_says_nothing() -> None:
    """Sentence vectors all point somewhat the same way; once they are centred, groups stand apart."""
    groups = np.arange(N) % 3
    vectors = unit(clustered(3, groups) + np.float32(2.0))
    cosines = fit({"text": vectors}).fuse({"text": vectors})
    cosines = cosines @ cosines.T
    same = groups[:, None] == groups[None, :]
    assert (vectors @ vectors.T)[~same].mean() > 0.5
    assert cosines[~same].mean() < 0 and cosines[same].mean() > 0.5


@pytest.mark.parametrize(("right", "wrong"), [("image", "text"), ("text", "image")])
def test_weights_follow_what_is_taken_together(right: str, wrong: str) -> None:
    groups = np.arange(N) % 10
    parts = {right: clustered(4, groups, 0.6), wrong: random_unit(5)}
    rng = np.random.default_rng(6)
    left = rng.integers(0, N, 400)
    pairs = np.stack((left, (left + 10 * rng.integers(1, N // 10, 400)) % N), axis=1).astype(np.int32)
    fusion = fit(parts, pairs)
    assert fusion.facts["weights"][right] > 0.7
    assert fusion.facts["mrr"][right] > 4 * fusion.facts["mrr"][wrong]
    assert fusion.facts["mrr"]["chosen"] > fusion.facts["mrr"]["equal"]
    assert sum(fusion.facts["weights"].values()) == pytest.approx(1)


def test_pairs_by_chance_leave_weights_as_they_are() -> None:
    parts = {"text": random_unit(1), "image": random_unit(2)}
    few = np.zeros((MIN_PAIRS - 1, 2), dtype=np.int32)
    assert fit(parts, few).facts["weights"] == {"text": 0.5, "image": 0.5}
    assert fit(parts).facts["whitens"] == {"text": 0.0, "image": 0.0}


def test_whitening_is_chosen_where_loud_axes_hide_what_matters() -> None:
    groups = np.arange(N) % 30
    quiet = clustered(7, groups, 0.05, 8)
    loud = np.random.default_rng(8).normal(size=(N, 2)).astype(np.float32) * 3
    left = np.arange(N)
    pairs = np.stack((left, (left + 30) % N), axis=1).astype(np.int32)
    fusion = fit({"text": unit(np.concatenate((quiet, loud), axis=1))}, pairs)
    assert fusion.facts["whitens"]["text"] > 0


def test_dimension_is_bounded_and_axes_are_those_of_most_variance() -> None:
    vectors = random_unit(1, d=20) * np.linspace(1, 0.01, 20, dtype=np.float32)
    fusion = fit({"text": vectors}, config=FusionConfig(dimension=4))
    assert fusion.dimension == 4
    strongest = np.abs(fusion.arrays["text/turn"]).argmax(axis=0)
    assert set(strongest) <= set(range(6))


def test_same_input_same_bytes() -> None:
    parts = {"text": random_unit(1), "image": random_unit(2)}
    pairs = np.random.default_rng(1).integers(0, N, (200, 2)).astype(np.int32)
    first, second = fit(parts, pairs), fit(parts, pairs)
    assert first.facts == second.facts
    for key, array in first.arrays.items():
        np.testing.assert_array_equal(array, second.arrays[key])


def test_modalities_that_say_nothing_are_left_out() -> None:
    same = np.tile(random_unit(1, 1), (N, 1))
    single = np.zeros((N, 4), dtype=np.float32)
    single[0] = 0.5
    assert list(fit({"text": random_unit(1), "image": same, "audio": single}).modalities) == ["text"]
    with pytest.raises(NoData):
        fit({"image": same, "audio": single})


@pytest.mark.parametrize("values", [{"dimension": 0}, {"whiten": 1.5}])
def test_settings_are_checked(values: dict[str, float]) -> None:
    with pytest.raises(InvalidConfig):
        FusionConfig(**values)  # type: ignore[arg-type]
