"""The synthesised records: sleeves that differ, sound that is clean, and genres that can be told apart."""

import wave
from collections import Counter
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from recommender.folio.records import (
    COMPOSERS,
    RECORDS_PER_GENRE,
    STYLES,
    SUBJECTS,
    Record,
    catalogue,
    synthesise,
    write_wav,
)

RATE_HZ = 22050
HOP = 256
Sounds = dict[str, list[tuple[Record, NDArray[np.float32]]]]


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return catalogue()


@pytest.fixture(scope="module")
def sounds(records: list[Record]) -> Sounds:
    """The first three records of each genre, at their full length."""
    return {genre: [(r, synthesise(r)) for r in records if r.genre == genre][:3] for genre in STYLES}


def magnitudes(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Short-time spectrum, shape (frames, 513)."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, 1024)[::HOP]
    spectra: NDArray[np.float64] = np.abs(np.fft.rfft(frames * np.hanning(1024), axis=1))
    return spectra


def onset_envelope(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """How much louder the spectrum grows from frame to frame, shape (frames - 1,)."""
    growth = np.diff(np.log1p(10 * magnitudes(samples)), axis=0)
    return np.asarray(np.maximum(growth, 0).sum(axis=1))


def onsets_per_s(samples: NDArray[np.float32]) -> float:
    envelope = onset_envelope(samples)
    middle = envelope[1:-1]
    peaks = (middle > envelope[:-2]) & (middle >= envelope[2:]) & (middle > 2 * np.median(envelope))
    return float(peaks.sum() * RATE_HZ / len(samples))


def centroid_hz(samples: NDArray[np.float32]) -> float:
    spectrum = magnitudes(samples).sum(axis=0)
    return float(np.sum(spectrum * np.fft.rfftfreq(1024, 1 / RATE_HZ)) / np.sum(spectrum))


def dominant_tempo_bpm(samples: NDArray[np.float32]) -> float:
    """Strongest period of the onset envelope between 90 and 180 beats a minute."""
    envelope = onset_envelope(samples)
    envelope = envelope - envelope.mean()
    similarity = np.correlate(envelope, envelope, "full")[len(envelope) - 1 :]
    frames_per_minute = 60 * RATE_HZ / HOP
    low, high = int(frames_per_minute / 180), int(frames_per_minute / 90) + 1
    peak = low + int(np.argmax(similarity[low:high]))
    before, at, after = similarity[peak - 1 : peak + 2]
    return float(frames_per_minute / (peak + 0.5 * (before - after) / (before - 2 * at + after)))


def test_catalogue_is_deterministic_and_complete(records: list[Record]) -> None:
    assert records == catalogue()
    assert records != catalogue(seed=12)
    assert [r.item_id for r in records] == [f"record-{n:03d}" for n in range(1, 121)]
    assert Counter(r.genre for r in records) == dict.fromkeys(STYLES, RECORDS_PER_GENRE)
    assert STYLES.keys() == COMPOSERS.keys()


def test_sleeves_differ(records: list[Record]) -> None:
    for field in ("title", "description"):
        assert len({getattr(r, field) for r in records}) == len(records)
    for genre in STYLES:
        openings = Counter(r.description.split()[0] for r in records if r.genre == genre)
        assert max(openings.values()) <= 4, genre
        assert len({r.key for r in records if r.genre == genre}) >= 4, genre


def test_sleeves_are_well_formed(records: list[Record]) -> None:
    for r in records:
        style = STYLES[r.genre]
        assert style.tempo_bpm[0] <= r.tempo_bpm <= style.tempo_bpm[1]
        assert 1962 <= style.since <= r.year <= 2024
        assert Decimal(14) <= r.price <= Decimal(42)
        assert 2 <= len(r.subjects) == len(set(r.subjects)) <= 3
        assert set(r.subjects) <= SUBJECTS.keys()
        assert r.artist in style.artists
        assert r.description.count(". ") == 1 and r.description.endswith(".")
        assert f"{r.tempo_bpm} b" in r.description and "{" not in r.title + r.description


def test_artists_keep_to_one_or_two_genres(records: list[Record]) -> None:
    pairs = Counter(artist for artist, _ in {(r.artist, r.genre) for r in records})
    assert max(pairs.values()) <= 2
    assert 25 <= len(pairs) <= 40


def test_synthesis_is_deterministic_and_individual(records: list[Record]) -> None:
    for record, cousin in zip(records[:10], records[10:20], strict=True):
        samples = synthesise(record, duration_s=1.5)
        assert np.array_equal(samples, synthesise(record, duration_s=1.5))
        assert not np.allclose(samples, synthesise(cousin, duration_s=1.5), atol=0.05)


def test_every_record_sounds(records: list[Record]) -> None:
    for record in records:
        samples = synthesise(record, duration_s=1.0)
        assert samples.dtype == np.float32 and samples.shape == (RATE_HZ,)
        assert np.isfinite(samples).all(), record
        assert np.abs(samples).max() == pytest.approx(10 ** (-1 / 20), abs=1e-4)
        assert np.sqrt(np.mean(samples**2)) > 0.1, record


def test_full_length_is_clean(sounds: Sounds) -> None:
    for record, samples in (pair for pairs in sounds.values() for pair in pairs):
        assert len(samples) == 8 * RATE_HZ
        assert np.abs(samples).max() < 1
        assert abs(samples.mean()) < 1e-3, record  # no DC
        assert abs(samples[0]) < 0.01 and abs(samples[-1]) < 0.01, record  # faded, so no click at the ends
        quarters = samples[: len(samples) // 32 * 32].reshape(32, -1)
        assert np.sqrt(np.mean(quarters**2, axis=1)).min() > 0.02, record  # never silent for a quarter second


def test_other_durations_and_rates(records: list[Record]) -> None:
    for record in records[:10]:
        assert synthesise(record, 2.5, 16000).shape == (40000,)


def test_genres_differ_measurably(sounds: Sounds) -> None:
    centroids_hz = {genre: [centroid_hz(s) for _, s in pairs] for genre, pairs in sounds.items()}
    densities = {genre: [onsets_per_s(s) for _, s in pairs] for genre, pairs in sounds.items()}
    assert min(centroids_hz["drum-and-bass"]) > 1.5 * max(centroids_hz["ambient"])
    assert min(densities["drum-and-bass"]) > 4 + max(densities["ambient"])
    assert min(densities["chiptune"]) > max(densities["waltz"])
    assert min(centroids_hz["chiptune"]) > max(centroids_hz["bossa-nova"])


def test_house_keeps_its_tempo(sounds: Sounds) -> None:
    for record, samples in sounds["house"]:
        assert dominant_tempo_bpm(samples) == pytest.approx(record.tempo_bpm, rel=0.02), record


def test_wav_reads_back(records: list[Record], tmp_path: Path) -> None:
    samples = synthesise(records[4], duration_s=1.0)
    path = tmp_path / "record.wav"
    write_wav(path, samples, RATE_HZ)
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE_HZ)
        pcm = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    assert np.abs(pcm / 32767 - samples).max() <= 0.5 / 32767 + 1e-6
