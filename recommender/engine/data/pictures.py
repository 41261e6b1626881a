"""Pictures: bytes that anyone may have sent, made into pixels.

Pillow decodes them, from a short list of formats. SVG is none of them: it is a program that may fetch and run things.
What a header says is checked before anything is decoded, and large pictures are shrunk at once, so that none takes much
memory for long.
"""

import warnings
from io import BytesIO
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from recommender.engine.errors import Unreadable

Picture = NDArray[np.uint8]
"""(height, width, 3): red, green, blue."""
Box = tuple[float, float, float, float]
"""Left, top, right, bottom, as shares of width and height from 0 to 1."""

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
MAX_BYTES: Final = 10_000_000  # of a file; a phone's photo has 2 to 6 million
MAX_PIXELS: Final = 40_000_000  # 120 MB decoded; a phone's photo has 12 to 24 million
MAX_SIDE: Final = 1024  # pixels kept of the longer side; encoders look at 64 to 224
QUALITY: Final = 88  # of JPEG: no fault is seen above about 85
FLAT: Final = 3  # levels of 255 that a colour may vary by and still say nothing
TAKEN: Final = "JPEG, PNG, WebP, GIF, BMP and TIFF are taken"
SAVE_ANEW: Final = "Save it as JPEG or PNG and send that."

# EXIF's orientation -> what puts the picture upright.
UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
ORIENTATION: Final = 0x0112


def read(data: bytes, max_side: int = MAX_SIDE) -> Picture:
    """The picture in a file's bytes: upright, over white where it is transparent, its first frame where it has several,
    with no side above `max_side` pixels. Raises Unreadable."""
    if not data:
        raise Unreadable("The file is empty.")
    if len(data) > MAX_BYTES:
        raise Unreadable(
            f"The picture has {len(data) / 1e6:.1f} MB, and {MAX_BYTES // 10**6} are allowed. Make it smaller."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd tags and palettes: what cannot be read raises
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        plain, orientation = _decoded(data, max_side)
    if max(plain.size) > max_side:
        plain.thumbnail((max_side, max_side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    if orientation in UPRIGHT:
        plain = plain.transpose(UPRIGHT[orientation])
    return np.array(plain, dtype=np.uint8)


def jpeg(picture: Picture, quality: int = QUALITY) -> bytes:
    """The picture as a JPEG file that tells nothing of where it came from."""
    file = BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return file.getvalue()


def crop(picture: Picture, box: Box) -> Picture:
    """The part of a picture within `box`, at least one pixel. Raises Unreadable where the box holds nothing of it."""
    left, top, right, bottom = box
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise Unreadable("A crop goes from left to right and from top to bottom, in shares from 0 to 1.")
    height, width = picture.shape[:2]
    x, y = min(int(left * width), width - 1), min(int(top * height), height - 1)
    return picture[y : max(y + 1, round(bottom * height)), x : max(x + 1, round(right * width))].copy()


def flat(picture: Picture) -> bool:
    """Whether a picture is of one colour, so that it says nothing."""
    pixels = picture.reshape(-1, 3)
    # A hundredth of the pixels settles it for nearly all pictures, in a tenth of a millisecond and not five.
    return all(bool((np.ptp(some, axis=0) <= FLAT).all()) for some in (pixels[::101], pixels))


def _decoded(data: bytes, max_side: int) -> tuple[Image.Image, int]:
    """As red, green, blue of 8 bits, and EXIF's orientation."""
    try:
        image = Image.open(BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Unreadable(_too_many_pixels()) from None
    except UnidentifiedImageError:
        raise Unreadable(_not_a_picture(data)) from None
    except Exception as error:  # Pillow's readers raise anything from struct.error to SyntaxError on a broken header
        raise Unreadable(_damaged()) from error
    with image:
        if image.width * image.height > MAX_PIXELS:
            raise Unreadable(_too_many_pixels(image.size))
        try:
            orientation = _orientation(image)
            image.draft(None, (max_side, max_side))  # JPEG: decodes an eighth, a quarter or a half at once
            image.load()
            return _plain(image), orientation
        except Exception as error:  # as above; MemoryError is one of them
            raise Unreadable(_damaged()) from error


def _plain(image: Image.Image) -> Image.Image:
    """As red, green, blue of 8 bits."""
    if image.mode.startswith(("I", "F")):  # 16 and 32 bits of grey, which Pillow would clip at 255
        return Image.fromarray(_grey(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _grey(levels: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Any grey in 8 bits: 16-bit numbers by their range, others by the least of 1, 255, 65535 that holds them."""
    values = np.nan_to_num(np.asarray(levels, dtype=np.float32), posinf=0, neginf=0)
    top = float(values.max(initial=0))
    if levels.dtype.itemsize == 2:
        white = 65535.0
    elif levels.dtype.kind == "f" and top <= 1:
        white = 1.0
    else:
        white = 255.0 if top <= 255 else max(65535.0, top)
    return np.asarray(np.clip(values / white, 0, 1) * 255 + 0.5, dtype=np.uint8)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # broken EXIF says nothing about the pixels
        return 1


def _too_many_pixels(size: tuple[int, int] | None = None) -> str:
    has = f"The picture has {size[0]} x {size[1]} pixels" if size else "The picture has far too many pixels"
    return f"{has}; up to {MAX_PIXELS // 10**6} million are allowed. Make it smaller."


def _damaged() -> str:
    return f"The picture is damaged or breaks off. {SAVE_ANEW}"


def _not_a_picture(data: bytes) -> str:
    head = data[:2048]
    if b"<svg" in head.lower():
        return f"SVG drawings are not taken. {SAVE_ANEW}"
    if head[4:8] == b"ftyp":
        return f"HEIC and AVIF pictures and films are not taken. {SAVE_ANEW}"
    return f"It is not a picture that can be read: {TAKEN}. {SAVE_ANEW}"
