"""What `blend` and `auto` share: parts by name, users to judge them by, and weights that suit those users.

Nothing here is served: queries of several trainers are asked once about a few thousand users, and what matters of their
scores, each user's best items by every part, is kept (`Panel`) so that weights can be tried without asking again.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.data.split import hold_out, hold_out_last, share_split, without_known_pairs
from recommender.engine.errors import NoData
from recommender.engine.metrics import ndcg
from recommender.engine.options import Options, Progress, no_progress, no_report
from recommender.engine.trainers import Query
from recommender.engine.trainers.presets import PRESETS

K = 10  # items of a list that is judged: NDCG@10
DEPTH = 50  # best items by each part among which a mixture's best K are looked for; 5 K, so next to none are missed
BATCH_CELLS = 8 * 2**20  # scores held at once, per part: 32 MiB
PRIOR_USERS = 1000  # what equal weights count for, beside those that were asked
WARM_SHARE = 0.5  # of held-out users that must have a history, or each user's last event is held out instead
STEPS = (0.3, 0.1, 0.05)  # how far a weight is moved, coarse to fine
ROUNDS = 10  # of every step, at most
PART_ERRORS = 1.0  # standard errors that a part has to gain; with 2, half of what blends gain on beauty is lost
LEAST = 0.05  # a weight below this is not worth a part
FOLDS = 5  # with 2, the 800 users of online-retail see a gain or none by how chance divides them; with 8, always one
ROUNDING = 1e-9  # weights that differ by no more are the same
FEW_USERS = 40  # too few to learn weights by

Scale = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # (B, N) -> (B, N), user by user


def settings_of(name: str, configs: Mapping[str, Mapping[str, Any]]) -> tuple[str, dict[str, Any]]:
    """The trainer and the settings of a part: a preset's or a trainer's own, and over them `configs`' of that name."""
    preset = PRESETS.get(name)
    trainer_name, settings = (preset.trainer, preset.settings) if preset else (name, {})
    return trainer_name, {**settings, **configs.get(name, {})}


def within(options: Options, low: float, high: float, name: str, folder: str | None = None) -> Options:
    """Options of a fit that is the part from `low` to `high` of a whole: its progress, and a folder of its own."""

    def progress(share: float, message: str) -> None:
        options.progress(low + (high - low) * min(max(share, 0.0), 1.0), f"{name}: {message}")

    checkpoints = options.checkpoints / (folder or name) if options.checkpoints else None
    return replace(options, progress=progress, report=no_report, checkpoints=checkpoints)


def rising(progress: Progress) -> Progress:
    """Shares that never fall, whatever parts say."""
    highest = 0.0

    def rise(share: float, message: str) -> None:
        nonlocal highest
        highest = max(highest, share)
        progress(highest, message)

    return rise


@dataclass(frozen=True)
class Judge:
    """V users with a history and with held-out items that they liked and that are new to them."""

    histories: Histories
    item_rows: NDArray[np.int32]
    """The held-out items, distinct within a user, by user."""
    indptr: NDArray[np.int64]
    """(V+1,): user v's are item_rows[indptr[v]:indptr[v+1]]."""
    n: int

    @classmethod
    def of(cls, known: Interactions, held: Interactions, users: int, seed: int) -> "Judge | None":
        """A random `users` of those who qualify; None where nobody does."""
        asked = without_known_pairs(held.where(held.weights > 0), known)
        n = known.shape[1]
        pairs = np.unique(asked.user_rows * np.int64(max(n, 1)) + asked.item_rows)
        owners, items = np.divmod(pairs, max(n, 1))
        chosen = np.unique(owners[np.diff(known.indptr)[owners] > 0])
        if not len(chosen):
            return None
        chosen = np.sort(np.random.default_rng(seed).permutation(chosen)[:users])
        mine = np.isin(owners, chosen)
        indptr = np.concatenate(([0], np.cumsum(np.bincount(np.searchsorted(chosen, owners[mine])))))
        return cls(known.histories(chosen), items[mine].astype(np.int32), indptr.astype(np.int64), n)

    def __len__(self) -> int:
        return len(self.histories)

    def ndcg(self, query: Query, progress: Progress = no_progress) -> NDArray[np.float64]:
        """NDCG@10 of each user, (V,), with what they have hidden."""
        result = np.zeros(len(self))
        for users, batch, truth in self.batches(1):
            progress(users.start / len(self), "judging")
            scores = hidden(np.array(query.scores(batch), dtype=np.float32), batch)
            rows = best(scores, K)
            hits = np.take_along_axis(truth, rows, 1) & (np.take_along_axis(scores, rows, 1) > -np.inf)
            result[users] = ndcg(hits, truth.sum(axis=1), K)
        return result

    def panel(self, queries: Sequence[Query], scale: Scale, progress: Progress) -> "Panel":
        """Every part's scaled scores of the items that are among the DEPTH best of any."""
        values, valid, hits = [], [], []
        for users, batch, truth in self.batches(len(queries)):
            progress(users.start / len(self), "comparing parts")
            scores = [hidden(scale(np.asarray(query.scores(batch), dtype=np.float32)), batch) for query in queries]
            rows = np.sort(np.concatenate([best(part, DEPTH) for part in scores], axis=1), axis=1)
            of_parts = np.stack([np.take_along_axis(part, rows, 1) for part in scores], axis=-1)
            once = np.concatenate((np.ones((len(batch), 1), np.bool_), rows[:, 1:] != rows[:, :-1]), axis=1)
            shown = np.isfinite(of_parts).all(axis=-1) & once
            values.append(np.where(shown[:, :, None], of_parts, 0))
            valid.append(shown)
            hits.append(np.take_along_axis(truth, rows, 1) & shown)
        return Panel(np.concatenate(values), np.concatenate(valid), np.concatenate(hits), np.diff(self.indptr))

    def batches(self, parts: int) -> Iterator[tuple[slice, Histories, NDArray[np.bool_]]]:
        """Users, their histories and, bool (B, N), which items they should be shown."""
        for users, batch in self.histories.batches(max(1, BATCH_CELLS // (parts * max(self.n, 1)))):
            truth = np.zeros((len(batch), self.n), dtype=np.bool_)
            bounds = self.indptr[users.start : users.stop + 1]
            truth[np.repeat(np.arange(len(batch)), np.diff(bounds)), self.item_rows[bounds[0] : bounds[-1]]] = True
            yield users, batch, truth


@dataclass(frozen=True)
class Panel:
    """Scores of P parts for up to M items of V users. A mixture's best items are looked for among these."""

    values: NDArray[np.float32]
    """(V, M, P)."""
    valid: NDArray[np.bool_]
    """(V, M): not a repeat, nor hidden, nor without a finite score."""
    hits: NDArray[np.bool_]
    """(V, M)."""
    relevant: NDArray[np.int64]
    """(V,): held-out items, in the panel or not."""

    def of(self, users: NDArray[np.bool_]) -> "Panel":
        return Panel(self.values[users], self.valid[users], self.hits[users], self.relevant[users])

    def ndcg(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """NDCG@10 of the mixture for each user, (V,)."""
        result = np.zeros(len(self.relevant))
        reached = self.hits.any(axis=1)  # of the others, no weights find anything
        mixed = np.where(self.valid[reached], self.values[reached] @ weights.astype(np.float32), -np.inf)
        rows = best(mixed, K)
        result[reached] = ndcg(np.take_along_axis(self.hits[reached], rows, 1), self.relevant[reached], K)
        return result

    @classmethod
    def joined(cls, panels: Sequence["Panel"]) -> "Panel":
        """All users of several, each time they were asked."""
        width = max(panel.valid.shape[1] for panel in panels)

        def wide(array: NDArray[Any]) -> NDArray[Any]:
            return np.pad(array, [(0, 0), (0, width - array.shape[1]), *[(0, 0)] * (array.ndim - 2)])

        values, valid, hits = (
            np.concatenate([wide(getattr(panel, name)) for panel in panels]) for name in ("values", "valid", "hits")
        )
        return cls(values, valid, hits, np.concatenate([panel.relevant for panel in panels]))


@dataclass(frozen=True)
class Mixture:
    weights: NDArray[np.float64]
    """(P,): 0 or more, with a sum of 1; 0 for what is not worth serving."""
    values: NDArray[np.float64]
    """(V,): NDCG@10 of each user, with weights learned from others where it is a mixture."""


def mix(panel: Panel, progress: Progress) -> Mixture:
    """Weights by NDCG@10. A mixture is taken only where it gains on users it was not learned from.

    They are learned FOLDS times without a part of the users, and judged on those; where that is no gain over the best
    single part, or users are few, the answer is that part alone. Otherwise they are learned once more, on all.
    """
    parts = panel.values.shape[2]
    corners = np.eye(parts)
    singles = np.stack([panel.ndcg(corner) for corner in corners])
    best = int(singles.mean(axis=1).argmax())
    alone = Mixture(corners[best], singles[best])
    if parts == 1 or len(panel.relevant) < FEW_USERS:
        return alone
    fold = np.random.default_rng(0).permutation(len(panel.relevant)) % FOLDS
    values = np.empty(len(panel.relevant))
    for number in range(FOLDS):
        users = fold == number
        values[users] = panel.of(users).ndcg(learn(panel.of(~users), progress))
        progress((number + 1) / (FOLDS + 1), f"weights, judged by part {number + 1} of {FOLDS} of the users")
    if values.mean() <= alone.values.mean():
        return alone
    weights = learn(panel, progress)
    return Mixture(weights, values) if np.count_nonzero(weights) > 1 else alone


def learn(panel: Panel, progress: Progress) -> NDArray[np.float64]:
    """Weights (P,): those that `search` finds, and equal ones of the same parts as if PRIOR_USERS had voted for these.

    What is best for a few hundred users is partly chance, and methods err in different ways. On online-retail, taught
    up to each month from May to August 2011 and asked about the month after, mixtures were better by .3 % for halving
    the way to equal weights.
    """
    weights, users = search(panel, progress), len(panel.values)
    equal = (weights > 0) / np.count_nonzero(weights)
    return np.asarray((users * weights + PRIOR_USERS * equal) / (users + PRIOR_USERS))


def search(panel: Panel, progress: Progress) -> NDArray[np.float64]:
    """The weights (P,) with the highest mean NDCG@10 that moving one at a time finds, from the best part and from equal
    shares; parts that add no more than chance would are set to 0."""
    parts = panel.values.shape[2]
    tried: dict[bytes, float] = {}

    def value(weights: NDArray[np.float64]) -> float:
        key = weights.round(6).tobytes()
        if key not in tried:
            progress(0.0, f"weights {len(tried) + 1}")
            tried[key] = float(panel.ndcg(weights).mean())
        return tried[key]

    best = max(np.eye(parts), key=value)
    for start in (best, np.full(parts, 1 / parts)):
        weights = start
        for step in STEPS:
            for _ in range(ROUNDS):
                before = value(weights)
                for part in range(parts):
                    weights = max((weights, *_moved(weights, part, step)), key=value)  # the first of equals
                if value(weights) <= before:
                    break
        best = max((best, weights), key=value)
    for part in np.argsort(best, kind="stable"):
        rest = _with(best, int(part), 0.0)
        if rest is None:
            continue
        gain = panel.ndcg(best) - panel.ndcg(rest)
        if best[part] < LEAST or gain.mean() <= PART_ERRORS * gain.std() / np.sqrt(len(gain)):
            best = rest
    return best


def _moved(weights: NDArray[np.float64], part: int, step: float) -> Iterable[NDArray[np.float64]]:
    for target in (0.0, max(weights[part] - step, 0.0), min(weights[part] + step, 1.0)):
        moved = _with(weights, part, target)
        if moved is not None:
            yield moved


def _with(weights: NDArray[np.float64], part: int, target: float) -> NDArray[np.float64] | None:
    """One weight set, the others scaled so that the sum stays 1; None where there are none to scale."""
    rest = 1 - weights[part]
    if rest <= ROUNDING:
        return None if target < 1 else weights
    moved = weights * ((1 - target) / rest)
    moved[part] = target
    return np.asarray(moved)


def cut(data: Interactions, share: float, users: int, options: Options) -> tuple[Interactions, Judge | None]:
    """What to learn from, and users to judge by, at most `users`; None where nobody can be asked.

    The events held out are those of `options`, and then all of `data` is learned from. Otherwise they are cut: the last
    `share` of the events, or a random part of every user's items where times say nothing; where that would ask mostly
    newcomers, who have no history, the last event of each user. Raises NoData.
    """
    if not (data.matrix.data > 0).any():
        raise NoData()
    if options.held is not None:
        return data, Judge.of(data, options.held, users, options.seed)
    rest, held = hold_out(data, share, options.seed)
    asked = np.unique(held.user_rows)
    if not len(asked) or (np.diff(rest.indptr)[asked] > 0).mean() < WARM_SHARE:
        rest, held = hold_out_last(data, users, options.seed)
    judge = Judge.of(rest, held, users, options.seed)
    return (rest, judge) if judge is not None and (rest.matrix.data > 0).any() else (data, None)


@dataclass(frozen=True)
class Cut:
    """What to learn from, and users to judge by."""

    data: Interactions
    judge: Judge


def earlier(data: Interactions, last: Cut, share: float, users: int, options: Options, most: int) -> list[Cut]:
    """Up to `most` cuts by time before the `last`, each of as many events and learned from what precedes it, until
    `users` have been asked in all: what is true of one month need not be of the next, and more users are less chance.

    None where events were given to judge by, where times say nothing, or where mostly newcomers would be asked.
    """
    found: list[Cut] = []
    asked = len(last.judge)
    rest = last.data
    if options.held is not None or not data.timed or len(rest) != len(share_split(data, share)[0]):
        return found  # not cut by time
    while len(found) < most and asked < users and len(rest) > len(data) / 2:
        rest, held, _ = share_split(rest, share * len(data) / len(rest))
        warm = np.diff(rest.indptr)[np.unique(held.user_rows)] > 0
        judge = Judge.of(rest, held, users - asked, options.seed) if len(warm) and warm.mean() >= WARM_SHARE else None
        if judge is None:
            break
        found.append(Cut(rest, judge))
        asked += len(judge)
    return found


def hidden(scores: NDArray[np.float32], histories: Histories) -> NDArray[np.float32]:
    """-inf in place, for what users have and for what is not finite."""
    scores[~np.isfinite(scores)] = -np.inf
    scores[histories.user_rows, histories.item_rows] = -np.inf
    return scores


def best(scores: NDArray[np.floating], k: int) -> NDArray[np.int64]:
    """The columns of the K = min(k, N) largest of each row, largest first; equal ones by column."""
    k = min(k, scores.shape[1])
    rows = np.sort(np.argpartition(-scores, k - 1, axis=1)[:, :k], axis=1)
    order = np.argsort(-np.take_along_axis(scores, rows, 1), axis=1, kind="stable")
    return np.take_along_axis(rows, order, 1)
