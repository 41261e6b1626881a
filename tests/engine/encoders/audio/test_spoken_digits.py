"""Real voices: a digit is found among other speakers' recordings (Jackson et al., Free Spoken Digit Dataset)."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from recommender.engine.data import sounds
from recommender.engine.data.sounds import Sound
from recommender.engine.encoders import encoder, make_config
from recommender.engine.options import Options

TAKES = 3  # of each digit and speaker
CHANCE = 0.1


@pytest.fixture(scope="module")
def recordings() -> tuple[list[Sound], np.ndarray, np.ndarray]:
    path = Path(os.environ.get("RECSITE_DATA", "")) / "spoken-digits" / "recordings.zip"
    if not os.environ.get("RECSITE_DATA") or not path.is_file():
        pytest.skip("RECSITE_DATA names no folder with spoken-digits")
    with zipfile.ZipFile(path) as archive:
        names = [Path(name).stem.split("_") for name in archive.namelist()]
        kept = [parts for parts in names if int(parts[2]) < TAKES]
        found = [sounds.read(archive.read("_".join(parts) + ".wav")) for parts in kept]
    return found, np.array([parts[0] for parts in kept]), np.array([parts[1] for parts in kept])


@pytest.mark.parametrize(("name", "least"), [("mfcc", 0.55), ("spectrogram", 0.6)])
def test_a_digit_is_found_in_another_voice(
    name: str, least: float, recordings: tuple[list[Sound], np.ndarray, np.ndarray]
) -> None:
    spoken, digits, speakers = recordings
    assert len(spoken) == 6 * 10 * TAKES
    config, kind = make_config("audio", name, {}), encoder("audio", name)
    vectors = kind.open(kind.fit(spoken, config, Options()), config).encode(spoken)
    cosines = np.where(speakers[:, None] == speakers[None, :], -2, vectors @ vectors.T)
    assert (digits[cosines.argmax(axis=1)] == digits).mean() > least > CHANCE
