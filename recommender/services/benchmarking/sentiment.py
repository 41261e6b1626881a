"""How well praise is told from blame in sentences that nobody learned from, on a data set such as SST-2.

Everything is chosen and calibrated on the validation part; the test part is looked at once, at the end. The words of a
sentence (see engine/opinion/ngrams) are joined with one of three readings of a text encoder:

    sentence   the vector of the whole, as the shop's own reviews are read
    states     what the language model makes of each word, weighed by learned attention; it stays as it is (frozen)
    tuned      the same, and the language model learns too
"""

import gzip
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.encoders import encoder, make_config
from recommender.engine.errors import InvalidDataset
from recommender.engine.opinion import ngrams, sentiment
from recommender.engine.options import Options, Progress
from recommender.services.benchmarking.processes import Clock
from recommender.services.benchmarking.tables import layout

METHODS = ("words", "sentence", "states", "tuned")
PARTS = ("train", "dev", "test")
LENGTH = 128  # tokens of a sentence that are read
DROPOUT = 0.1  # in the language model while it learns


@dataclass(frozen=True)
class Part:
    texts: list[str]
    liked: NDArray[np.bool_]


Parts = dict[str, Part]


@dataclass(frozen=True)
class Found:
    name: str
    dev: dict[str, float]
    """Accuracy, log loss and calibration error; the calibration cross-fitted."""
    test: dict[str, float]
    alone: float
    """Accuracy on the validation part without the words' score."""
    fit_s: float
    fit_cpu_s: float
    config: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Setup:
    encoder: str = "minilm"
    tuned_epochs: int = 3
    members: int = 3
    """Heads that are learned from different seeds and averaged, where the language model stays as it is."""
    seed: int = 42
    threads: int = 1


def read(folder: Path) -> Parts:
    """train, dev and test, each a .tsv.gz or .tsv of sentences and 1 for praise or 0. Raises InvalidDataset."""
    found = {}
    for name in PARTS:
        paths = [path for ending in (".tsv.gz", ".tsv") if (path := folder / f"{name}{ending}").is_file()]
        if not paths:
            raise InvalidDataset(f"{folder} has no {name}.tsv.gz.")
        try:
            data = paths[0].read_bytes()
            text = (gzip.decompress(data) if paths[0].suffix == ".gz" else data).decode()
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            raise InvalidDataset(f"{paths[0]} cannot be read: {error}.") from error
        rows = [line.rsplit("\t", 1) for line in text.splitlines() if line.strip()]
        for number, row in enumerate(rows, 1):
            if len(row) != 2 or row[1].strip() not in ("0", "1"):
                raise InvalidDataset(f"{paths[0]}, line {number}: it must be a sentence, a tab, and 0 or 1.")
        found[name] = Part([row[0] for row in rows], np.array([row[1].strip() == "1" for row in rows], dtype=np.bool_))
        if len(set(found[name].liked.tolist())) < 2:
            raise InvalidDataset(f"{paths[0]} needs sentences of both kinds.")
    return found


def measure(parts: Parts, methods: Sequence[str], setup: Setup, watch: Callable[[str], Progress]) -> list[Found]:
    """Each method's figures. Raises what encoders raise."""
    weights = ngrams.fit(parts["train"].texts, parts["train"].liked)
    words = {name: ngrams.scores(weights, parts[name].texts) for name in ("dev", "test")}
    return [_measured(parts, name, words, setup, watch(name)) for name in methods]


def _measured(parts: Parts, name: str, words: dict[str, Any], setup: Setup, progress: Progress) -> Found:
    clock, config = Clock(), dict[str, Any]()
    options = Options(setup.seed, setup.threads, progress=progress)
    if name == "words":
        ngrams.fit(parts["train"].texts, parts["train"].liked)
        read = {part: np.zeros(len(words[part])) for part in ("dev", "test")}
    elif name == "sentence":
        read = _sentence(parts, setup, options)
    else:
        read, config = _states(parts, setup, options, tuned=name == "tuned")
    fit_s, fit_cpu_s = clock.read()
    progress(1.0, "done")
    both = {part: np.stack([read[part], words[part]], axis=1) for part in read}
    dev, test = sentiment.join(both["dev"], parts["dev"].liked, both["test"])
    alone = read["dev"] if name != "words" else words["dev"]
    return Found(
        name,
        sentiment.measures(dev, parts["dev"].liked),
        sentiment.measures(test, parts["test"].liked),
        float(np.mean((alone > 0) == parts["dev"].liked)),
        fit_s,
        fit_cpu_s,
        config,
    )


def _sentence(parts: Parts, setup: Setup, options: Options) -> dict[str, NDArray[np.float64]]:
    """Log odds by logistic regression over the encoder's vectors, as services/opinions learns it."""
    kind, config = encoder("text", setup.encoder), make_config("text", setup.encoder, {})
    train, dev = parts["train"], parts["dev"]
    opened = kind.open(kind.fit(train.texts, config, options), config)
    vectors = {name: opened.encode(part.texts) for name, part in parts.items()}
    apart = np.repeat([False, True], [len(train.texts), len(dev.texts)])
    found = sentiment.fit_apart(
        train.texts + dev.texts,
        np.concatenate([vectors["train"], vectors["dev"]]),
        np.concatenate([train.liked, dev.liked]).astype(np.float64),
        apart,
    ).arrays["vectors"]
    return {name: vectors[name].astype(np.float64) @ found[:-1] + found[-1] for name in ("dev", "test")}


def _states(
    parts: Parts, setup: Setup, options: Options, tuned: bool
) -> tuple[dict[str, NDArray[np.float64]], dict[str, Any]]:
    from recommender.engine.encoders.text import bert_files, minilm
    from recommender.engine.encoders.text.bert_module import Bert
    from recommender.engine.encoders.text.tokens import Tokens
    from recommender.engine.opinion.reader import ReaderConfig, Texts, learn, scores

    model = bert_files.read(minilm.folder())
    tokens = Tokens(model.tokenizer, LENGTH)
    ids = {name: [tokens.of(text) or [0] for text in part.texts] for name, part in parts.items()}
    told, held = (Texts(ids[name], parts[name].liked) for name in ("train", "dev"))
    config = ReaderConfig(tuned_epochs=setup.tuned_epochs if tuned else 0)
    bert = Bert(model, DROPOUT if tuned else 0.0)
    readers = learn(bert, bert.width, told, held, config, options, setup.members)
    found = {name: scores(readers, ids[name], options) for name in ("dev", "test")}
    return found, {**asdict(config), "members": len(readers)}


def table(folder: Path, parts: Parts, found: Sequence[Found]) -> list[str]:
    header = ["read by", "test accuracy", "log loss", "calibration", "dev accuracy", "without words", "fit s", "CPU s"]
    cells = [
        [
            one.name,
            f"{one.test['accuracy']:.4f}",
            f"{one.test['log_loss']:.4f}",
            f"{one.test['calibration_error']:.4f}",
            f"{one.dev['accuracy']:.4f}",
            f"{one.alone:.4f}",
            f"{one.fit_s:.1f}",
            f"{one.fit_cpu_s:.1f}",
        ]
        for one in found
    ]
    sizes = ", ".join(f"{len(parts[name].texts):,} {name}" for name in PARTS)
    return [
        *layout(header, cells),
        "",
        f"{folder.name}: {sizes}. Chosen and calibrated on dev; test was looked at once.",
    ]


def as_json(folder: Path, parts: Parts, found: Sequence[Found]) -> dict[str, Any]:
    return {
        "dataset": folder.name,
        "sizes": {name: len(parts[name].texts) for name in PARTS},
        "results": [
            {
                "method": one.name,
                "config": one.config,
                "test": one.test,
                "dev": one.dev,
                "dev_accuracy_without_words": one.alone,
                "fit_s": one.fit_s,
                "fit_cpu_s": one.fit_cpu_s,
            }
            for one in found
        ],
    }
