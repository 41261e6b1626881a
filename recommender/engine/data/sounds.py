"""Sounds as people send them: one channel, one rate, bounded, whatever the file says.

WAV, FLAC, OGG (Vorbis, Opus) and MP3, told by their first bytes before any decoder sees them. Decoding is C code on a
stranger's bytes: what comes from outside is read in a child process with limits, and kept, if at all, as `wav` writes
it: samples only, without names, places and pictures.
"""

from functools import lru_cache
from io import BytesIO
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.errors import Unreadable

Sound = NDArray[np.float32]
"""(T,), one channel at RATE, from -1 to 1."""

RATE = 16_000  # samples a second: what speech networks hear; music keeps what is below 8 kHz
LARGEST_BYTES = 20 * 2**20  # of a file: two minutes of a CD, ten of FLAC, twenty of MP3
LONGEST_S = 60.0  # kept of a longer sound, from its beginning
SHORTEST_S = 0.01
RATES = (1_000, 192_000)  # of a file, samples a second
CHANNELS = 8  # of a file
PADDING = 4096  # frames at the end that some encoders count and do not write
UNKNOWN = 2**40  # frames or more: libsndfile's way of saying that the file does not tell
BLOCK = 2**16  # frames decoded at once, so that memory follows what is kept and not what the file claims

FORMATS = "send WAV, FLAC, OGG (Vorbis or Opus) or MP3"
ENCODINGS = {
    "WAV": ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"),
    "WAVEX": ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"),
    "FLAC": ("PCM_S8", "PCM_16", "PCM_24"),
    "OGG": ("VORBIS", "OPUS"),
    "MP3": ("MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III"),
}
"""By libsndfile's names; the rest of what it reads is old, rare, and code that nobody looks at."""

CROSSINGS = 24  # of the resampling sinc, to each side
ROLLOFF = 0.945  # of the lower Nyquist frequency that passes
BETA = 8.6  # of its Kaiser window: 86 dB down outside


def read(data: bytes, longest_s: float = LONGEST_S) -> Sound:
    """The first `longest_s` seconds of a file's sound, float32 (T,) at RATE: channels averaged, other rates resampled.

    NaN counts as silence and infinity as full scale; what is louder than full scale is turned down. Silence is a sound.
    Of an hour only what is kept is decoded, in blocks. Raises Unreadable.
    """
    _look(data)
    import soundfile

    try:
        with soundfile.SoundFile(BytesIO(data)) as file:
            _check(file)
            rate, wanted, claimed = file.samplerate, round(longest_s * file.samplerate), file.frames
            blocks = list(_blocks(file, wanted))
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise Unreadable(f"The sound is damaged or cut short; save it again, or {FORMATS}.") from error
    sound = np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.float32)
    if claimed < UNKNOWN and len(sound) < min(wanted, claimed) - PADDING:
        raise Unreadable("The sound ends before its file says it does; send it again, whole.")
    if len(sound) < SHORTEST_S * rate:
        raise Unreadable(f"The file holds less than {SHORTEST_S:g} s of sound; send a longer one.")
    peak = float(np.abs(sound).max())
    if peak > 1:
        sound /= np.float32(peak)
    resampled = resample(sound, rate)
    return np.clip(resampled, -1, 1, out=resampled)


def wav(sound: Sound) -> bytes:
    """`sound` as a WAV file of 16 bits at RATE that holds nothing else."""
    import soundfile

    file = BytesIO()
    soundfile.write(file, np.clip(sound, -1, 1), RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def resample(sound: Sound, rate: int, to: int = RATE) -> Sound:
    """float32 (T,) at `rate` as float32 (ceil(T to / rate),) at `to`, by a windowed sinc for each of its phases.

    What the lower rate cannot hold is taken out first. J. O. Smith, "Digital Audio Resampling Home Page".
    """
    if rate == to or not len(sound):
        return np.array(sound, dtype=np.float32)
    up, down = to // gcd(rate, to), rate // gcd(rate, to)
    phases = _phases(up, down)
    taps = phases.shape[1]
    length = -(-len(sound) * up // down)
    padded = np.pad(np.asarray(sound, dtype=np.float32), (taps // 2 - 1, taps // 2 + 1))
    windows = np.lib.stride_tricks.sliding_window_view(padded, taps)
    result = np.empty(length, dtype=np.float32)
    for phase in range(min(up, length)):
        places = np.arange(phase, length, up)
        result[places] = windows[places * down // up] @ phases[phase]
    return result


@lru_cache(maxsize=8)
def _phases(up: int, down: int) -> NDArray[np.float32]:
    """(up, taps): the filter for each place an output may have between two inputs."""
    cutoff = ROLLOFF * min(1.0, up / down)
    half = int(np.ceil(CROSSINGS / cutoff))
    offsets = np.arange(-half + 1, half + 1)[None, :] - ((np.arange(up) * down % up) / up)[:, None]
    window = np.i0(BETA * np.sqrt(np.clip(1 - (offsets / half) ** 2, 0, None))) / np.i0(BETA)
    filters = cutoff * np.sinc(cutoff * offsets) * window
    filters /= filters.sum(axis=1, keepdims=True)
    return np.asarray(filters, dtype=np.float32)


def _look(data: bytes) -> None:
    """Refuses what no decoder should see."""
    if not data:
        raise Unreadable("The file is empty.")
    if len(data) > LARGEST_BYTES:
        raise Unreadable(
            f"The file has {len(data) / 2**20:.1f} MB; {LARGEST_BYTES // 2**20} MB is the most. Send a shorter sound."
        )
    if data[:4] == b"\x1aE\xdf\xa3":
        raise Unreadable("A browser's WebM recording cannot be read; send WAV, FLAC, OGG or MP3.")
    if data[4:8] == b"ftyp":
        raise Unreadable("MP4, M4A and AAC cannot be read; send WAV, FLAC, OGG or MP3.")
    riff = data[:4] == b"RIFF" and data[8:12] == b"WAVE"
    mp3 = data[:3] == b"ID3" or (data[0] == 0xFF and len(data) > 1 and data[1] & 0xE0 == 0xE0)
    if not (riff or mp3 or data[:4] in (b"fLaC", b"OggS")):
        raise Unreadable(f"This is no sound that can be read here; {FORMATS}.")
    if (riff and _wave_is_cut(data)) or (data[:4] == b"OggS" and _ogg_is_cut(data)):
        raise Unreadable("The sound ends before its file says it does; send it again, whole.")


def _wave_is_cut(data: bytes) -> bool:
    size = int.from_bytes(data[4:8], "little")
    # Programs that write to a pipe do not know the size, and say 0 or the most there can be.
    return 0 < size < 0x7FFF_0000 and size > len(data) - 8 + 1


def _ogg_is_cut(data: bytes) -> bool:
    """Whether the last page lacks its end; libsndfile would leave it out without a word (RFC 3533, section 6)."""
    page = data.rfind(b"OggS")
    table = data[page + 27 : page + 27 + data[page + 26]] if page + 26 < len(data) else b""
    return not table or page + 27 + len(table) + sum(table) > len(data)


def _check(file: Any) -> None:
    if file.subtype not in ENCODINGS.get(file.format, ()):
        raise Unreadable(f"{file.format} with {file.subtype} cannot be read; {FORMATS}.")
    if not RATES[0] <= file.samplerate <= RATES[1]:
        raise Unreadable(f"{file.samplerate} samples a second is outside {RATES[0]} to {RATES[1]}.")
    if file.channels > CHANNELS:
        raise Unreadable(f"{file.channels} channels are more than {CHANNELS}; mix them down.")


def _blocks(file: Any, wanted: int) -> Any:
    """One channel, finite, in pieces of BLOCK frames, until `wanted` are there or the file ends."""
    while wanted > 0:
        block = file.read(min(BLOCK, wanted), dtype="float32", always_2d=True)
        if not len(block):
            return
        wanted -= len(block)
        yield np.nan_to_num(block, nan=0.0, posinf=1.0, neginf=-1.0).mean(axis=1, dtype=np.float32)
