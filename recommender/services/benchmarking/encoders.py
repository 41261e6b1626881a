"""What encoders cost: to fit, to hold in a web process, for a query, and for a catalogue. Inputs are made up, of the
lengths and sizes that catalogues have, so that no data set is needed: what they say is not looked at here.
"""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.artifact import versions
from recommender.engine.data.sounds import RATE
from recommender.engine.encoders import ENCODERS, encoder, make_config
from recommender.engine.options import Options
from recommender.services import memory
from recommender.services.benchmarking import processes
from recommender.services.benchmarking.processes import MIB, Clock, Limits, Refusal, Watch
from recommender.services.benchmarking.tables import layout

ITEMS = {"text": 1000, "image": 200, "audio": 100}
QUERIES = 50
CHUNK = 32  # inputs that a thread encodes at once
WORDS = (
    "a an and the of for with in by on blue red white green small large old new soft brass ceramic wooden paper glass "
    "cotton lantern mug atlas lamp notebook print record candle basket chair blanket teapot clock mirror map novel "
    "poem garden sea mountain forest city winter summer evening morning story life history love war music jazz piano "
    "guitar voice handmade limited edition signed first classic modern light heavy warm bright quiet gift set pair "
    "box kitchen children's house family friend traveller sailor painter writer collected complete illustrated "
    "translated original cover pages inches grams printed made found lost hidden forgotten beautiful simple strange "
    "long every always"
)


@dataclass(frozen=True)
class Measured:
    """One encoder, or why there is nothing to show."""

    modality: str
    encoder: str
    config: Mapping[str, Any]
    items: int
    threads: int
    dimension: int = 0
    fit_s: float = 0.0
    fit_mib: float = 0.0
    """Peak of the worker that fitted it, all that it loaded among it."""
    size_mib: float = 0.0
    """On disk."""
    load_s: float = 0.0
    """Until the first query is answered, in a process that holds NumPy only."""
    load_mib: float = 0.0
    """What that added to the process."""
    query_ms: float = 0.0
    """Median of one query at a time, after that."""
    query_cpu_ms: float = 0.0
    """Mean, of all cores together: what to compare where the machine does other things too."""
    items_per_s: float = 0.0
    """Of a catalogue, in as many threads as the row says."""
    item_cpu_ms: float = 0.0
    """Of all cores together."""
    peak_mib: float = 0.0
    """Of the process that encodes them."""
    refusal: str = ""


def measure_encoders(
    chosen: Sequence[tuple[str, str]],
    *,
    configs: Mapping[str, Mapping[str, Any]],
    items: int | None = None,
    seed: int = 42,
    threads: int = 2,
    limits: Limits = processes.NO_LIMITS,
    watch: Watch,
    run: Callable[..., Any] = processes.apart,
) -> list[Measured]:
    """`chosen` are modalities and names; `configs` settings by name. Two processes for each: a worker that fits, and
    one, like a web process, that opens. Raises InvalidConfig, UnknownName.
    """
    rows = []
    for modality, name in chosen:
        settings = dict(configs.get(name, {}))
        make_config(modality, name, settings)
        row = Measured(modality, name, settings, items or ITEMS[modality], threads)
        with tempfile.TemporaryDirectory(prefix="recsite-encoders-") as folder:
            for work in (fit_one, open_one):
                given = (Path(folder), modality, name, settings, row.items, seed, threads)
                found = run(work, *given, watch=watch, limits=limits)
                if isinstance(found, Refusal):
                    row = replace(row, refusal=found.reason)
                    break
                row = replace(row, **found)
        rows.append(row)
    return rows


def fit_one(
    watch: Watch,
    folder: Path,
    modality: str,
    name: str,
    settings: Mapping[str, Any],
    items: int,
    seed: int,
    threads: int,
) -> dict[str, float]:
    """Fit on made up inputs, and write the arrays to `folder`."""
    config, inputs = make_config(modality, name, settings), made_up(modality, items, seed)
    options = Options(seed, threads, progress=watch(f"{name}, fitting"))
    memory.forget_peak()
    clock = Clock()
    arrays = encoder(modality, name).fit(inputs, config, options)
    fit_s = clock.read()[0]
    for key, array in arrays.items():
        path = folder / f"{key}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, array, allow_pickle=False)
    size = sum(path.stat().st_size for path in folder.rglob("*.npy"))
    return {"fit_s": fit_s, "fit_mib": memory.peak_bytes() / MIB, "size_mib": size / MIB}


def open_one(
    watch: Watch,
    folder: Path,
    modality: str,
    name: str,
    settings: Mapping[str, Any],
    items: int,
    seed: int,
    threads: int,
) -> dict[str, float]:
    """Open what `folder` holds as a web process does, and encode queries and a catalogue."""
    inputs, queries = made_up(modality, items, seed), made_up(modality, QUERIES, seed + 1, short=True)
    told = watch(f"{name}, encoding")
    start = memory.resident_bytes()
    clock = Clock()
    arrays = {
        path.relative_to(folder).with_suffix("").as_posix(): np.load(path, mmap_mode="r", allow_pickle=False)
        for path in sorted(folder.rglob("*.npy"))
    }
    opened = encoder(modality, name).open(arrays, make_config(modality, name, settings))
    opened.encode(queries[:1])
    load_s, load_bytes = clock.read()[0], memory.resident_bytes() - start
    asked, clock = [], Clock()
    for query in queries:
        begin = time.perf_counter()
        opened.encode([query])
        asked.append(time.perf_counter() - begin)
    query_cpu_s = clock.read()[1] / len(queries)
    memory.forget_peak()
    chunks = [inputs[first : first + CHUNK] for first in range(0, len(inputs), CHUNK)]
    clock = Clock()
    with ThreadPoolExecutor(threads) as pool:
        for number, _ in enumerate(pool.map(opened.encode, chunks), 1):
            told(number / len(chunks), f"{number * CHUNK:,} items")
    wall_s, cpu_s = clock.read()
    return {
        "dimension": opened.dimension,
        "load_s": load_s,
        "load_mib": load_bytes / MIB,
        "query_ms": 1000 * median(asked),
        "query_cpu_ms": 1000 * query_cpu_s,
        "items_per_s": len(inputs) / wall_s,
        "item_cpu_ms": 1000 * cpu_s / len(inputs),
        "peak_mib": memory.peak_bytes() / MIB,
    }


def made_up(modality: str, count: int, seed: int, short: bool = False) -> list[Any]:
    """Inputs like a catalogue's, or like queries: texts of 50 words, or 4; pictures 384 wide; sounds of 5 s, or 2."""
    random, words = np.random.default_rng(seed), WORDS.split()
    if modality == "text":
        lengths = np.clip(random.lognormal(np.log(4 if short else 50), 0.5, count), 1, 1000).astype(int)
        return [" ".join(random.choice(words, length)) for length in lengths]
    if modality == "image":
        return [_picture(random, 384) for _ in range(count)]
    return [_sound(random, 2 if short else 5) for _ in range(count)]


def encoders_table(rows: Sequence[Measured]) -> list[str]:
    header = ["encoder", "D", "fit s", "fit MiB", "on disk MiB", "load s", "adds MiB"]
    header += ["query ms", "CPU ms", "items/s", "CPU ms each", "peak MiB"]
    cells = []
    for row in rows:
        if row.refusal:
            cells.append([f"{row.modality} {row.encoder}", f"no result: {row.refusal}"])
            continue
        cells.append(
            [
                *(f"{row.modality} {row.encoder}", str(row.dimension), f"{row.fit_s:.1f}", f"{row.fit_mib:.0f}"),
                *(f"{row.size_mib:.1f}", f"{row.load_s:.2f}", f"{row.load_mib:.0f}", f"{row.query_ms:.2f}"),
                *(f"{row.query_cpu_ms:.2f}", f"{row.items_per_s:.0f}", f"{row.item_cpu_ms:.2f}"),
                f"{row.peak_mib:.0f}",
            ]
        )
    return layout(header, cells)


def encoders_json(rows: Sequence[Measured]) -> dict[str, Any]:
    return {"versions": versions(), "measured": [asdict(row) for row in rows]}


def every() -> list[tuple[str, str]]:
    return [(modality, name) for modality, names in ENCODERS.items() for name in names]


def _picture(random: np.random.Generator, side: int) -> NDArray[np.uint8]:
    """Patches of colour with grain over them."""
    patches = random.integers(0, 200, (side // 32, side // 32, 3)).repeat(32, axis=0).repeat(32, axis=1)
    return (patches + random.integers(0, 56, patches.shape)).astype(np.uint8)


def _sound(random: np.random.Generator, seconds: float) -> NDArray[np.float32]:
    """A chord that dies away, with noise under it."""
    t = np.arange(int(seconds * RATE)) / RATE
    tones = sum(np.sin(2 * np.pi * pitch * t) for pitch in random.uniform(100, 2000, 3))
    return (0.2 * tones * np.exp(-t) + random.normal(0, 0.01, len(t))).astype(np.float32)
