import numpy as np
import pytest

from recommender.engine.encoders import encoder, make_config
from recommender.engine.encoders.audio.mfcc import MfccConfig, MfccEncoder
from recommender.engine.errors import InvalidConfig
from recommender.engine.options import Options
from tests.engine.encoders.audio.contract import AudioContract
from tests.engine.encoders.audio.sounds import VARIED, worlds


class TestMfcc(AudioContract):
    name = "mfcc"


def test_a_word_is_nearest_to_itself_in_another_voice() -> None:
    sounds, words, voices = worlds()
    arrays = MfccEncoder.fit(sounds, MfccConfig(), Options())
    vectors = MfccEncoder.open(arrays, MfccConfig()).encode(sounds)
    cosines = np.where(voices[:, None] == voices[None, :], -2, vectors @ vectors.T)
    assert (words[cosines.argmax(axis=1)] == words).mean() > 0.9  # by chance 0.25


def test_loudness_and_silence_around_it_change_little() -> None:
    opened = MfccEncoder.open(MfccEncoder.fit(VARIED, MfccConfig(), Options()), MfccConfig())
    around = [np.concatenate([np.zeros(4000), 0.2 * sound, np.zeros(8000)]).astype(np.float32) for sound in VARIED[:2]]
    plain, changed = opened.encode(VARIED[:2]), opened.encode(around)
    assert (np.einsum("nd,nd->n", plain, changed) > 0.9).all()


@pytest.mark.parametrize("count", [0, 1])
def test_it_works_where_there_is_nothing_to_learn_from(count: int) -> None:
    arrays = MfccEncoder.fit(VARIED[:count], MfccConfig(), Options())
    vectors = MfccEncoder.open(arrays, MfccConfig()).encode(VARIED)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("values", [{"coefficients": 1}, {"coefficients": 65}, {"parts": 0}, {"parts": 2.5}])
def test_settings_that_make_no_sense_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(InvalidConfig, match="must be"):
        make_config("audio", "mfcc", values)


def test_parts_know_the_order_of_things() -> None:
    for parts, alike in ((6, False), (1, True)):
        config = MfccConfig(parts=parts)
        opened = encoder("audio", "mfcc").open(MfccEncoder.fit([], config, Options()), config)
        there, back = opened.encode([VARIED[0], np.ascontiguousarray(VARIED[0][::-1])])
        assert (there @ back > 0.99) == alike
