from typing import Any

import numpy as np
import pytest

from recommender.engine.encoders import make_config
from recommender.engine.encoders.text.sif import A, WordVectors
from recommender.engine.encoders.text.word2vec import Word2vecEncoder
from recommender.engine.errors import InvalidConfig, NoData
from recommender.engine.options import Options
from tests.engine.encoders.text.contract import TextContract

SMALL = {"dimension": 16, "min_count": 1, "least_words": 2000}


class TestWord2vec(TextContract):
    name = "word2vec"

    @pytest.fixture(scope="class")
    @classmethod
    def config(cls) -> dict[str, Any]:
        return SMALL


SEA = ["sail", "harbour", "wave", "mast", "anchor", "tide", "hull", "rope"]
KITCHEN = ["pan", "oven", "spoon", "whisk", "bowl", "dough", "flour", "salt"]


def two_subjects() -> list[str]:
    """Texts of five words of one subject, beside words that all texts have."""
    rng = np.random.default_rng(0)
    return ["the shop has " + " ".join(rng.permutation([SEA, KITCHEN][row % 2])[:5]) for row in range(200)]


def test_words_of_one_subject_are_near_and_words_of_all_texts_count_for_little() -> None:
    config = make_config("text", "word2vec", {"dimension": 16, "least_words": 20_000, "sample": 0})
    opened = Word2vecEncoder.open(Word2vecEncoder.fit(two_subjects(), config, Options()), config)
    sea, kitchen = opened.encode(SEA), opened.encode(KITCHEN)
    assert min(np.mean(sea @ sea.T), np.mean(kitchen @ kitchen.T)) > 0.5
    assert np.mean(sea @ kitchen.T) < 0
    oven, told = opened.encode(["oven", "the shop has an oven"])
    assert told @ oven > 0.9
    assert not opened.encode(["unheard-of"]).any()


def test_frequent_words_weigh_less_and_the_common_part_is_gone() -> None:
    """Arora et al. 2017, algorithm 1, by hand."""
    config = make_config("text", "word2vec", {**SMALL, "least_words": 0})
    texts = two_subjects()
    arrays = Word2vecEncoder.fit(texts, config, Options())
    opened = Word2vecEncoder.open(arrays, config)
    assert isinstance(opened, WordVectors)
    all_words = " ".join(texts).split()
    means = []
    for text in texts:
        said = text.split()
        weights = [A / (A + all_words.count(word) / len(all_words)) for word in said]
        vectors = [arrays["vectors"][opened.rows[word]] for word in said]
        means.append(np.mean([weight * vector for weight, vector in zip(weights, vectors, strict=True)], axis=0))
    common = np.linalg.svd(np.array(means), full_matrices=False)[2][0]
    expected = means - np.outer(means @ common, common)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(opened.encode(texts), expected, atol=1e-3)


def test_nothing_to_learn_from() -> None:
    config = make_config("text", "word2vec", {})
    with pytest.raises(NoData, match="has a word"):
        Word2vecEncoder.fit(["", "..."], config, Options())
    with pytest.raises(NoData, match="lower min_count"):
        Word2vecEncoder.fit(["each word once"], config, Options())


@pytest.mark.parametrize("values", [{"dimension": 1}, {"sample": 2}, {"epochs": 0}, {"learning_rate": 0}])
def test_settings_are_checked(values: dict[str, float]) -> None:
    with pytest.raises(InvalidConfig, match=next(iter(values))):
        make_config("text", "word2vec", values)
