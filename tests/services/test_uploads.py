"""What strangers send is decoded in a process that can do no harm, and nothing of it stays."""

import io
import json
import os
import struct
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from recommender.engine.data import pictures, sounds
from recommender.engine.errors import Unreadable
from recommender.services import uploads
from recommender.services.errors import Busy, UploadTooLarge

NOISE = np.random.default_rng(5)


def saved(mode="RGB", kind="JPEG", size=(48, 32), **options) -> bytes:
    file = io.BytesIO()
    noise = Image.effect_noise(size, 60)
    (Image.merge("LAB", [noise] * 3) if mode == "LAB" else noise.convert(mode)).save(file, kind, **options)
    return file.getvalue()


def png(width: int, height: int, lines: bytes) -> bytes:
    """A PNG of red, green, blue and alpha that claims this size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines, 9)) + chunk(b"IEND", b"")


def tone(rate=16_000, seconds=0.5, channels=1, kind="WAV", loud=0.5) -> bytes:
    wave = loud * np.sin(2 * np.pi * 440 * np.arange(int(rate * seconds)) / rate)
    file = io.BytesIO()
    soundfile.write(file, np.stack([wave] * channels, 1), rate, format=kind)
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        saved(),
        saved("CMYK"),
        saved("P", "GIF", save_all=True, append_images=[Image.new("P", (48, 32), n) for n in range(9)]),
        saved("RGB", "WEBP"),
        saved("LAB", "TIFF", compression="tiff_lzw"),
        saved("RGBA", "PNG", (1, 1)),
    ],
    ids=["jpeg", "cmyk", "animated gif", "webp", "lab tiff", "1 pixel"],
)
def test_a_picture_is_what_is_read_here_too(data):
    np.testing.assert_array_equal(uploads.picture(data), pictures.read(data))


@pytest.mark.parametrize(
    "data",
    [tone(kind="MP3"), tone(8000, kind="OGG"), tone(44_100, channels=2, kind="FLAC"), tone(loud=0)],
    ids=["mp3", "8 kHz ogg", "stereo flac", "silence"],
)
def test_a_sound_is_what_is_read_here_too(data):
    np.testing.assert_array_equal(uploads.sound(data), sounds.read(data))


def test_of_an_hour_the_beginning_is_heard():
    file = io.BytesIO()
    soundfile.write(file, np.zeros(3600 * 8000, dtype=np.int16), 8000, format="FLAC")
    data = file.getvalue()
    assert len(uploads.sound(data)) == uploads.LONGEST_S * sounds.RATE


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        ("picture", b"", "empty"),
        ("picture", b"Dear Sir, " * 50, "not a picture"),
        ("picture", b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        ("picture", saved(size=(300, 300))[:2000], "damaged or breaks off"),
        ("picture", png(60_000, 60_000, b""), "40 million"),
        ("sound", b"", "empty"),
        ("sound", b"RIFF\x00\x10\x00\x00WAVEfmt " + NOISE.bytes(5000), "damaged"),
        ("sound", saved(), "no sound"),
    ],
)
def test_what_cannot_be_read_is_said(kind, data, words):
    with pytest.raises(Unreadable, match=words):
        getattr(uploads, kind)(data)


def test_a_decompression_bomb_meets_the_ceiling_of_memory(monkeypatch):
    monkeypatch.setattr(uploads, "MEMORY", 200 * 2**20)
    bomb = png(4000, 4000, bytes(4000 * (4 * 4000 + 1)))
    assert len(bomb) < 100_000 and pictures.MAX_PIXELS > 4000 * 4000
    with pytest.raises(Unreadable, match="more memory"):
        uploads.picture(bomb)


@pytest.mark.parametrize("kind", ["picture", "sound"])
def test_the_size_is_checked_while_it_arrives(kind):
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield bytes(2**20)

    with pytest.raises(UploadTooLarge, match="8 MB"):
        uploads.gathered(kind, endless())
    assert len(taken) == 9
    with pytest.raises(UploadTooLarge):
        getattr(uploads, kind)(bytes(uploads.MAX_BYTES[kind] + 1))
    assert uploads.gathered(kind, [b"a", b"bc"]) == b"abc"


# A decoder that does what the upload says, as one with a fault might: everything around it is the real thing.
WICKED = """
import os, sys
import numpy as np
def read(data):
    exec(data.decode(), globals())
    return np.full((1, 1, 3), 7, np.uint8)
"""


@pytest.fixture
def wicked(tmp_path, monkeypatch):
    package = tmp_path / "recommender" / "engine"
    (package / "data").mkdir(parents=True)
    for folder in (package.parent, package, package / "data"):
        (folder / "__init__.py").touch()
    (package / "errors.py").write_text("class Unreadable(Exception): pass\n")
    (package / "data" / "pictures.py").write_text(WICKED)
    monkeypatch.setattr(uploads, "ROOT", tmp_path)
    monkeypatch.setattr(uploads, "WALL_S", 30.0)
    return tmp_path


def test_a_wicked_decoder_may_answer(wicked):
    assert uploads.picture(b"pass").tolist() == [[[7, 7, 7]]]


@pytest.mark.parametrize(
    "code",
    [
        "os.abort()",
        "os._exit(0)",
        "bytearray(10**10)",
        "open(sys.argv[-1] + '/../stolen', 'w')",
        "os.write(1, b'{}' + bytes(100))",
        "os.write(1, b'[' * 100_000)",
        """os.write(1, b'{"shape": [9, 9, 3], "dtype": "|u1"}\\n')""",
        "while True: os.write(1, bytes(65536))",
        "import socket; socket.socket()",
    ],
)
def test_whatever_happens_to_the_child_is_one_clear_error(wicked, code):
    started = time.monotonic()
    with pytest.raises(Unreadable):
        uploads.picture(code.encode())
    assert time.monotonic() - started < 20  # it was not waited for


def test_an_endless_loop_ends(wicked, monkeypatch):
    monkeypatch.setattr(uploads, "CPU_S", 1)
    with pytest.raises(Unreadable, match="time and memory"):
        uploads.picture(b"while True: pass")


def test_a_child_that_does_nothing_is_ended_with_its_children(wicked, monkeypatch):
    monkeypatch.setattr(uploads, "WALL_S", 1.0)
    started = time.monotonic()
    with pytest.raises(Unreadable, match="time and memory"):
        uploads.picture(b"import time; os.fork(); time.sleep(60)")
    assert time.monotonic() - started < 20


def test_it_inherits_nothing(wicked, monkeypatch):
    """Neither the environment nor an open file; and what it may use is limited."""
    monkeypatch.setenv("SECRET_KEY", "secret")
    told = """
import resource
names = ("CORE", "FSIZE", "NOFILE", "CPU", "AS")
limits = {n: resource.getrlimit(getattr(resource, "RLIMIT_" + n)) for n in names}
def is_open(n):
    try: os.fstat(n)
    except OSError: return False
    return True
files = [n for n in range(64) if is_open(n)]
raise __import__("recommender.engine.errors").engine.errors.Unreadable(repr((dict(os.environ), files, limits)))
"""
    wicked_errors = wicked / "recommender" / "engine" / "errors.py"
    wicked_errors.write_text("class Unreadable(Exception):\n    def __init__(self, d): self.detail = d\n")
    with open(os.devnull) as file:
        os.set_inheritable(file.fileno(), True)
        with pytest.raises(Unreadable) as refused:
            uploads.picture(told.encode())
    environment, files, limits = eval(refused.value.detail)
    assert "SECRET_KEY" not in environment and set(environment) - {"LC_CTYPE"} == set(uploads.ENVIRONMENT)
    assert files == [0, 1, 2]
    assert limits["CORE"] == limits["FSIZE"] == limits["NOFILE"] == (0, 0)
    assert limits["CPU"] == (uploads.CPU_S,) * 2
    assert limits["AS"] == (uploads.MEMORY,) * 2


def test_a_few_are_decoded_at_once_and_the_next_is_asked_to_wait(wicked, monkeypatch):
    monkeypatch.setattr(uploads, "WAIT_S", 0.1)
    slow = b"import time; time.sleep(1)"
    threads = [threading.Thread(target=uploads.picture, args=[slow]) for _ in range(uploads.AT_ONCE)]
    for thread in threads:
        thread.start()
    with pytest.raises(Busy, match="Try again"):
        while threads[0].is_alive():
            uploads.picture(b"pass")
    for thread in threads:
        thread.join()
    assert uploads.picture(b"pass").shape == (1, 1, 3)  # the places are free again


def test_nothing_is_left_on_disk(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = sorted(Path("/tmp").glob("*.upload*")), sorted(tmp_path.rglob("*"))
    uploads.picture(saved(size=(900, 900)))
    uploads.sound(tone())
    assert (sorted(Path("/tmp").glob("*.upload*")), sorted(tmp_path.rglob("*"))) == before


def test_the_answer_is_taken_only_as_far_as_it_may_reach():
    assert uploads.MAX_ANSWER["picture"] > pictures.MAX_SIDE**2 * 3 + len(json.dumps({"shape": [1024, 1024, 3]}))
    assert uploads.MAX_ANSWER["sound"] > uploads.LONGEST_S * sounds.RATE * 4 + 100
    assert uploads.MAX_BYTES["picture"] < pictures.MAX_BYTES
