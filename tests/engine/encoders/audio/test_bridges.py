import numpy as np
import pytest

from recommender.engine.encoders.audio import bridges as module
from recommender.engine.encoders.audio.bridges import background, bridges
from tests.engine.encoders.audio.sounds import VARIED, glide, noise


@pytest.mark.parametrize("block", [7, 512])
def test_the_same_word_in_another_room_is_found(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    random = np.random.default_rng(0)
    words, rooms = np.tile(np.arange(2), 24), np.repeat(np.arange(4), 12)
    # In the same room all words are near each other.
    said = 2 * np.eye(8)[4 + rooms] + np.eye(8)[words] + 0.05 * random.standard_normal((48, 8))
    heard = np.eye(4)[rooms] * [1.0, 1.1, 1.2, 1.3] + 0.01 * random.standard_normal((48, 4))
    found = bridges(said.astype(np.float32), heard.astype(np.float32))
    assert len(found) == 48
    pairs = [(row, other) for row, others in enumerate(found) for other in others]
    assert len(pairs) > 40
    assert all(words[row] == words[other] and rooms[row] != rooms[other] for row, other in pairs)
    assert set(pairs) == {(other, row) for row, other in pairs}


def test_recordings_of_one_kind_have_no_bridges() -> None:
    said = np.random.default_rng(1).standard_normal((20, 6)).astype(np.float32)
    assert not any(len(others) for others in bridges(said, np.full((20, 3), -80, dtype=np.float32)))
    assert [len(others) for others in bridges(said[:1], np.zeros((1, 3), dtype=np.float32))] == [0]


def test_a_background_is_that_of_the_room_and_not_of_what_is_said() -> None:
    hiss = 0.02 * noise(1.0, 5)
    quiet = np.zeros(4000, dtype=np.float32)

    def said(word: np.ndarray, room: np.ndarray) -> np.ndarray:
        sound = np.concatenate([quiet, word, quiet])
        return sound + room[: len(sound)]

    first, second = glide(500, 2500, 0.4), glide(2500, 500, 0.4)
    apart = np.abs(background(said(first, hiss)) - background(said(second, hiss))).mean()
    across = np.abs(background(said(first, hiss)) - background(said(first, 0 * hiss))).mean()
    assert across > 3 * apart
    assert np.isfinite([background(sound) for sound in VARIED]).all()
