"""How well attacks on a network are told from what is normal, on NSL-KDD: almost half of the attacks in the test file
are rare in the training file or not in it, so that a classifier alone takes them for harmless.

Ours is what the shop's screening does: a detector learns from normal rows only (each of these is judged by a detector
that did not learn from it), and engine/anomaly/supervised joins it with a classifier on the labels. An attack is told
where the probability is CUT or more; the detector alone is calibrated by labels, too. Detector, joining and cut were
chosen on the training file, with attacks kept out of it as `leave_kinds_out` does; the peers have their defaults and
see the same columns.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.anomaly import calibration, detector, make_config, supervised
from recommender.engine.errors import InvalidDataset
from recommender.engine.options import Options, Progress
from recommender.services.benchmarking.intrusion_files import FAMILY, OTHER, TEST, TRAIN, Encoding, Part
from recommender.services.benchmarking.processes import Clock
from recommender.services.benchmarking.tables import layout

CUT = 0.5
FOLDS = 5
PARTS = 6  # that attacks are kept out in, to validate
PUBLISHED = {"NBTree": 0.820, "random forest": 0.807}  # accuracy on KDDTest+, Tavallaee et al. 2009
OURS = "detector + classifier"
PEERS = ("random_forest", "gaussian_nb", "decision_tree", "hist_gradient_boosting", "pyod_iforest")


@dataclass(frozen=True)
class Setup:
    detector: str = "dte"
    scale: str = "minmax"
    """How it makes columns comparable, where that can be set."""
    trees: int = 100
    seed: int = 42
    threads: int = 1


@dataclass(frozen=True)
class Told:
    """What one method says of rows, (R,) each."""

    alarms: NDArray[np.bool_]
    scores: NDArray[np.float64]


@dataclass(frozen=True)
class Judge:
    """What was learned: `detector`, its `curve` and `learned`, of the rows that `encoding` makes."""

    encoding: Encoding
    scores: Callable[[NDArray[np.float32]], NDArray[np.float64]]
    curve: Any
    learned: supervised.Learned

    def told(self, part: Part) -> dict[str, Told]:
        """By the two together, and by each alone."""
        rows = self.encoding.rows(part)
        alone = calibration.probabilities(self.curve, self.scores(rows))
        both = supervised.probabilities(self.learned.arrays, rows, alone)
        return {OURS: Told(both >= CUT, both), "detector alone": Told(alone >= CUT, alone)}


@dataclass(frozen=True)
class Figures:
    name: str
    accuracy: float
    false_positives: float
    """Share of normal rows that were called attacks."""
    auroc: float
    known: float
    """Recall of attacks whose name is in the training file; NaN where there is none."""
    new: float
    families: dict[str, float]
    """Recall."""
    attacks: dict[str, float]
    fit_s: float = 0.0
    fit_cpu_s: float = 0.0


def learn(train: Part, setup: Setup, progress: Progress) -> Judge:
    """Raises InvalidDataset where there is too little to learn from, and what detectors raise."""
    options = Options(setup.seed, setup.threads, progress=progress)
    encoding, attack = Encoding.of(train), train.attack
    rows = encoding.rows(train)
    normal = np.flatnonzero(~attack)
    if min(len(normal), int(attack.sum())) < 20:
        raise InvalidDataset("20 normal lines and 20 attacks are needed to learn from, at least.")
    whole = _detector(rows[normal], setup, options)
    scores = np.empty(len(rows))
    scores[attack] = whole(rows[attack])
    place = np.random.default_rng(setup.seed).permutation(len(normal)) % FOLDS
    for fold in range(FOLDS):
        scores[normal[place == fold]] = _detector(rows[normal[place != fold]], setup, options)(
            rows[normal[place == fold]]
        )
    curve = calibration.fit(scores, attack.astype(np.float64))
    config = supervised.Config(learners=("forest",), trees=setup.trees)
    learned = supervised.fit(
        rows, attack.astype(np.int8), calibration.probabilities(curve, scores), options, config, train.labels.tolist()
    )
    return Judge(encoding, whole, curve, learned)


def _detector(
    rows: NDArray[np.float32], setup: Setup, options: Options
) -> Callable[[NDArray[np.float32]], NDArray[np.float64]]:
    kind = detector(setup.detector)
    known = getattr(kind.Config, "__dataclass_fields__", {})
    config = make_config(setup.detector, {"scale": setup.scale} if "scale" in known else {})
    quiet = Options(options.seed, options.threads)
    return kind.open(kind.fit(rows, config, quiet), config).scores


def measure(
    parts: dict[str, Part], setup: Setup, peers: Sequence[str], watch: Callable[[str], Progress]
) -> tuple[list[Figures], dict[str, Any]]:
    """Figures on the test file, ours first; and what the joining said of itself, on the training file."""
    train, test = parts["train"], parts["test"]
    clock, progress = Clock(), watch("ours")
    judge = learn(train, setup, progress)
    seconds = clock.read()
    progress(1.0, "done")
    known = np.unique(train.labels)
    found = [figures(name, told, test, known, *seconds) for name, told in judge.told(test).items()]
    rows, asked = judge.encoding.rows(train), judge.encoding.rows(test)
    for name in peers:
        progress, clock = watch(name), Clock()
        told = _peer(name, rows, train.attack, asked, setup)
        found.append(figures(name, told, test, known, *clock.read()))
        progress(1.0, "done")
    return found, judge.learned.facts


def _peer(
    name: str, rows: NDArray[np.float32], attack: NDArray[np.bool_], asked: NDArray[np.float32], setup: Setup
) -> Told:
    if name == "pyod_iforest":
        from pyod.models.iforest import IForest

        forest = IForest(random_state=setup.seed, n_jobs=setup.threads).fit(rows[~attack])
        return Told(forest.predict(asked).astype(np.bool_), forest.decision_function(asked))
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.naive_bayes import GaussianNB
    from sklearn.tree import DecisionTreeClassifier

    models: dict[str, Any] = {
        "random_forest": lambda: RandomForestClassifier(random_state=setup.seed, n_jobs=setup.threads),
        "gaussian_nb": GaussianNB,
        "decision_tree": lambda: DecisionTreeClassifier(random_state=setup.seed),
        "hist_gradient_boosting": lambda: HistGradientBoostingClassifier(random_state=setup.seed),
    }
    model = models[name]().fit(rows, attack)
    return Told(model.predict(asked).astype(np.bool_), model.predict_proba(asked)[:, 1])


def figures(
    name: str, told: Told, part: Part, known: NDArray[np.str_], fit_s: float = 0.0, fit_cpu_s: float = 0.0
) -> Figures:
    attack, seen = part.attack, np.isin(part.labels, known)
    families = np.array([FAMILY.get(label, OTHER) for label in part.labels.tolist()])
    return Figures(
        name,
        float(np.mean(told.alarms == attack)),
        _share(told.alarms[~attack]),
        supervised.auroc(told.scores, attack),
        _share(told.alarms[attack & seen]),
        _share(told.alarms[attack & ~seen]),
        {str(one): _share(told.alarms[attack & (families == one)]) for one in np.unique(families[attack])},
        {str(one): _share(told.alarms[part.labels == one]) for one in np.unique(part.labels[attack])},
        fit_s,
        fit_cpu_s,
    )


def _share(alarms: NDArray[np.bool_]) -> float:
    return float(alarms.mean()) if len(alarms) else float("nan")


def leave_kinds_out(train: Part, setup: Setup, watch: Callable[[str], Progress]) -> dict[str, Any]:
    """What new attacks would meet, by the training file alone: every attack in turn is kept from all that learns, and
    a fifth of the other rows with it. Recall of each attack kept out, and of the others; false positives."""
    names, counts = np.unique(train.labels[train.attack], return_counts=True)
    names = names[np.argsort(-counts, kind="stable")]
    place = np.random.default_rng(setup.seed).permutation(len(train)) % FOLDS
    new: dict[str, float] = {}
    known, false_positives, areas = [], [], []
    for number in range(min(PARTS, len(names))):
        out = np.isin(train.labels, names[number::PARTS])
        held = out | (place == number % FOLDS)
        progress = watch(f"attacks kept out, {number + 1} of {min(PARTS, len(names))}")
        told, asked = learn(train.where(~held), setup, progress).told(train.where(held))[OURS], train.where(held)
        progress(1.0, "done")
        new |= {str(name): _share(told.alarms[asked.labels == name]) for name in names[number::PARTS]}
        known.append(_share(told.alarms[asked.attack & ~out[held]]))
        false_positives.append(_share(told.alarms[~asked.attack]))
        areas.append(supervised.auroc(told.scores[~asked.attack | out[held]], asked.attack[~asked.attack | out[held]]))
    return {
        "new": new,
        "new_mean": float(np.mean(list(new.values()))),
        "known": float(np.mean(known)),
        "false_positives": float(np.mean(false_positives)),
        "auroc_new": float(np.mean(areas)),
    }


def table(
    folder: Path, parts: dict[str, Part], found: Sequence[Figures], validated: dict[str, Any] | None
) -> list[str]:
    families = sorted({name for one in found for name in one.families})
    header = ["told by", "accuracy", "false alarms", "AUROC", "known", "new", *families, "fit s", "CPU s"]
    cells = [
        [
            one.name, f"{one.accuracy:.4f}", f"{one.false_positives:.4f}", f"{one.auroc:.4f}", f"{one.known:.3f}",
            f"{one.new:.3f}", *(f"{one.families[name]:.3f}" for name in families), f"{one.fit_s:.1f}",
            f"{one.fit_cpu_s:.1f}",
        ]
        for one in found
    ]  # fmt: skip
    test = parts["test"]
    known = set(parts["train"].labels.tolist())
    names, counts = np.unique(test.labels[test.attack], return_counts=True)
    each = [
        [name + ("" if name in known else " (new)"), FAMILY.get(name, OTHER), str(count),
         f"{found[0].attacks[name]:.3f}"]
        for count, name in sorted(zip(counts.tolist(), names.tolist(), strict=True), key=lambda one: (-one[0], one[1]))
    ]  # fmt: skip
    lines = [
        *layout(header, cells),
        "",
        f"{folder.name}: {len(parts['train']):,} lines of {TRAIN} learned from, {len(test):,} of {TEST} told; attacks"
        f" are those of a probability of {CUT} or more. Known and new: recall of attacks by whether their name is in"
        " the training file; families: recall.",
        f"Published: {', '.join(f'{name} {value:.3f}' for name, value in PUBLISHED.items())}.",
        "",
        *layout([f"attack, by {found[0].name}", "family", "lines", "recall"], each),
    ]
    if validated:
        lines += [
            "",
            "Each attack of the training file kept from all that learns, in turn: recall"
            f" {validated['new_mean']:.3f} on average over them ("
            + ", ".join(f"{name} {value:.2f}" for name, value in validated["new"].items())
            + f"), of other attacks {validated['known']:.3f}; false alarms {validated['false_positives']:.4f}; AUROC"
            f" {validated['auroc_new']:.3f}.",
        ]
    return lines


def as_json(
    folder: Path,
    parts: dict[str, Part],
    found: Sequence[Figures],
    facts: dict[str, Any],
    validated: dict[str, Any] | None,
    setup: Setup,
) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(one) for key, one in value.items()}
        return None if isinstance(value, float) and not np.isfinite(value) else value

    return {
        "dataset": folder.name,
        "sizes": {name: len(part) for name, part in parts.items()},
        "config": asdict(setup) | {"cut": CUT},
        "results": [plain(asdict(one)) for one in found],
        "joined": plain(facts),
        "attacks_kept_out": plain(validated),
        "published_accuracy": PUBLISHED,
    }
