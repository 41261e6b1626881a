import numpy as np
import pytest

from recommender.engine.encoders import encoder, make_config
from recommender.engine.encoders.text.hashing import Hashing, HashingConfig
from recommender.engine.encoders.text.words import WORDS, clean, words
from recommender.engine.errors import InvalidConfig
from recommender.engine.options import Options
from tests.engine.encoders.text.contract import TextContract


class TestHashing(TextContract):
    name = "hashing"


def test_words_in_common_bring_near_and_so_do_parts_of_words() -> None:
    lamp, lamps, garden, sea = Hashing(HashingConfig()).encode(
        ["a brass lamp", "two brass lamps", "brass garden lamp", "charts of the northern sea"]
    )
    assert lamp @ garden > 0.5 > abs(lamp @ sea)
    assert lamp @ lamps > 0.5
    whole = Hashing(HashingConfig(gram=0)).encode(["candle", "candles"])
    assert abs(whole[0] @ whole[1]) < 1e-6


def test_inner_products_are_right_on_average() -> None:
    """Weinberger's first lemma: over many pairs of texts, what falls onto one place cancels out. Half of each text's
    twenty words are in the other, so the cosine is a half."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(200):
        said = [f"w{number}" for number in rng.choice(10**6, 30, replace=False)]
        a, b = Hashing(HashingConfig(dimension=64, gram=0)).encode([" ".join(said[:20]), " ".join(said[10:])])
        found.append(a @ b)
    assert np.mean(found) == pytest.approx(0.5, abs=0.03)
    assert np.std(found) > 0.03


def test_repeating_a_word_counts_less_each_time() -> None:
    one, many, other = Hashing(HashingConfig(gram=0)).encode(["lamp oak", "lamp oak oak oak oak", "oak"])
    assert one @ other == pytest.approx(2**-0.5, abs=1e-3)
    assert many @ other == pytest.approx((1 + np.log(4)) / np.hypot(1, 1 + np.log(4)), abs=1e-3)


def test_what_it_hashes_to_never_changes() -> None:
    """Vectors that were stored by one version must be comparable with what a later one encodes."""
    found = Hashing(HashingConfig(dimension=8)).encode(["Brass lantern, £5"])[0]
    np.testing.assert_allclose(found, PINNED, atol=1e-4)


PINNED = np.array([2, 0, 1, 1, 3, -1, -4, 1]) / 33**0.5


def test_words() -> None:
    assert words("Don't PANIC_now: ﬁne—fine 20cm!") == ["don't", "panic", "now", "fine", "fine", "20cm"]
    assert words("🎉 party") == ["party", "🎉"]
    assert words("हिन्दी किताब") == ["हिन्दी", "किताब"]
    assert words("Éclair e\u0301clair") == ["éclair", "éclair"]
    assert words("青い陶器のcup 茶") == ["青い", "い陶", "陶器", "器の", "cup", "茶"]
    assert words("\ufffd . , --") == []
    assert len(words("a " * 50_000)) == WORDS
    assert clean("a\x00b\ud800") == "a b\ufffd"


@pytest.mark.parametrize("values", [{"dimension": 1}, {"dimension": 64.0}, {"gram": -1}, {"gram_weight": float("nan")}])
def test_settings_are_checked(values: dict[str, float]) -> None:
    with pytest.raises(InvalidConfig, match=next(iter(values))):
        make_config("text", "hashing", values)


def test_an_empty_catalogue_is_fine() -> None:
    assert encoder("text", "hashing").fit([], HashingConfig(), Options())
