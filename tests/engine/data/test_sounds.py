from io import BytesIO

import numpy as np
import pytest
import soundfile

from recommender.engine.data import sounds
from recommender.engine.data.sounds import LARGEST_BYTES, RATE, Sound, read, resample, wav
from recommender.engine.errors import Unreadable


def tone(rate: int = RATE, seconds: float = 1.0, hertz: float = 440.0, loudness: float = 0.5) -> Sound:
    return (loudness * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


def filed(sound: np.ndarray, rate: int = RATE, format: str = "WAV", subtype: str | None = None) -> bytes:
    file = BytesIO()
    soundfile.write(file, sound, rate, format=format, subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
@pytest.mark.parametrize(
    ("format", "subtype"),
    [("WAV", "PCM_16"), ("WAV", "ULAW"), ("FLAC", None), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None)],
)
def test_each_format_at_each_rate_is_the_tone_that_was_written(format: str, subtype: str | None, rate: int) -> None:
    found = read(filed(tone(rate), rate, format, subtype))
    assert found.shape == (RATE,)
    assert found.dtype == np.float32
    middle = found[RATE // 4 : RATE * 3 // 4] * np.hanning(RATE // 2)
    spectrum = np.abs(np.fft.rfft(middle))
    assert spectrum.argmax() * 2 == 440
    assert spectrum.max() == pytest.approx(0.5 * RATE / 8, rel=0.15)  # half for the window, half a side
    if format == "FLAC" or subtype == "PCM_16":
        np.testing.assert_allclose(found[400:-400], tone()[400:-400], atol=1e-4)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_099, 44_100, 48_000, 96_000, 192_000])
def test_resampling_keeps_what_both_rates_hold(rate: int) -> None:
    found = resample(tone(rate, 0.5, 1000.0), rate)
    assert len(found) == -(-len(tone(rate, 0.5)) * RATE // rate)
    assert np.abs(found[: RATE // 2] - tone(RATE, 0.5, 1000.0))[400:-400].max() < 5e-5


def test_resampling_takes_out_what_the_lower_rate_cannot_hold() -> None:
    above = resample(tone(48_000, 0.5, 11_000.0), 48_000)
    assert np.abs(above[400:-400]).max() < 1e-4
    assert resample(np.zeros(0, dtype=np.float32), 8_000).shape == (0,)


def test_channels_are_averaged() -> None:
    both = np.stack([tone(), np.zeros(RATE, dtype=np.float32)], axis=1)
    np.testing.assert_allclose(read(filed(both)), tone() / 2, atol=1e-4)
    np.testing.assert_array_equal(read(filed(np.stack([tone()] * 2, axis=1))), read(filed(tone())))


def test_a_clipped_sound_is_accepted() -> None:
    clipped = np.clip(tone(loudness=20.0), -1, 1)
    found = read(filed(clipped))
    assert np.abs(found).max() <= 1
    np.testing.assert_allclose(found, clipped, atol=1e-4)


def test_what_is_louder_than_full_scale_is_turned_down() -> None:
    np.testing.assert_allclose(read(filed(tone(loudness=4.0), subtype="FLOAT")), tone(loudness=1.0), atol=1e-3)


def test_numbers_that_are_none_are_mended() -> None:
    sound = tone()
    sound[10:20], sound[20], sound[21] = np.nan, np.inf, -np.inf
    found = read(filed(sound, subtype="FLOAT"))
    assert found[10:22].tolist() == [0.0] * 10 + [1.0, -1.0]
    np.testing.assert_array_equal(found[22:], tone()[22:])


def test_silence_is_a_sound() -> None:
    found = read(filed(np.zeros(RATE // 3)))
    assert found.shape == (RATE // 3,)
    assert not found.any()


def test_of_an_hour_the_beginning_is_decoded_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    hour = np.zeros(3600 * 1000, dtype=np.int16)
    hour[:1000] = 1000
    data = filed(hour, 1000)
    frames = []
    decode = soundfile.SoundFile.read

    def counted(self: soundfile.SoundFile, wanted: int, **settings: object) -> np.ndarray:
        frames.append(wanted)
        return decode(self, wanted, **settings)

    monkeypatch.setattr(soundfile.SoundFile, "read", counted)
    found = read(data, longest_s=2.0)
    assert sum(frames) == 2000
    assert found.shape == (2 * RATE,)
    assert found[RATE // 2] == pytest.approx(1000 / 2**15, rel=1e-3)
    assert found[RATE * 3 // 2] == 0


def test_memory_follows_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sounds, "BLOCK", 1000)
    np.testing.assert_array_equal(read(filed(tone())), read(filed(tone())))
    assert read(filed(tone()), longest_s=0.1).shape == (RATE // 10,)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "empty"),
        (b"RIFF", "no sound that can be read"),
        (b"GIF89a" + b"\0" * 100, "no sound that can be read"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "WAV, FLAC, OGG"),
        (b"\x1aE\xdf\xa3" + b"\0" * 100, "WebM recording cannot be read; send WAV, FLAC, OGG or MP3"),
        (b"\0\0\0\x20ftypM4A " + b"\0" * 100, "M4A and AAC cannot be read"),
        (b"RIFF\x24\0\0\0WAVE" + b"\xff" * 32, "damaged"),
        (b"fLaC" + bytes(range(200)), "damaged"),
        (b"OggS" + b"\0" * 100, "damaged|ends before"),
        (b"ID3\x04" + b"\0" * 500, "damaged"),
        (b"\xff\xfb\x90" + bytes(range(256)), "damaged|less than"),
        (b"\xff", "no sound|damaged"),
        (filed(np.zeros(10)), "less than 0.01 s"),
        (filed(np.zeros(0)), "less than 0.01 s"),
        (filed(np.zeros((100, 9))), "9 channels"),
        (filed(np.zeros(4000), 500), "500 samples a second"),
        (filed(np.zeros(4096), subtype="IMA_ADPCM"), "IMA_ADPCM cannot be read"),
    ],
)
def test_what_cannot_be_read_is_told_why(data: bytes, told: str) -> None:
    with pytest.raises(Unreadable, match=told):
        read(data)


def test_too_large_a_file_is_not_decoded() -> None:
    with pytest.raises(Unreadable, match="20 MB is the most"):
        read(filed(tone()) + b"\0" * LARGEST_BYTES)


@pytest.mark.parametrize("share", [0.9, 0.5, 0.01])
@pytest.mark.parametrize(
    ("format", "subtype"), [("WAV", None), ("FLAC", None), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None)]
)
def test_a_sound_that_was_cut_short_is_refused(format: str, subtype: str | None, share: float) -> None:
    whole = filed(tone(48_000, 3.0), 48_000, format, subtype)
    with pytest.raises(Unreadable, match=r"ends before|damaged"):
        read(whole[: int(len(whole) * share)])


def test_a_wave_file_from_a_pipe_does_not_know_its_length() -> None:
    piped = bytearray(filed(tone()))
    piped[4:8] = piped[40:44] = b"\xff\xff\xff\xff"
    np.testing.assert_array_equal(read(bytes(piped)), read(filed(tone())))


def test_written_again_it_holds_the_sound_and_nothing_else() -> None:
    file = BytesIO()
    with soundfile.SoundFile(file, "w", RATE, 1, format="WAV", subtype="PCM_16") as writer:
        writer.title = "SECRET"
        writer.artist = "SECRET"
        writer.write(tone())
    assert b"SECRET" in file.getvalue()
    again = wav(read(file.getvalue()))
    assert b"SECRET" not in again
    assert len(again) == 44 + 2 * RATE
    np.testing.assert_allclose(read(again), tone(), atol=1e-4)
    assert np.abs(read(wav(tone(loudness=3.0)))).max() <= 1
