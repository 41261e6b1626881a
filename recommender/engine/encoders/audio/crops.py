"""Sounds of any length as spectrograms of one size, which is what a network sees of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.sounds import RATE, Sound
from recommender.engine.encoders.audio import features

BANDS, FRAMES = 32, 48  # M and F of a crop
SPAN_DB = 50.0  # below the loudest moment, all is silence: recordings differ in what lies there
_TOP = 15 + 27 * np.log(RATE / 2 / 1000) / np.log(6.4)  # mels at RATE / 2
_SHARE = features.BANDS / BANDS  # bands of `features` to one of these


def crops(sound: Sound, crop_s: float) -> NDArray[np.float32]:
    """(n, M, F) in bels: the sound without the silence around it in n equal pieces of `crop_s` at most, each stretched
    to F frames, so that a word said slowly is the word said fast.
    """
    bands = features.log_mel(sound)
    bands = np.maximum(bands, bands.max() - SPAN_DB) / 10
    heard = features.stretched(bands[features.active(bands * 10)].T, BANDS).T
    count = max(1, int(np.ceil(len(heard) * features.HOP / RATE / crop_s)))
    return np.stack([features.stretched(piece, FRAMES).T for piece in np.array_split(heard, count)])


def hertz_of(bands: NDArray[Any]) -> NDArray[np.float64]:
    """Where band 0, 1... of a crop has its middle; between bands, too."""
    fine = (np.asarray(bands) + 0.5) * _SHARE - 0.5
    return features.to_hertz((fine + 1) / (features.BANDS + 1) * _TOP)


def band_at(hertz: Any) -> Any:
    """The reverse of `hertz_of`, for torch's tensors."""
    mels = hertz * 3 / 200
    above = 15 + 27 * (hertz.clamp(min=1000.0) / 1000).log() / np.log(6.4)
    fine = mels.where(hertz < 1000, above) / _TOP * (features.BANDS + 1) - 1
    return (fine + 0.5) / _SHARE - 0.5
