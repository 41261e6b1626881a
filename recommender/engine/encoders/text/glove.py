"""GloVe (Pennington, Socher, Manning 2014), or any word vectors in a text file: a word and its numbers in each line,
most frequent words first. Word2vec's and fastText's text files have a line with both sizes before; .gz is unpacked.

A text is the weighted mean of its words' vectors, see sif. How frequent a word is follows from its place, by Zipf's
law: the file says no more.
"""

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from recommender.engine.encoders import Arrays, Opened
from recommender.engine.encoders.settings import check
from recommender.engine.encoders.text.sif import WordVectors, arrays_of
from recommender.engine.encoders.text.words import words
from recommender.engine.errors import ModelMissing, Unreadable
from recommender.engine.options import Options

TOLD_EVERY = 10_000  # lines
LONGEST_LINE = 2**20  # bytes: 2,048 numbers take 40 thousand


@dataclass(frozen=True)
class GloveConfig:
    path: str = ""
    """The file: glove.6B.100d.txt, wiki-news-300d-1M.vec, something.txt.gz..."""
    words: int = 100_000
    """Words that are kept at most, the first ones; each takes 4 D bytes."""

    def __post_init__(self) -> None:
        check("words", self.words, 1, 10**7, whole=True)


class GloveEncoder:
    modality: ClassVar[str] = "text"
    Config = GloveConfig

    @staticmethod
    def fit(inputs: Sequence[str], config: GloveConfig, options: Options) -> Arrays:
        """See sif.arrays_of. Raises ModelMissing where there is no file; Unreadable, with the line, where it is none of
        word vectors.
        """
        options.progress(0.0, "reading the words")
        if not config.path:
            raise ModelMissing("Set `path` to a file of word vectors.")
        path = Path(config.path)
        vocabulary, vectors, places = read(path, config.words, options)
        # Zipf: the word at place r of V has 1/r of the first one's share, and all shares together are 1.
        shares = 1 / places / (np.log(max(places[-1], 2)) + np.euler_gamma)
        return arrays_of(vocabulary, vectors, shares, inputs)

    @staticmethod
    def open(arrays: Arrays, config: GloveConfig) -> Opened:
        return WordVectors(arrays)


def read(path: Path, most: int, options: Options) -> tuple[list[str], NDArray[np.float32], NDArray[np.float64]]:
    """Up to `most` words in lower case, their vectors (V, D) and their places in the file, from 1 (V,).

    What no text is split into (punctuation, phrases) is left out; of "Apple" and "apple" the first counts. Raises
    ModelMissing, Unreadable.
    """
    found: dict[str, tuple[int, NDArray[np.float32]]] = {}
    size = place = 0
    for number, line in _lines(path):
        parts = line.rstrip().split(" ")
        if number == 1 and len(parts) == 2 and all(part.isdigit() for part in parts):
            size = int(parts[1])
            continue
        size = size or len(parts) - 1
        place += 1
        if place % TOLD_EVERY == 0:
            options.progress(min(0.9, 0.9 * len(found) / most), f"{len(found):,} words")
        vector = _vector(parts[-size:], size, f"{path}, line {number}") if size and len(parts) > size else None
        if vector is None:
            raise Unreadable(f"{path}, line {number}: a word and {size or 'its'} numbers were expected.")
        word = " ".join(parts[:-size]).casefold()  # some files have words with spaces
        if word not in found and words(word) == [word]:
            found[word] = place, vector
            if len(found) == most:
                break
    if not found:
        raise Unreadable(f"{path} holds no words.")
    places = np.array([place for place, _ in found.values()], dtype=np.float64)
    return list(found), np.stack([vector for _, vector in found.values()]), places


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Each line with its number, from 1."""
    number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            while raw := file.readline(LONGEST_LINE):
                number += 1
                if line := raw.decode():
                    yield number, line
    except UnicodeDecodeError as error:
        raise Unreadable(f"{path}, line {number}: not UTF-8 text.") from error
    except (gzip.BadGzipFile, EOFError) as error:
        raise Unreadable(f"{path}, after line {number}: {error}.") from error
    except OSError as error:
        raise ModelMissing(f"{path}: {error.strerror or error}.") from error


def _vector(parts: Sequence[str], size: int, where: str) -> NDArray[np.float32]:
    """Raises Unreadable."""
    try:
        with np.errstate(over="ignore"):
            vector = np.array(parts, dtype=np.float32)
    except ValueError as error:
        raise Unreadable(f"{where}: {error}.") from error
    if not np.isfinite(vector).all():
        raise Unreadable(f"{where}: a number is infinite or none.")
    return vector
