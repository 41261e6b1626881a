import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from recommender.engine.errors import NoData
from recommender.engine.opinion import ngrams, sentiment

GOOD = ["lovely", "superb", "delightful", "charming", "bright", "warm"]
BAD = ["dreadful", "dull", "broken", "tedious", "grim", "cold"]
PLAIN = ["plot", "paper", "this", "edition", "a", "chapter", "of", "it", "and", "its", "cover"]


def reviews(count=400, noise=0.0, seed=0):
    """Texts of plain words and two that praise or fault; `noise` of them say the opposite of what they are told as."""
    random = np.random.default_rng(seed)
    liked = random.random(count) < 0.6
    said = liked ^ (random.random(count) < noise)
    texts = []
    for good in said:
        words = [*random.choice(PLAIN, 5), *random.choice(GOOD if good else BAD, 2)]
        texts.append(" ".join(random.permutation(words)))
    return texts, liked


def vectors(texts, dimension=16, seed=5):
    """A fixed vector for each word, summed."""
    random = np.random.default_rng(seed)
    table = {word: random.normal(size=dimension) for word in (*GOOD, *BAD, *PLAIN)}
    return np.array([sum(table[word] for word in text.split()) for text in texts], dtype=np.float32)


@pytest.mark.parametrize("dimension", [0, 16])
def test_praise_is_told_from_blame(dimension):
    texts, liked = reviews()
    found = sentiment.fit(texts, vectors(texts, dimension).reshape(len(texts), dimension), liked)
    assert found.facts["accuracy"] > 0.98 and found.facts["held"] == 80
    asked, truth = reviews(seed=9)
    sure = sentiment.judge(found.arrays, asked, vectors(asked, dimension).reshape(len(asked), dimension))
    assert sure.dtype == np.float32 and ((sure > 0.5) == truth).mean() > 0.98


def test_a_probability_means_what_it_says():
    """A fifth of the texts are told wrong, so that nobody can be surer than .8."""
    texts, liked = reviews(2000, noise=0.2)
    found = sentiment.fit(texts, vectors(texts), liked)
    asked, truth = reviews(3000, noise=0.2, seed=9)
    sure = sentiment.judge(found.arrays, asked, vectors(asked))
    measured = sentiment.measures(sure, truth)
    assert measured["calibration_error"] < 0.06
    assert abs(measured["accuracy"] - 0.8) < 0.04
    assert found.facts["calibration_error"] < 0.1
    overconfident = np.where(sure > 0.5, 0.99, 0.01)
    assert sentiment.measures(overconfident, truth)["log_loss"] > 1.5 * measured["log_loss"]


def test_texts_that_do_both_are_in_the_middle():
    good, bad = "lovely superb", "dreadful dull"
    texts = [good, bad, f"{good} {bad}"] * 60
    praise = np.array([1.0, 0.0, 0.5] * 60)
    found = sentiment.fit(texts, np.zeros((180, 0), np.float32), praise)
    high, low, middle = sentiment.judge(found.arrays, texts[:3], np.zeros((3, 0), np.float32))
    assert high > 0.85 and low < 0.15 and 0.35 < middle < 0.65
    assert found.facts["held"] == 24, "accuracy is of those that say one thing"


def test_the_same_again_and_too_few():
    texts, liked = reviews(120)
    first, second = (sentiment.fit(texts, vectors(texts), liked) for _ in range(2))
    for key, array in first.arrays.items():
        np.testing.assert_array_equal(second.arrays[key], array)
    with pytest.raises(NoData, match="20 texts that praise"):
        sentiment.fit(texts, vectors(texts), np.ones(120, dtype=bool))


def test_nothing_is_judged_by_what_learned_from_it():
    """Six texts are told as the opposite of what they say: whoever learned from them remembers."""
    texts, liked = reviews(300)
    others, said = reviews(40, seed=77)
    texts += [text for text, good in zip(others, said, strict=True) if good][:6]
    praise = np.append(liked, np.zeros(6)).astype(float)
    folds = np.arange(306) % 3
    empty = np.zeros((306, 0), np.float32)
    found = sentiment.fit_folds(texts, empty, praise, folds)
    assert set(found.arrays) == {f"fold{k}/{name}" for k in range(3) for name in ("vectors", "ngrams", "joined")}
    assert 0.95 < found.facts["accuracy"] < 1
    sure = sentiment.judge_folds(found.arrays, texts, empty, folds)
    assert sure[-6:].mean() > 0.7
    remembered = sentiment.judge(sentiment.fit(texts, empty, praise).arrays, texts[-6:], empty[-6:])
    assert remembered.mean() < sure[-6:].mean() - 0.1


def test_any_text_can_be_judged():
    texts, liked = reviews(120)
    found = sentiment.fit(texts, np.zeros((120, 0), np.float32), liked)
    odd = ["", "   ", "🎉🎉", "漢字", "lovely " * 50_000, "<script>"]
    sure = sentiment.judge(found.arrays, odd, np.zeros((len(odd), 0), np.float32))
    assert np.isfinite(sure).all() and ((sure >= 0) & (sure <= 1)).all()


def test_calibration_error_by_hand():
    found = np.array([0.95, 0.95, 0.15, 0.15])
    assert sentiment.calibration_error(found, np.array([True, True, False, False])) == pytest.approx(0.1)
    assert sentiment.calibration_error(np.array([1.0, 0.0]), np.array([True, False])) == 0
    assert sentiment.calibration_error(np.array([1.0, 0.0]), np.array([False, True])) == 1


def test_columns_are_the_same_everywhere_and_whatever_the_case():
    assert ngrams.columns("Not GOOD") == ngrams.columns("not good") == sorted(set(ngrams.columns("not good")))
    assert len(ngrams.columns("not good at all")) == 4 + 3 + 2
    assert set(ngrams.columns("not good")) - set(ngrams.columns("good not")), "the order tells"
    assert ngrams.columns("good") == [20114], "what was learned is kept by these numbers"
    assert ngrams.tokens("It isn’t “good”!") == ["it", "isn't", "good", "!"]


def test_words_alone_on_real_sentences():
    """SST-2: naive-Bayes logistic regression over n-grams reached .79 on its validation part."""
    folder = os.environ.get("RECSITE_DATA")
    if not folder or not (Path(folder) / "sst2").is_dir():
        pytest.skip("RECSITE_DATA has no sst2")

    def part(name):
        with gzip.open(Path(folder) / "sst2" / f"{name}.tsv.gz", "rt", encoding="utf-8") as lines:
            rows = [line.rstrip("\n").rsplit("\t", 1) for line in lines]
        return [text for text, _ in rows], np.array([label == "1" for _, label in rows])

    texts, liked = part("train")
    weights = ngrams.fit(texts, liked)
    asked, truth = part("dev")
    assert ((ngrams.scores(weights, asked) > 0) == truth).mean() > 0.78
