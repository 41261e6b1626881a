"""How well pictures and sounds find their like: files of known classes, the nearest first by their vectors' cosine."""

import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data import pictures, sounds
from recommender.engine.encoders import encoder, make_config
from recommender.engine.encoders.image import gradients
from recommender.engine.encoders.image.looks import squares
from recommender.engine.errors import InvalidDataset, NoData, Unreadable
from recommender.engine.evaluation.bootstrap import Interval, intervals
from recommender.engine.options import Options
from recommender.services import memory
from recommender.services.benchmarking.processes import MIB, Clock, Watch

READERS: Mapping[str, Callable[[bytes], Any]] = {"image": pictures.read, "audio": sounds.read}
ENDINGS = {
    "image": (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
    "audio": (".wav", ".flac", ".ogg", ".opus", ".mp3"),
}
GALLERIES = ("train", "gallery")
QUERIES = ("validation", "test", "query")
HELD_BYTES = 2**30  # of decoded files kept at hand; others are decoded again each time
BATCH = 256  # files encoded at once
FLOOR_SIZE = 64  # pixels of a side of pictures whose gradients are the floor
RELEVANT = "class"  # both groups of a pattern have names
MEASURES = ("map", "p@1")


@dataclass(frozen=True)
class File:
    name: str
    label: str
    """Its class; files of the same are what a query should find."""
    part: str = ""
    """The folder above its class: which part of the data it belongs to."""
    group: str = ""
    """Such as a speaker; none of its own group is found by a query."""


@dataclass(frozen=True)
class Collection:
    """Files of a folder or a zip, by class."""

    path: Path
    modality: str
    files: Sequence[File]

    @classmethod
    def of(cls, path: Path, modality: str, pattern: str | None = None) -> "Collection":
        """Class and part are the folders a file lies in, CLASS/FILE or PART/CLASS/FILE; with `pattern`, a regular
        expression, what its groups named "class" and "group" find in the file's name. Raises InvalidDataset."""
        try:
            names = sorted(_names(path))
            expression = re.compile(pattern) if pattern else None
        except (OSError, zipfile.BadZipFile) as error:
            raise InvalidDataset(f"{path} is neither a folder nor a zip that can be read.") from error
        except re.error as error:
            raise InvalidDataset(f"The pattern {pattern!r} is no regular expression: {error}.") from error
        if expression is not None and RELEVANT not in expression.groupindex:
            raise InvalidDataset(f"The pattern needs a group (?P<{RELEVANT}>...).")
        files = []
        for name in names:
            *folders, last = name.split("/")
            if not last.lower().endswith(ENDINGS[modality]) or last.startswith("."):
                continue
            if expression is not None:
                if not (found := expression.search(last)):
                    raise InvalidDataset(f"The pattern does not fit {name}.")
                named = found.groupdict()
                files.append(File(name, named[RELEVANT], "/".join(folders), named.get("group") or ""))
            elif folders:
                files.append(File(name, folders[-1], "/".join(folders[:-1])))
        if len({file.label for file in files}) < 2:
            raise InvalidDataset(
                f"{path} holds no two classes of {modality} files: it takes one folder for each class, or a pattern."
            )
        return cls(path, modality, files)

    def read(self, name: str) -> Any:
        """What a file holds, decoded. Raises Unreadable."""
        if self.path.is_dir():
            return READERS[self.modality]((self.path / name).read_bytes())
        with zipfile.ZipFile(self.path) as archive:
            return READERS[self.modality](archive.read(name))


class Inputs(Sequence[Any]):
    """Decoded files, of which a lot are kept at hand."""

    def __init__(self, read: Callable[[str], Any], names: Sequence[str], kept: dict[str, Any]) -> None:
        self.read, self.names, self.kept = read, names, kept

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return Inputs(self.read, self.names[row], self.kept)
        name = self.names[row]
        return self.kept[name] if name in self.kept else self.read(name)

    def at(self, rows: NDArray[np.intp]) -> "Inputs":
        return Inputs(self.read, [self.names[row] for row in rows], self.kept)


@dataclass(frozen=True)
class Setup:
    encoder: str
    config: Mapping[str, Any] = field(default_factory=dict)
    held_out: int = 0
    """Choose settings: one of so many files of the gallery's part are the queries, others the gallery, and the queries'
    part is not looked at. 0 asks the queries' part."""
    seed: int = 42
    threads: int = 1


@dataclass(frozen=True)
class Round:
    """What is asked once: rows of the files."""

    queries: NDArray[np.intp]
    gallery: NDArray[np.intp]
    """Learned from too."""
    alone: bool = False
    """Each query is one of the gallery's, which does not find itself."""


@dataclass(frozen=True)
class Found:
    """What one way to make vectors found."""

    name: str
    values: Mapping[str, Interval]
    """`map`, mean average precision over the whole gallery, and `p@1`."""
    dimension: int
    fit_s: float
    encode_s: float
    encoded: int


@dataclass(frozen=True)
class Report:
    modality: str
    protocol: str
    config: Mapping[str, Any]
    queries: int
    gallery: float
    """Files that a query is compared with, the mean."""
    classes: int
    chance: Mapping[str, float]
    rows: Sequence[Found]
    read_s: float
    read: int
    refused: Sequence[tuple[str, str]]
    """Files that could not be read, and why."""
    lonely: int
    """Queries left out, as the gallery has none of their class."""
    peak_mib: float


Encode = Callable[[Inputs], NDArray[np.float32]]
Fit = Callable[[Inputs], Encode]


def measure_retrieval(collection: Collection, setup: Setup, watch: Watch) -> Report:
    """The encoder's row and the floor's. Raises what fitting raises, InvalidConfig, UnknownName, InvalidDataset."""
    config = make_config(collection.modality, setup.encoder, setup.config)
    memory.forget_peak()
    files, inputs, refused, read_s = _read(collection, watch("reading"))
    rounds, protocol = _rounds(files, setup)
    labels = np.unique([file.label for file in files], return_inverse=True)[1]
    kind = encoder(collection.modality, setup.encoder)

    def fit(seen: Inputs) -> Encode:
        options = Options(setup.seed, setup.threads, progress=watch(f"{setup.encoder}: fitting"))
        opened = kind.open(kind.fit(seen, config, options), config)
        return opened.encode

    ways: list[tuple[str, Fit]] = [(setup.encoder, fit)]
    if floor := _floor(collection.modality, setup.encoder):
        ways.append(floor)
    rows, chance, lonely = [], np.empty((0, 2)), 0
    for name, way in ways:
        found, chance, lonely = _ask(name, way, inputs, labels, rounds, watch)
        rows.append(found)
    return Report(
        modality=collection.modality,
        protocol=protocol,
        config=asdict(config),
        queries=len(chance),
        gallery=float(np.mean([len(one.gallery) - one.alone for one in rounds])),
        classes=int(labels.max()) + 1,
        chance=dict(zip(MEASURES, chance.mean(axis=0).tolist(), strict=True)),
        rows=rows,
        read_s=read_s,
        read=len(files),
        refused=refused,
        lonely=lonely,
        peak_mib=memory.peak_bytes() / MIB,
    )


def precisions(
    queries: NDArray[np.float32],
    gallery: NDArray[np.float32],
    relevant: NDArray[np.bool_],
    itself: NDArray[np.intp] | None = None,
) -> NDArray[np.float64]:
    """float64 (Q, 2): each query's average precision over the whole gallery, and its precision at 1.

    `relevant` (Q, N), with one at least in each row. AP = sum over relevant places r of precision(r), divided by their
    number. Equal cosines rank by the lower row. `itself` (Q,) is the gallery's row of the query, which does not count.
    """
    cosines = queries @ gallery.T
    if itself is not None:
        cosines[np.arange(len(queries)), itself] = -np.inf  # last, and not relevant
        relevant = relevant.copy()
        relevant[np.arange(len(queries)), itself] = False
    order = np.argsort(-cosines, axis=1, kind="stable")
    hits = np.take_along_axis(relevant, order, axis=1)
    at = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return np.stack(((at * hits).sum(axis=1) / hits.sum(axis=1), hits[:, 0].astype(np.float64)), axis=1)


def by_chance(relevant: NDArray[np.int64], gallery: int) -> NDArray[np.float64]:
    """float64 (Q, 2): the same, expected of a random order; `relevant` (Q,) of `gallery` files are.

    E[AP] = H/N + (1 - H/N) (R - 1) / (N - 1), H the Nth harmonic number: given a relevant file at place r, the r - 1
    before it are of the other R - 1 with chance (R - 1) / (N - 1).
    """
    harmonic = float((1 / np.arange(1, gallery + 1)).sum()) / gallery
    expected = harmonic + (1 - harmonic) * (relevant - 1) / max(1, gallery - 1)
    return np.stack((expected, relevant / gallery), axis=1)


def retrieval_table(report: Report) -> list[str]:
    noun = {"image": "pictures", "audio": "sounds"}[report.modality]
    lines = [
        f"{report.queries} {noun} of {report.classes} classes, each against {report.gallery:.0f} by cosine; "
        f"{report.protocol}.",
        "",
        f"{'':<14} {'mAP':>5} {'95 %':>13}   {'P@1':>5} {'95 %':>13}   {'D':>5} {'fit s':>7} {f'{noun}/s':>10}",
    ]
    for row in report.rows:
        cells = [f"{value.value:5.3f} {f'{value.low:.3f} - {value.high:.3f}':>13}" for value in row.values.values()]
        speed = row.encoded / row.encode_s if row.encode_s else 0.0
        lines.append(f"{row.name:<14} {'   '.join(cells)}   {row.dimension:5d} {row.fit_s:7.1f} {speed:10.0f}")
    lines.append(f"{'by chance':<14} {report.chance['map']:5.3f} {'':>13}   {report.chance['p@1']:5.3f}")
    lines += ["", f"Reading: {report.read / max(report.read_s, 1e-9):.0f} {noun}/s. Peak: {report.peak_mib:.0f} MiB."]
    if report.lonely:
        lines.append(f"{report.lonely} queries were left out: there is no other of their class.")
    for name, reason in report.refused:
        lines.append(f"{name}: {reason}")
    return lines


def retrieval_json(report: Report) -> dict[str, Any]:
    rows = [{**asdict(row), "values": {k: v.as_json() for k, v in row.values.items()}} for row in report.rows]
    return {**asdict(report), "rows": rows}


def _names(path: Path) -> Iterator[str]:
    if path.is_dir():
        yield from (file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    else:
        with zipfile.ZipFile(path) as archive:
            yield from (name for name in archive.namelist() if not name.startswith("__MACOSX"))


def _read(
    collection: Collection, progress: Callable[[float, str], None]
) -> tuple[list[File], Inputs, list[tuple[str, str]], float]:
    """The files that can be read, decoded; those that cannot, and why; and how long it took."""
    clock, kept, held = Clock(), dict[str, Any](), 0
    files, refused = list[File](), list[tuple[str, str]]()
    for number, file in enumerate(collection.files):
        progress(number / len(collection.files), file.name)
        try:
            one = collection.read(file.name)
        except Unreadable as error:
            refused.append((file.name, error.message))
            continue
        files.append(file)
        if held + one.nbytes <= HELD_BYTES:
            held += one.nbytes
            kept[file.name] = one
    if not files:
        raise InvalidDataset(f"No file in {collection.path} can be read. The first: {refused[0][1]}")
    return files, Inputs(collection.read, [file.name for file in files], kept), refused, clock.read()[0]


def _rounds(files: Sequence[File], setup: Setup) -> tuple[list[Round], str]:
    """What is asked of what, and in words."""
    groups = np.array([file.group for file in files])
    parts = np.array([file.part.rsplit("/", 1)[-1] for file in files])
    everything = np.arange(len(files))
    gallery = everything[np.isin(parts, GALLERIES)]
    queries = everything[np.isin(parts, QUERIES)]
    if setup.held_out:
        chosen = gallery if len(gallery) else everything
        shuffled = np.random.default_rng(setup.seed).permutation(chosen)
        asked = np.sort(shuffled[:: setup.held_out])
        return [Round(asked, np.setdiff1d(chosen, asked))], f"one of {setup.held_out} held out to choose settings by"
    if groups.any():
        rounds = [Round(everything[groups == name], everything[groups != name]) for name in np.unique(groups)]
        return rounds, f"{len(rounds)} groups, each asked of a gallery (and a fit) without it"
    if len(gallery) and len(queries):
        return [Round(queries, gallery)], f"{parts[queries[0]]} asked of {parts[gallery[0]]}"
    return [Round(everything, everything, alone=True)], "each asked of all others"


def _ask(
    name: str, fit: Fit, inputs: Inputs, labels: NDArray[np.intp], rounds: Sequence[Round], watch: Watch
) -> tuple[Found, NDArray[np.float64], int]:
    """What a way found, each query's chance float64 (Q, 2), and how many queries had nothing to find."""
    values, chances = [], []
    fit_s, encode_s, encoded, lonely, dimension = 0.0, 0.0, 0, 0, 0
    for one in rounds:
        clock = Clock()
        encode = fit(inputs.at(one.gallery))
        fit_s += clock.read()[0]
        clock, progress = Clock(), watch(f"{name}: encoding")
        gallery = _encode(encode, inputs.at(one.gallery), progress)
        queries = gallery if one.alone else _encode(encode, inputs.at(one.queries), progress)
        encode_s, encoded = encode_s + clock.read()[0], encoded + len(gallery) + (0 if one.alone else len(queries))
        progress(1.0, "done")
        relevant = labels[one.queries, None] == labels[one.gallery]
        counts = relevant.sum(axis=1) - one.alone
        asked = np.flatnonzero(counts)
        lonely, dimension = lonely + len(counts) - len(asked), gallery.shape[1]
        itself = asked if one.alone else None
        values.append(precisions(queries[asked], gallery, relevant[asked], itself))
        chances.append(by_chance(counts[asked], len(one.gallery) - one.alone))
    found = np.concatenate(values)
    if not len(found):
        raise NoData("No query has another of its class to find.")
    summary = dict(zip(MEASURES, intervals(found), strict=True))
    return Found(name, summary, dimension, fit_s, encode_s, encoded), np.concatenate(chances), lonely


def _encode(encode: Encode, inputs: Inputs, progress: Callable[[float, str], None]) -> NDArray[np.float32]:
    parts = []
    for start in range(0, len(inputs), BATCH):
        progress(start / len(inputs), f"{start} of {len(inputs)}")
        parts.append(encode(inputs[start : start + BATCH]))
    return np.concatenate(parts)


def _floor(modality: str, name: str) -> tuple[str, Fit] | None:
    """What learns nothing, to compare with."""
    if modality == "image":
        return "HOG", lambda seen: _outlines
    if name == "mfcc":
        return None
    kind, config = encoder("audio", "mfcc"), make_config("audio", "mfcc", {})
    return "mfcc", lambda seen: kind.open(kind.fit(seen, config, Options()), config).encode


def _outlines(inputs: Sequence[Any]) -> NDArray[np.float32]:
    found = np.zeros((len(inputs), gradients.length(FLOOR_SIZE)), dtype=np.float32)
    for rows, batch in squares(inputs, FLOOR_SIZE):
        found[rows] = gradients.histograms(batch.astype(np.float32) / np.float32(255))
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
