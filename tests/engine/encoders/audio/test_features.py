"""Against librosa 0.11's figures in librosa.json, which came from a program of six lines:

sound = the one below
mel = librosa.feature.melspectrogram(y=sound, sr=16000, n_fft=512, win_length=400, hop_length=160, n_mels=64)
mfcc = librosa.feature.mfcc(y=sound, sr=16000, n_mfcc=13, n_fft=512, win_length=400, hop_length=160, n_mels=64)
delta = librosa.feature.delta(mfcc, mode="nearest")
log_mel: librosa.power_to_db(mel).T[frames, ::9]; mfcc: mfcc.T[frames]; delta: delta.T[[7, 20]]
"""

import json
from pathlib import Path

import numpy as np
import pytest

from recommender.engine.data.sounds import RATE
from recommender.engine.encoders.audio import features
from tests.engine.encoders.audio.sounds import SILENT, VARIED

TIME = np.arange(4800) / RATE
SOUND = (0.4 * np.sin(2 * np.pi * (200 + 1500 * TIME) * TIME) + 0.05 * np.sin(2 * np.pi * 3000 * TIME)).astype(
    "float32"
)
LIBROSA = json.loads(Path(__file__).with_name("librosa.json").read_text())


def test_figures_are_those_of_librosa() -> None:
    bands = features.log_mel(SOUND)
    cepstra = features.cepstra(bands, 13)
    assert bands.shape == tuple(reversed(LIBROSA["shape"]))
    np.testing.assert_allclose(bands[LIBROSA["frames"], ::9], LIBROSA["log_mel"], atol=1e-3)
    np.testing.assert_allclose(cepstra[LIBROSA["frames"]], LIBROSA["mfcc"], atol=2e-3)
    np.testing.assert_allclose(features.deltas(cepstra)[[7, 20]], LIBROSA["delta"], atol=1e-3)


def test_a_tone_sounds_in_its_band() -> None:
    for hertz in (300, 1000, 3500):
        tone = np.sin(2 * np.pi * hertz * TIME).astype(np.float32)
        loudest = features.mel(tone)[10].argmax()
        assert features.filters()[loudest, round(hertz / RATE * features.FFT)] > 0


def test_power_is_that_of_a_transform_written_out() -> None:
    sound = np.random.default_rng(3).standard_normal(900).astype(np.float32)
    start = 3 * features.HOP - features.FFT // 2
    places = np.arange(features.FFT)
    cut = np.array([sound[start + n] if 0 <= start + n < 900 else 0 for n in places])
    window = np.zeros(features.FFT)
    window[56:456] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    found = [abs((cut * window * np.exp(-2j * np.pi * k * places / features.FFT)).sum()) ** 2 for k in (0, 7, 100, 256)]
    np.testing.assert_allclose(features.power(sound)[3, [0, 7, 100, 256]], found, rtol=1e-3)


def test_silence_around_a_sound_is_left_out() -> None:
    sound = np.concatenate([np.zeros(8000), VARIED[0], np.zeros(4000)]).astype(np.float32)
    found = features.active(features.log_mel(sound))
    assert abs(found.start - 50) <= 4
    assert abs(found.stop - (50 + len(VARIED[0]) // features.HOP)) <= 4


@pytest.mark.parametrize("length", [1, 3, 7, 40])
def test_stretching_keeps_means_and_order(length: int) -> None:
    frames = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)
    found = features.stretched(frames, length)
    assert found.shape == (length, 3)
    np.testing.assert_allclose(found.mean(axis=0), frames.mean(axis=0), atol=1e-5)
    rising = features.stretched(np.arange(7, dtype=np.float32)[:, None], length)
    assert (np.diff(rising[:, 0]) >= -1e-5).all()
    if length == 7:
        np.testing.assert_allclose(found, frames, atol=1e-5)


def test_the_shortest_sounds_have_frames_and_the_silent_are_known() -> None:
    assert [features.silent(sound) for sound in SILENT] == [True] * len(SILENT)
    assert not any(features.silent(sound) for sound in VARIED)
    for length in (1, 100, 600):
        assert np.isfinite(features.log_mel(np.ones(length, dtype=np.float32))).all()
