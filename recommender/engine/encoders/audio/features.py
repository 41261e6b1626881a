"""What a sound looks like to an ear: spectra, mel bands and cepstra, in NumPy.

The figures are librosa's (McFee et al. 2015) with its defaults: centred Hann windows, Slaney's mel scale with bands of
equal area, decibels, an orthonormal DCT-II. docs/decisions/0010 says why librosa itself is not used.

F frames, M bands below.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.sounds import RATE, Sound

HOP = 160  # samples between frames: 10 ms
WINDOW = 400  # samples that a frame hears: 25 ms
FFT = 512
BANDS = 64
QUIETEST = 1e-10  # power: -100 dB, the least that a band holds
RANGE_DB = 80.0  # below the loudest moment, all is silence
SILENT = 1e-4  # full scale is 1: a sound whose loudest sample is below this says nothing (-80 dB)

Floats = NDArray[np.float32]


def silent(sound: Sound) -> bool:
    """Whether nothing can be heard: no sample differs from their mean by SILENT."""
    return not len(sound) or float(np.abs(sound - sound.mean()).max()) < SILENT


def power(sound: Sound) -> Floats:
    """(F, FFT / 2 + 1) = |STFT|^2 with F = 1 + T // HOP; beyond its ends the sound is silence."""
    padded = np.pad(np.asarray(sound, dtype=np.float32), FFT // 2)
    padded = np.pad(padded, (0, max(0, FFT - len(padded))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT)[::HOP]
    spectrum = np.fft.rfft(frames * _window(), axis=1)
    return np.asarray(spectrum.real**2 + spectrum.imag**2, dtype=np.float32)


def mel(sound: Sound, bands: int = BANDS) -> Floats:
    """(F, M): power in mel bands from 0 to RATE / 2 Hz."""
    result: Floats = power(sound) @ filters(bands).T
    return result


def decibels(bands: NDArray[Any]) -> Floats:
    """10 log10 of power, no lower than RANGE_DB below its own maximum."""
    found = 10 * np.log10(np.maximum(bands, QUIETEST))
    return np.asarray(np.maximum(found, found.max() - RANGE_DB), dtype=np.float32)


def log_mel(sound: Sound, bands: int = BANDS) -> Floats:
    """(F, M): mel bands in decibels."""
    return decibels(mel(sound, bands))


def cepstra(log_bands: Floats, coefficients: int) -> Floats:
    """(F, C): the first coefficients of an orthonormal DCT-II over the bands; of `log_mel`, they are the MFCC."""
    result: Floats = log_bands @ _cosines(log_bands.shape[1])[:coefficients].T
    return result


def deltas(frames: Floats, reach: int = 4) -> Floats:
    """(F, C): slope of each column by least squares over `reach` frames to each side; the ends repeat."""
    weights = np.arange(-reach, reach + 1, dtype=np.float32)
    weights /= (weights**2).sum()
    padded = np.pad(frames, ((reach, reach), (0, 0)), mode="edge")
    result: Floats = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=0) @ weights
    return result


def active(log_bands: Floats, below_db: float = 40.0) -> slice:
    """The frames from the first to the last that is less than `below_db` under the loudest."""
    loudness = decibels((10 ** (log_bands.astype(np.float64) / 10)).sum(axis=1))
    loud = np.flatnonzero(loudness > loudness.max() - below_db)
    return slice(int(loud[0]), int(loud[-1]) + 1)


def stretched(frames: Floats, length: int) -> Floats:
    """(length, M): the same in another number of frames: each is the mean over its share of time, between frames by
    straight lines."""
    total = np.concatenate([np.zeros((1, frames.shape[1])), np.cumsum(frames, axis=0, dtype=np.float64)])
    edges = np.linspace(0, len(frames), length + 1)
    low = np.minimum(edges.astype(np.int64), len(frames) - 1)
    at = total[low] + (edges - low)[:, None] * (total[low + 1] - total[low])
    return np.asarray(np.diff(at, axis=0) * (length / len(frames)), dtype=np.float32)


@lru_cache(maxsize=8)
def filters(bands: int = BANDS) -> Floats:
    """(M, FFT / 2 + 1): triangles evenly spaced on Slaney's mel scale, each of area 1."""
    bins = np.linspace(0, RATE / 2, FFT // 2 + 1)
    edges = to_hertz(np.linspace(0, float(to_mels(np.array(RATE / 2))), bands + 2))
    widths = np.diff(edges)
    ramps = edges[:, None] - bins[None, :]
    rising, falling = -ramps[:-2] / widths[:-1, None], ramps[2:] / widths[1:, None]
    found = np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    return np.asarray(found, dtype=np.float32)


def to_mels(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slaney's scale (Auditory Toolbox, 1998): 15 mels to 1 kHz in a line, then 27 to each factor of 6.4."""
    return np.where(hertz < 1000, hertz * 3 / 200, 15 + 27 * np.log(np.maximum(hertz, 1000) / 1000) / np.log(6.4))


def to_hertz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mels < 15, mels * 200 / 3, 1000 * 6.4 ** ((np.maximum(mels, 15) - 15) / 27))


@lru_cache(maxsize=1)
def _window() -> Floats:
    """A periodic Hann window of WINDOW samples amid FFT."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    return np.asarray(np.pad(hann, (FFT - WINDOW) // 2), dtype=np.float32)


@lru_cache(maxsize=8)
def _cosines(bands: int) -> Floats:
    """(M, M): row k is the k-th cosine over the bands."""
    found = np.cos(np.pi * np.arange(bands)[:, None] * (np.arange(bands)[None, :] + 0.5) / bands) * np.sqrt(2 / bands)
    found[0] /= np.sqrt(2)
    return np.asarray(found, dtype=np.float32)
