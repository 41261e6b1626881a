"""Items that the live model does not know yet, recommended by what they say of themselves.

With each run a map is learned from what is known of items to what the model scores them (engine/content_map) and kept
with it. A web process places the shop's newest items by it and asks it for scores beside the model's own: an item can
be recommended as soon as it is saved and, where its vectors count, encoded. Nothing is trained for it.

Where no model can answer, because there is none or a visitor has only looked at newcomers, what is like that is shown.
"""

import logging
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.content_map import ContentMap, Learned, Placed, learn
from recommender.engine.data.ids import UNKNOWN
from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.data.vectors import unit
from recommender.engine.model import LiveModel
from recommender.engine.options import Options
from recommender.engine.trainers import Query
from recommender.services import catalogue
from recommender.services.content import vectors
from recommender.services.content.item_features import Description
from recommender.services.histories import History

log = logging.getLogger(__name__)

SHARE = 0.2  # of a page of picks that may be newcomers while the model has others to offer
SPARE = 4  # newcomers looked at for each one that there is room for
HOPE = 0.25  # see engine/content_map; by what can be expected alone, too few would ever be seen
FRESH_S = 5.0  # seconds that a process goes without looking for more of them
PLACED_FOR_S = 60.0  # seconds after which they are read again even if none came: staff may have edited one
NEWEST = 50_000  # of the shop's items looked at, the last added
MOST = 10_000  # newcomers placed, the last added
PREFIX = "newcomers/"  # of the run's arrays


def learned(
    data: Interactions, query: Query, options: Options
) -> tuple[dict[str, Any], dict[str, Any], Learned | None]:
    """Arrays and facts for a run's artifact, and what the map found; nothing where nothing is known of items, or too
    little of shoppers. Raises whatever `options.progress` raises."""
    item_ids = data.items.all
    description = Description.of(item_ids)
    contents = description.features(item_ids)
    if contents is None:
        return {}, {}, None
    try:
        found = learn(data, query, contents, options)
    except np.linalg.LinAlgError:
        log.exception("No map from content to taste could be learned; the run goes on without.")
        return {}, {}, None
    if found is None or not found.arrays:
        return {}, {}, found
    arrays = {f"{PREFIX}{key}": array for key, array in found.arrays.items()}
    return arrays, {"newcomers": description.as_json()}, found


@dataclass(frozen=True)
class Best:
    """Newcomers for one history, best first."""

    item_ids: list[str]
    """(K,)."""
    scores: NDArray[np.float32]
    """(K,), comparable with the model's own."""
    vectors: NDArray[np.float32]
    """(K, D), beside the model's own; (0, D) where it has none."""


def nobody(model: LiveModel) -> Best:
    known = model.query.item_vectors
    return Best([], np.zeros(0, np.float32), np.zeros((0, 0 if known is None else known.shape[1]), np.float32))


@dataclass(frozen=True)
class Newcomers:
    """Those of one model, where its map places them."""

    item_ids: Sequence[str]
    """(C,), the last added first."""
    placed: Placed
    description: Description
    model: LiveModel

    def best(
        self, told: Histories, k: int, floor: float, allowed: Collection[str] | None, exclude: Collection[str]
    ) -> "Best":
        """Up to K that score above `floor` for one history, best first: those `allowed`, or all, but for `exclude`."""
        scores = self.placed.scores(self.model.query, told)[0]
        rows = np.argsort(-scores, kind="stable")
        kept: list[int] = []
        for row in rows[scores[rows] > floor].tolist():
            if len(kept) == k:
                break
            item_id = self.item_ids[row]
            if item_id not in exclude and (allowed is None or item_id in allowed):
                kept.append(row)
        item_ids, places = [self.item_ids[row] for row in kept], self.placed.vectors
        return Best(item_ids, scores[kept], nobody(self.model).vectors if places is None else places[kept])

    def closest(self, item_ids: Sequence[str], past: History) -> list[str | None]:
        """For each of these items, the one that speaks for something in the history and says most alike of itself;
        None where none says anything alike."""
        liked = [item_id for item_id, weight in zip(past.item_ids, past.weights, strict=True) if weight > 0]
        liked = list(dict.fromkeys(reversed(liked)))
        known = self.description.features([*item_ids, *liked])
        if known is None or not liked:
            return [None] * len(item_ids)
        units = unit(known)
        cosines = units[: len(item_ids)] @ units[len(item_ids) :].T
        return [liked[row.argmax()] if row.max() > 0 else None for row in cosines]


@dataclass(frozen=True)
class _Seen:
    """What this process knows, and what it was made from."""

    model: LiveModel
    spaces: list[vectors.Space | None]
    item_ids: list[str]
    found: Newcomers | None
    placed_at: float
    """Monotonic seconds."""


_seen: _Seen | None = None
_looked_at = float("-inf")
_looking = threading.Lock()


def of(model: LiveModel) -> Newcomers | None:
    """The shop's newcomers beside this model; None where there are none, or where it has no map that fits."""
    global _seen, _looked_at
    if "newcomers" not in model.manifest:
        return None
    seen = _seen
    if seen is not None and seen.model is model and time.monotonic() - _looked_at < FRESH_S:
        return seen.found
    # While one thread looks, others answer from what is known of this model; only where that is nothing do they wait.
    if not _looking.acquire(blocking=seen is None or seen.model is not model):
        return seen.found if seen is not None else None
    try:
        _seen = _refreshed(model, _seen)
        _looked_at = time.monotonic()
        return _seen.found
    finally:
        _looking.release()


def beside(
    model: LiveModel,
    told: Histories,
    n: int,
    scores: NDArray[np.float32],
    allowed: Collection[str] | None,
    exclude: Collection[str],
) -> Best:
    """Newcomers that may stand on a page of n among those that the model gave these scores: more than there will be
    room for, as some are sold out. Nobody where that fails: a page is worth having without."""
    try:
        there = of(model)
        if there is None:
            return nobody(model)
        enough = len(scores) >= n
        k = int(n * SHARE) * SPARE if enough else n * SPARE
        return there.best(told, k, float(scores.min()) if enough else -np.inf, allowed, exclude)
    except Exception:
        log.exception("The newcomers beside a model cannot be scored; the page goes without.")
        return nobody(model)


def forget() -> None:
    """Drop what this process remembers (for tests)."""
    global _seen, _looked_at
    _seen, _looked_at = None, float("-inf")


def _refreshed(model: LiveModel, seen: _Seen | None) -> _Seen:
    description = Description.read(model.manifest["newcomers"])
    spaces = description.spaces()
    newest = list(catalogue.active_items().order_by("-added_at", "id").values_list("id", flat=True)[:NEWEST])
    rows = model.items.rows(newest)
    item_ids = [item_id for item_id, row in zip(newest, rows, strict=True) if row == UNKNOWN][:MOST]
    if (
        seen is not None
        and seen.model is model
        and seen.item_ids == item_ids
        and all(a is b for a, b in zip(seen.spaces, spaces, strict=True))
        and time.monotonic() - seen.placed_at < PLACED_FOR_S
    ):
        return seen
    return _Seen(model, spaces, item_ids, _placed(model, description, item_ids), time.monotonic())


def _placed(model: LiveModel, description: Description, item_ids: list[str]) -> Newcomers | None:
    contents = description.features(item_ids) if item_ids else None
    if contents is None:
        return None
    told = np.asarray(contents.any(axis=1))
    if not told.any():
        return None
    arrays = model.artifact.arrays
    stored = {key: arrays[f"further/{PREFIX}{key}"] for key in ("weights", "calibration")}
    mapped = ContentMap.open(stored, HOPE)
    kept = [item_id for item_id, tells in zip(item_ids, told, strict=True) if tells]
    return Newcomers(kept, mapped.place(model.query, contents[told]), description, model)


def like_history(
    past: History, k: int, exclude: Collection[str], space: vectors.Space | None
) -> tuple[list[str], NDArray[np.float32], dict[str, str]]:
    """Up to K items that say, show and sound like what speaks for something in a history, best first, with their
    cosines to all of it; and for each, the item of the history that it is closest to. Empty where that is not encoded.
    `space` is the fused one: to look for it may need the database, which not every thread may ask.
    """
    nothing: tuple[list[str], NDArray[np.float32], dict[str, str]] = [], np.zeros(0, np.float32), {}
    liked = past.weights > 0
    own = [item_id for item_id, tells in zip(past.item_ids, liked, strict=True) if tells]
    if space is None or not own:
        return nothing
    known = space.vectors(own)
    profile = unit((past.weights[liked] @ known)[None])[0]
    if not profile.any():
        return nothing
    found, cosines = space.nearest(profile, k, {*past.known, *exclude})
    nearest = (space.vectors(found) @ known.T).argmax(axis=1) if found else []
    return found, cosines, {item_id: own[place] for item_id, place in zip(found, nearest, strict=True)}
