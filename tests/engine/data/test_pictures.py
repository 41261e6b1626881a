"""Pictures as people send them: good ones look right, and each bad one is refused with a sentence that says why."""

import struct
import zlib
from contextlib import suppress
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from recommender.engine.data import pictures
from recommender.engine.errors import Unreadable

RED, GREEN = (200, 30, 40), (20, 160, 60)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def halves(mode: str = "RGB", size: tuple[int, int] = (40, 20)) -> Image.Image:
    """Red on the left, green on the right."""
    image = Image.new("RGB", size, RED)
    image.paste(GREEN, (size[0] // 2, 0, *size))
    return image.quantize() if mode == "P" else image.convert(mode)


def header_only_png(width: int, height: int) -> bytes:
    """A PNG that promises any size and holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def assert_halves(picture: np.ndarray, tolerance: int = 12) -> None:
    height, width = picture.shape[:2]
    found = picture.astype(int)
    assert np.abs(found[height // 2, width // 4] - RED).max() <= tolerance
    assert np.abs(found[height // 2, 3 * width // 4] - GREEN).max() <= tolerance


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_every_format_reads(kind: str) -> None:
    picture = pictures.read(saved(halves(), kind))
    assert picture.shape == (20, 40, 3) and picture.dtype == np.uint8 and picture.flags.writeable
    assert_halves(picture)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("CMYK", "JPEG"), ("CMYK", "TIFF"), ("P", "PNG"), ("RGBA", "PNG"), ("YCbCr", "TIFF"), ("LAB", "TIFF")],
)
def test_every_mode_becomes_red_green_blue(mode: str, kind: str) -> None:
    if mode == "LAB":
        data = saved(Image.new("LAB", (40, 20), (128, 128, 128)), kind)
        assert pictures.read(data).shape == (20, 40, 3)
        return
    assert_halves(pictures.read(saved(halves(mode), kind)), tolerance=16)


def test_transparent_is_over_white_also_with_a_palette() -> None:
    glass = Image.new("RGBA", (8, 8), (200, 30, 40, 0))
    assert (pictures.read(saved(glass, "PNG")) == 255).all()
    half = pictures.read(saved(Image.new("RGBA", (8, 8), (0, 0, 0, 128)), "PNG"))
    assert np.abs(half.astype(int) - 127).max() <= 1
    palette = halves("P")
    picture = pictures.read(saved(palette, "PNG", transparency=palette.getpixel((0, 0))))
    assert (picture[:, :20] == 255).all() and (picture[:, 20:] == GREEN).all()
    assert (pictures.read(saved(Image.new("LA", (8, 8), (9, 0)), "PNG")) == 255).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_not_clipped(kind: str) -> None:
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (8, 1))
    picture = pictures.read(saved(Image.fromarray(ramp), kind))
    assert np.abs(picture[0, :, 0].astype(int) - np.linspace(0, 255, 64)).max() <= 1


def test_floats_and_black_and_white_read() -> None:
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (8, 1))
    picture = pictures.read(saved(Image.fromarray(ramp), "TIFF"))
    assert np.abs(picture[0, :, 1].astype(int) - np.linspace(0, 255, 64)).max() <= 1
    assert (pictures.read(saved(Image.new("1", (4, 4), 1), "PNG")) == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_puts_it_upright(orientation: int) -> None:
    upright = np.asarray(halves())
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.transpose(1, 0, 2), 6: np.rot90(upright, 1), 7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[pictures.ORIENTATION] = orientation
    data = saved(Image.fromarray(np.ascontiguousarray(stored)), "JPEG", exif=exif, quality=95)
    picture = pictures.read(data)
    assert picture.shape == (20, 40, 3)
    assert_halves(picture)


def test_broken_exif_does_not_matter() -> None:
    assert_halves(pictures.read(saved(halves(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff\0\0")))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_animated_gives_its_first_frame(kind: str) -> None:
    later = [Image.new("RGB", (40, 20), "blue") for _ in range(3)]
    assert_halves(pictures.read(saved(halves(), kind, save_all=True, append_images=later)), tolerance=16)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_large_ones_are_shrunk(kind: str) -> None:
    picture = pictures.read(saved(halves(size=(3000, 1500)), kind))
    assert picture.shape == (512, 1024, 3)
    assert_halves(picture)
    assert pictures.read(saved(halves(size=(3000, 2)), kind)).shape == (1, 1024, 3)
    assert max(pictures.read(saved(halves(), kind), max_side=16).shape) == 16


def test_one_pixel_is_a_picture_that_says_nothing() -> None:
    picture = pictures.read(saved(Image.new("RGB", (1, 1), RED), "PNG"))
    assert picture.tolist() == [[list(RED)]]
    assert pictures.flat(picture)
    assert not pictures.flat(np.asarray(halves()))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_what_breaks_off_is_refused(kind: str, share: float) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = saved(Image.fromarray(noise), kind)
    with pytest.raises(Unreadable, match="JPEG"):
        pictures.read(data[: int(len(data) * share)])


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_damaged_is_read_or_refused(seed: int) -> None:
    random = np.random.default_rng(seed)
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"):
        data = bytearray(saved(halves(), kind))
        for place in random.integers(0, len(data), 8):
            data[place] = random.integers(0, 256)
            with suppress(Unreadable):
                assert pictures.read(bytes(data)).ndim == 3


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "is empty"),
        (b"hello, this is text", "not a picture"),
        (b"%PDF-1.7 and so on", "not a picture"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 40, "HEIC"),
        (b"\xff" * (pictures.MAX_BYTES + 1), "10.0 MB, and 10 are allowed"),
        (header_only_png(8000, 6000), "8000 x 6000 pixels; up to 40 million"),
        (header_only_png(10_000, 10_000), "pixels; up to 40 million"),
        (header_only_png(60_000, 60_000), "pixels; up to 40 million"),
        (header_only_png(600, 600), "damaged or breaks off"),
        (header_only_png(0, 5), "damaged|not a picture"),
    ],
)
def test_each_bad_file_has_its_sentence(data: bytes, match: str) -> None:
    with pytest.raises(Unreadable, match=match):
        pictures.read(data)


def test_a_format_off_the_list_is_refused() -> None:
    with pytest.raises(Unreadable, match="not a picture"):
        pictures.read(saved(halves(), "ICO", sizes=[(32, 16)]))


def test_encoding_again_drops_what_the_file_told() -> None:
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    data = saved(halves(), "JPEG", exif=exif, comment=b"secret")
    again = pictures.jpeg(pictures.read(data))
    assert b"home" in data and b"secret" in data
    assert b"home" not in again and b"secret" not in again and b"Exif" not in again
    assert_halves(pictures.read(again))


def test_crop_takes_shares_and_at_least_a_pixel() -> None:
    picture = np.asarray(halves())
    left = pictures.crop(picture, (0, 0, 0.5, 1))
    assert left.shape == (20, 20, 3) and (left == RED).all()
    assert pictures.crop(picture, (0.999, 0.999, 1, 1)).shape == (1, 1, 3)
    np.testing.assert_array_equal(pictures.crop(picture, (0, 0, 1, 1)), picture)
    for box in [(0.5, 0, 0.5, 1), (0.6, 0, 0.4, 1), (-0.1, 0, 1, 1), (0, 0, 1, 1.5), (float("nan"), 0, 1, 1)]:
        with pytest.raises(Unreadable, match="crop"):
            pictures.crop(picture, box)
