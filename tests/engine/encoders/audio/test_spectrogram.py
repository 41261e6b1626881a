import numpy as np
import pytest

from recommender.engine.encoders import encoder, make_config
from recommender.engine.encoders.audio.spectrogram import SpectrogramConfig, SpectrogramEncoder, pyramid
from recommender.engine.errors import InvalidConfig
from recommender.engine.options import Options
from tests.engine.encoders.audio.contract import AudioContract
from tests.engine.encoders.audio.sounds import VARIED, worlds


class TestSpectrogram(AudioContract):
    name = "spectrogram"


def test_a_word_is_nearest_to_itself_in_another_voice() -> None:
    sounds, words, voices = worlds()
    arrays = SpectrogramEncoder.fit(sounds, SpectrogramConfig(), Options())
    vectors = SpectrogramEncoder.open(arrays, SpectrogramConfig()).encode(sounds)
    cosines = np.where(voices[:, None] == voices[None, :], -2, vectors @ vectors.T)
    assert (words[cosines.argmax(axis=1)] == words).mean() > 0.9  # by chance 0.25


def test_loudness_and_silence_around_it_change_little() -> None:
    opened = SpectrogramEncoder.open(
        SpectrogramEncoder.fit(VARIED, SpectrogramConfig(), Options()), SpectrogramConfig()
    )
    around = [np.concatenate([np.zeros(4000), 0.2 * sound, np.zeros(8000)]).astype(np.float32) for sound in VARIED[:2]]
    plain, changed = opened.encode(VARIED[:2]), opened.encode(around)
    assert (np.einsum("nd,nd->n", plain, changed) > 0.9).all()


@pytest.mark.parametrize("count", [0, 1])
def test_it_works_where_there_is_nothing_to_learn_from(count: int) -> None:
    arrays = SpectrogramEncoder.fit(VARIED[:count], SpectrogramConfig(), Options())
    vectors = SpectrogramEncoder.open(arrays, SpectrogramConfig()).encode(VARIED)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("values", [{"dimension": 1}, {"dimension": 505}, {"whitening": 1.5}, {"timbre": 0}])
def test_settings_that_make_no_sense_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(InvalidConfig, match="must be"):
        make_config("audio", "spectrogram", values)


def test_whitened_directions_vary_alike() -> None:
    sounds, _, _ = worlds()
    config = SpectrogramConfig(dimension=8, whitening=1.0)
    arrays = encoder("audio", "spectrogram").fit(sounds, config, Options())
    told = np.stack([pyramid(sound, config.timbre) for sound in sounds])
    spread = (told - arrays["mean"]) @ arrays["directions"]
    np.testing.assert_allclose(np.cov(spread.T, bias=True), np.eye(8), atol=1e-2)
