"""The files of NSL-KDD (Tavallaee, Bagheri, Lu and Ghorbani 2009): connections of a network, attacks among them.

A line is 41 fields, then what it is (`normal` or an attack's name), then how hard it is to tell, which is left out.
"""

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.errors import InvalidDataset

TRAIN, TEST = "KDDTrain+_20Percent", "KDDTest+"
NORMAL = "normal"
WORDS = ("protocol_type", "service", "flag")
FIELDS = (
    "duration", *WORDS, "src_bytes", "dst_bytes", "land", "wrong_fragment", "urgent", "hot", "num_failed_logins",
    "logged_in", "num_compromised", "root_shell", "su_attempted", "num_root", "num_file_creations", "num_shells",
    "num_access_files", "num_outbound_cmds", "is_host_login", "is_guest_login", "count", "srv_count", "serror_rate",
    "srv_serror_rate", "rerror_rate", "srv_rerror_rate", "same_srv_rate", "diff_srv_rate", "srv_diff_host_rate",
    "dst_host_count", "dst_host_srv_count", "dst_host_same_srv_rate", "dst_host_diff_srv_rate",
    "dst_host_same_src_port_rate", "dst_host_srv_diff_host_rate", "dst_host_serror_rate", "dst_host_srv_serror_rate",
    "dst_host_rerror_rate", "dst_host_srv_rerror_rate",
)  # fmt: skip
NUMBERS = tuple(name for name in FIELDS if name not in WORDS)
_FAMILIES = {
    "dos": "apache2 back land mailbomb neptune pod processtable smurf teardrop udpstorm worm",
    "probe": "ipsweep mscan nmap portsweep saint satan",
    "r2l": "ftp_write guess_passwd httptunnel imap multihop named phf sendmail snmpgetattack snmpguess spy warezclient"
    " warezmaster xlock xsnoop",
    "u2r": "buffer_overflow loadmodule perl ps rootkit sqlattack xterm",
}
FAMILY = {attack: family for family, attacks in _FAMILIES.items() for attack in attacks.split()}
OTHER = "other"  # the family of an attack that none of these names


@dataclass(frozen=True)
class Part:
    numbers: NDArray[np.float64]
    """(R, 38), in NUMBERS' order."""
    words: NDArray[np.str_]
    """(R, 3), in WORDS' order."""
    labels: NDArray[np.str_]
    """(R,)."""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def attack(self) -> NDArray[np.bool_]:
        return np.asarray(self.labels != NORMAL)

    def where(self, rows: NDArray[Any]) -> "Part":
        return Part(self.numbers[rows], self.words[rows], self.labels[rows])


@dataclass(frozen=True)
class Encoding:
    """Numbers of a line: logarithms of what is counted, rates as they are, a column for each known word."""

    known: tuple[tuple[str, ...], ...]
    """By WORDS; a word that is none of them leaves all of their columns at 0."""

    @classmethod
    def of(cls, train: Part) -> "Encoding":
        return cls(tuple(tuple(np.unique(train.words[:, column]).tolist()) for column in range(len(WORDS))))

    @property
    def names(self) -> tuple[str, ...]:
        words = (f"{field}={word}" for field, known in zip(WORDS, self.known, strict=True) for word in known)
        return (*NUMBERS, *words)

    def rows(self, part: Part) -> NDArray[np.float32]:
        """(R, F)."""
        counted = np.array([not name.endswith("_rate") for name in NUMBERS])
        numbers = np.where(counted, np.log1p(np.maximum(part.numbers, 0)), part.numbers)
        words = [part.words[:, [column]] == np.array(known) for column, known in enumerate(self.known)]
        return np.hstack([numbers, *words]).astype(np.float32)


def read(folder: Path) -> dict[str, Part]:
    """`train` and `test`. Raises InvalidDataset."""
    found = {"train": _part(folder, TRAIN), "test": _part(folder, TEST)}
    for name, part in found.items():
        if len(np.unique(part.attack)) < 2:
            raise InvalidDataset(f"{folder}: the {name} file needs both normal lines and attacks.")
    return found


def _part(folder: Path, name: str) -> Part:
    paths = [path for ending in (".txt.gz", ".txt") if (path := folder / f"{name}{ending}").is_file()]
    if not paths:
        raise InvalidDataset(f"{folder} has no {name}.txt.gz.")
    try:
        data = paths[0].read_bytes()
        text = (gzip.decompress(data) if paths[0].suffix == ".gz" else data).decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InvalidDataset(f"{paths[0]} cannot be read: {error}.") from error
    lines = [line.split(",") for line in text.splitlines() if line.strip()]
    for number, line in enumerate(lines, 1):
        if len(line) not in (len(FIELDS) + 1, len(FIELDS) + 2):
            raise InvalidDataset(
                f"{paths[0]}, line {number}: {len(FIELDS) + 1} or {len(FIELDS) + 2} fields are needed."
            )
    columns = list(zip(*lines, strict=False))
    if not columns:
        raise InvalidDataset(f"{paths[0]} is empty.")
    numbers = np.stack([_numbers(columns[FIELDS.index(name)], name, paths[0]) for name in NUMBERS], axis=1)
    words = np.array([columns[FIELDS.index(name)] for name in WORDS]).T
    labels = np.char.rstrip(np.char.lower(np.array(columns[len(FIELDS)])), ".")
    return Part(numbers, words, labels)


def _numbers(column: Sequence[str], name: str, path: Path) -> NDArray[np.float64]:
    found = np.full(len(column), np.nan)
    for row, value in enumerate(column):
        try:
            found[row] = float(value)
        except ValueError:
            break
    if len(wrong := np.flatnonzero(~np.isfinite(found))):
        raise InvalidDataset(f"{path}, line {wrong[0] + 1}: {name} must be a number, not {column[wrong[0]]!r}.")
    return found
