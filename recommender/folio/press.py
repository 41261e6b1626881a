"""Prints the catalogue: one picture for every product and a recording for every record, as files of the shop."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from PIL import Image

from recommender.folio import covers, prints, records
from recommender.folio.catalogue import BOOKS, Product
from recommender.folio.prints import Print
from recommender.folio.records import Record

PICTURES, SOUNDS = "pictures/folio", "sounds/folio"  # folders below the media root
JPEG_QUALITY = 88
SAMPLE_RATE_HZ = 22_050
POOL_FROM = 24  # missing products; starting processes costs more than drawing a few covers
UNFINISHED = ".part"

Progress = Callable[[str, int, int, str], None]
"""Called with (stage, done, total, unit)."""


def picture_name(product: Product) -> str:
    """The picture's file below the media root. Covers are flat and lettered, which PNG keeps sharper and smaller."""
    return f"{PICTURES}/{product.item_id}.{'png' if product.department == BOOKS else 'jpg'}"


def sound_name(product: Product) -> str:
    """The recording's file below the media root; empty for what makes no sound."""
    return f"{SOUNDS}/{product.item_id}.wav" if isinstance(product.source, Record) else ""


def alt_text(product: Product) -> str:
    """The picture in words, for those who cannot see it."""
    if isinstance(product.source, Print):
        return f"{product.title}, a print by {product.creator}"
    return f"{'Cover' if product.department == BOOKS else 'Sleeve'} of {product.title} by {product.creator}"


def missing(products: Sequence[Product], root: Path) -> list[Product]:
    """The products without all their files below `root`."""
    return [product for product in products if not all((root / name).exists() for name in _names(product))]


def print_all(products: Sequence[Product], root: Path, progress: Progress, workers: int | None = None) -> int:
    """Make the files that are missing, on all cores; returns how many products that were.

    Each file is written aside and renamed, so that a stopped run leaves none that is half a picture.
    """
    todo = missing(products, root)
    if not todo:
        return 0
    for folder in (PICTURES, SOUNDS):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for leftover in (root / folder).glob(f"*{UNFINISHED}"):
            leftover.unlink(missing_ok=True)
    workers = workers or os.cpu_count() or 1
    progress("Drawing pictures, playing records", 0, len(todo), "item")
    if workers == 1 or len(todo) < POOL_FROM:
        for done, product in enumerate(todo, 1):
            make(product, root)
            progress("Drawing pictures, playing records", done, len(todo), "item")
        return len(todo)
    # Fresh processes: a forked one would inherit the parent's database connection and threads.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(make, product, root) for product in todo]
        try:
            for done, made in enumerate(as_completed(waiting), 1):
                made.result()
                progress("Drawing pictures, playing records", done, len(todo), "item")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return len(todo)


def make(product: Product, root: Path) -> None:
    """Draw, and for a record play, one product into its files."""
    picture = root / picture_name(product)
    if not picture.exists():
        image, aside = draw(product), _aside(picture)
        if picture.suffix == ".png":
            image.save(aside, "PNG")
        else:
            image.save(aside, "JPEG", quality=JPEG_QUALITY, optimize=True, progressive=True)
        aside.replace(picture)
    if isinstance(product.source, Record) and not (sound := root / sound_name(product)).exists():
        aside = _aside(sound)
        samples = records.synthesise(product.source, sample_rate_hz=SAMPLE_RATE_HZ)
        records.write_wav(aside, samples, SAMPLE_RATE_HZ)
        aside.replace(sound)


def draw(product: Product) -> Image.Image:
    """The product's picture: a cover, a print or a sleeve."""
    if isinstance(product.source, Print):
        return prints.draw(product.source)
    if isinstance(product.source, Record):
        return covers.record_sleeve(product.item_id, product.title, product.creator, product.category)
    return covers.book_cover(product.item_id, product.title, product.creator, product.category, product.subjects)


def _names(product: Product) -> list[str]:
    return [name for name in (picture_name(product), sound_name(product)) if name]


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.{os.getpid()}{UNFINISHED}")
