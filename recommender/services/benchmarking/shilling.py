"""How well fake profiles are told from real visitors: simulated attacks on public data, detected without being told.

Each attack of engine/attacks is mixed into a set's real events; engine/anomaly/subjects/profiles judges every visitor.
Beside it two peers look at the same shop: PCA VarSelect (Mehta and Nejdl 2009: fakes load least on the first principal
components of the matrix of visitors and items) and PyOD's isolation forest on the features of profiles.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.anomaly.subjects.profile_cells import Deeds, cells_of
from recommender.engine.anomaly.subjects.profiles import find
from recommender.engine.attacks import Attack, drill, inject
from recommender.engine.data.activity import Activity
from recommender.engine.options import Options, Progress
from recommender.services.benchmarking.processes import Clock
from recommender.services.benchmarking.tables import layout

BUDGET = 0.01  # false alarms allowed, as a share of the real visitors
COMPONENTS = 3
OURS, VARSELECT, FOREST = "profiles", "PCA VarSelect", "PyOD IForest"
CLEAN = "no attack"


@dataclass(frozen=True)
class Outcome:
    kind: str
    intent: str
    size: float
    filler: float
    seed: int
    auroc: dict[str, float]
    """By detector; empty without an attack."""
    caught: dict[str, float]
    """Share of the fakes found when BUDGET of the real visitors are accused."""
    flagged: tuple[int, int]
    """Fake and real visitors at .9."""
    weighed: tuple[int, int]
    """At .5."""
    fakes: int
    targets: float
    """Share of the items aimed at that are named by somebody flagged; NaN where nobody is."""
    cpu_s: float


def plan(kinds: Sequence[str], sizes: Sequence[float], fillers: Sequence[float]) -> list[Attack]:
    """Every kind with the intent it is made for, at every size and filler."""
    return [
        replace(attack, size=size, filler=filler)
        for attack in drill(Attack())
        if attack.kind in kinds
        for size in sizes
        for filler in fillers
    ]


def measure(
    activity: Activity, attacks: Sequence[Attack], seeds: Sequence[int], threads: int, watch: Callable[[str], Progress]
) -> list[Outcome]:
    """The clean set first, then every attack with every seed. Raises what inject and find raise."""
    progress = watch("attacks")
    total = 1 + len(attacks) * len(seeds)
    nobody = np.zeros(len(activity.visitors), np.bool_)
    found = [_judged(activity, nobody, [], CLEAN, "", 0, 0, seeds[0], threads)]
    for attack in attacks:
        for seed in seeds:
            progress(len(found) / total, f"{attack.kind} {attack.size:.0%}")
            mixed = inject(activity, attack, seed)
            aims = activity.items.ids(mixed.rivals if len(mixed.rivals) else mixed.targets)
            about = (attack.kind, attack.intent, attack.size, attack.filler, seed)
            found.append(_judged(mixed.activity, mixed.fake, aims, *about, threads))
    progress(1.0, "done")
    return found


def _judged(
    activity: Activity,
    fake: NDArray[np.bool_],
    aims: list[str],
    kind: str,
    intent: str,
    size: float,
    filler: float,
    seed: int,
    threads: int,
) -> Outcome:
    from sklearn.metrics import roc_auc_score

    clock = Clock()
    found = find(activity, Options(seed=seed, threads=threads))
    _, cpu_s = clock.read()
    auroc, caught = {}, {}
    if fake.any():
        scores = {
            OURS: found.arrays["odds"],
            VARSELECT: varselect(activity),
            FOREST: forest(found.features.values, seed),
        }
        auroc = {name: float(roc_auc_score(fake, score)) for name, score in scores.items()}
        caught = {name: caught_at(score, fake) for name, score in scores.items()}
    sure, likely = found.probabilities >= 0.9, found.probabilities >= 0.5
    named = {item for row in np.flatnonzero(likely).tolist() for item in found.targets.get(row, ())}
    return Outcome(
        kind,
        intent,
        size,
        filler,
        seed,
        auroc,
        caught,
        (int((sure & fake).sum()), int((sure & ~fake).sum())),
        (int((likely & fake).sum()), int((likely & ~fake).sum())),
        int(fake.sum()),
        len(named & set(aims)) / len(aims) if aims and named else float("nan"),
        cpu_s,
    )


def caught_at(scores: NDArray[Any], fake: NDArray[np.bool_], budget: float = BUDGET) -> float:
    """The share of fakes above the score that `budget` of the real visitors exceed."""
    return float((scores[fake] > np.quantile(scores[~fake], 1 - budget)).mean())


def varselect(activity: Activity) -> NDArray[np.float64]:
    """(U,): less the share of a visitor's row that lies in the first components; rows of length 1, columns centred."""
    from scipy.sparse import diags
    from scipy.sparse.linalg import LinearOperator, svds

    cells = cells_of(Deeds.of(activity))
    values = np.where(cells.rated, np.nan_to_num(cells.stars), 1.0)
    matrix = cells.matrix(values).astype(np.float64)
    length = np.sqrt(matrix.multiply(matrix).sum(axis=1)).A1
    matrix = diags(1 / np.where(length > 0, length, 1)) @ matrix
    means = np.asarray(matrix.mean(axis=0)).ravel()
    ones = np.ones(matrix.shape[0])
    operator = LinearOperator(
        matrix.shape,
        matvec=lambda x: matrix @ x.ravel() - means @ x.ravel(),
        rmatvec=lambda y: matrix.T @ y.ravel() - means * (ones @ y.ravel()),
        dtype=np.float64,
    )
    left, weights, _ = svds(operator, k=min(COMPONENTS, min(matrix.shape) - 1), random_state=0)
    found: NDArray[np.float64] = -((left * weights) ** 2).sum(axis=1)
    return found


def forest(values: NDArray[np.float32], seed: int) -> NDArray[np.float64]:
    """(U,): PyOD's isolation forest on the profiles' own features. Raises ImportError without PyOD."""
    from pyod.models.iforest import IForest

    rows = np.where(np.isfinite(values), values, np.nan)[:, :-5]  # without what was learned from decoys and crowds
    rows = rows[:, np.isfinite(rows).any(axis=0)]
    middle = np.nanmedian(rows, axis=0)
    model = IForest(random_state=seed, n_estimators=100)
    model.fit(np.where(np.isfinite(rows), rows, middle))
    scores: NDArray[np.float64] = model.decision_scores_
    return scores


def table(name: str, found: Sequence[Outcome]) -> list[str]:
    """One line a kind of attack, then all, the hardest and the clean set."""
    attacked = [one for one in found if one.auroc]
    header = ["kind", "AUROC", "worst", "caught at 1 %", VARSELECT, FOREST, "fakes at .9", "real at .9", "CPU s"]
    rows = [
        _line(kind, [one for one in attacked if one.kind == kind]) for kind in dict.fromkeys(o.kind for o in attacked)
    ]
    if attacked:
        rows.append(_line("all", attacked))
    lines = layout(header, rows)
    for one in found:
        if not one.auroc:
            lines += ["", f"{name} without an attack: {one.flagged[1]} at .9, {one.weighed[1]} at .5."]
    return lines


def _line(kind: str, found: Sequence[Outcome]) -> list[str]:
    def mean(values: Sequence[float]) -> float:
        return float(np.mean(values))

    fakes = mean([one.flagged[0] / max(one.fakes, 1) for one in found])
    return [
        kind,
        f"{mean([one.auroc[OURS] for one in found]):.3f}",
        f"{min(one.auroc[OURS] for one in found):.3f}",
        f"{mean([one.caught[OURS] for one in found]):.3f}",
        f"{mean([one.auroc[VARSELECT] for one in found]):.3f}",
        f"{mean([one.auroc[FOREST] for one in found]):.3f}",
        f"{fakes:.0%}",
        f"{mean([one.flagged[1] for one in found]):.1f}",
        f"{mean([one.cpu_s for one in found]):.1f}",
    ]


def as_json(name: str, found: Sequence[Outcome]) -> Mapping[str, Any]:
    told = [asdict(one) for one in found]
    for one in told:
        one["targets"] = None if np.isnan(one["targets"]) else one["targets"]
    return {"dataset": name, "budget": BUDGET, "results": told}


def draw(path: Any, name: str, found: Sequence[Outcome]) -> None:
    """Bars of the mean AUROC of each kind, peers beside. Raises PlotsMissing."""
    from matplotlib.figure import Figure

    attacked = [one for one in found if one.auroc]
    kinds = list(dict.fromkeys(one.kind for one in attacked))
    figure = Figure(figsize=(9, 4.5), facecolor="white", layout="constrained")
    axes = figure.subplots()
    for place, (detector, colour) in enumerate({OURS: "#1f6feb", VARSELECT: "#b35900", FOREST: "#9aa4af"}.items()):
        means = [np.mean([one.auroc[detector] for one in attacked if one.kind == kind]) for kind in kinds]
        axes.bar(np.arange(len(kinds)) + 0.27 * (place - 1), means, 0.25, label=detector, color=colour)
    axes.set_xticks(np.arange(len(kinds)), kinds)
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("AUROC")
    axes.set_title(f"Fake profiles in {name}")
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(path)
