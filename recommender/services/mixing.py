"""What each source of candidates is worth, learned with each run and kept with it; see engine/ranking/mixer.

Asked are users with events after the time that the judged model learned up to: pools are made for them as serving makes
them, from what was known then, and weights are learned that rank what they took next highest. A run is worth having
without: where that fails, or too few can be asked, the model's list stands first and the others fill up behind it.
"""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.conf import conf
from recommender.engine.data.ids import UNKNOWN
from recommender.engine.data.interactions import Interactions
from recommender.engine.data.split import without_known_pairs
from recommender.engine.data.vectors import unit
from recommender.engine.errors import Cancelled, RecommenderError
from recommender.engine.model import LiveModel
from recommender.engine.options import Options
from recommender.engine.ranking import mixer
from recommender.engine.ranking.mixer import Mixer
from recommender.engine.trainers import Query
from recommender.services import catalogue, event_log, jobs, trending
from recommender.services.content import vectors

log = logging.getLogger(__name__)

USERS = 2_000  # asked, at most
FEWEST_USERS = 300  # of a shop with very many items, for which each takes long
CELLS = 60_000_000  # users times items: so many scores are computed, for more items of fewer users
BOUGHT = 500_000  # latest purchases that companions are counted from
SHOPPERS = 20_000  # that groups of shoppers are learned from
PREFIX = "mixer/"  # of the run's arrays


def learned(
    query: Query,
    train: Interactions,
    test: Interactions,
    bought: Interactions,
    options: Options,
    out_of_time: jobs.OutOfTime = (),
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arrays and facts for a run's artifact, from a model that learned from `train` and what came next, `test`.

    `bought` are the purchases, over the same ids, of any time. Both are empty where too few can be asked, or where it
    failed. Raises Cancelled, and `out_of_time`.
    """
    try:
        found = _learned(query, train, test, bought, options)
    except Cancelled:
        raise
    except out_of_time:
        raise
    except Exception:
        log.exception("How to mix sources could not be learned; the run goes on without.")
        return {}, {}
    return found or ({}, {})


def _learned(
    query: Query, train: Interactions, test: Interactions, bought: Interactions, options: Options
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    from recommender.engine.evaluation.pools import Segments, pools
    from recommender.engine.ranking import mixing
    from recommender.engine.ranking.sources import DEPTHS
    from recommender.engine.ranking.together import bought_together

    wanted = without_known_pairs(test.where(test.weights > 0), train)
    users = np.unique(wanted.user_rows)
    users = users[np.diff(train.indptr)[users] > 0]
    most = min(USERS, max(FEWEST_USERS, CELLS // max(1, train.shape[1])))
    if len(users) > most:
        users = np.sort(np.random.default_rng(options.seed).choice(users, most, replace=False))
    if len(users) < mixing.FEW_USERS:
        return None
    until = int(train.times.max())
    before = np.flatnonzero(bought.times <= until)
    before = before[np.argsort(bought.times[before], kind="stable")[-BOUGHT:]]
    known = np.zeros(len(bought), dtype=bool)
    known[before] = True
    contents = vectors.features(train.items.all)
    units = contents if query.item_vectors is None else unit(np.asarray(query.item_vectors, dtype=np.float32))
    there = catalogue.active_items().filter(added_at__lte=event_log.moment(until)).order_by("-added_at", "id")
    newest = train.items.rows(there.values_list("pk", flat=True)[: trending.NEWEST])
    segments = None
    if units is not None:
        segments = Segments.of(train, units, options.seed, SHOPPERS)
    options.progress(0.1, f"candidates of {len(users)} users")
    made = pools(
        query,
        train,
        users.astype(np.int32),
        companions=bought_together(bought.where(known), DEPTHS["together"]),
        segments=segments,
        contents=contents,
        newest=newest[newest != UNKNOWN],
        progress=lambda share, message: options.progress(0.1 + 0.5 * share, message),
    )
    rows = wanted.matrix
    found = mixing.learn(
        made,
        [rows.indices[rows.indptr[user] : rows.indptr[user + 1]] for user in users],
        kind=conf().served.mixer,
        seed=options.seed,
        progress=lambda share, message: options.progress(0.6 + 0.4 * share, message),
    )
    if found is None:
        return None
    return {f"{PREFIX}{key}": array for key, array in found.arrays.items()}, {"mixer": found.facts}


_opened: dict[int, tuple[LiveModel, Mixer]] = {}  # by the model's identity; experiments serve several at once
MOST_OPENED = 8


def of(model: LiveModel) -> Mixer:
    """A model's mixer, made once; the model's list first where it has none that can be read."""
    known = _opened.get(id(model))
    if known is not None and known[0] is model:
        return known[1]
    if len(_opened) >= MOST_OPENED:
        _opened.clear()
    made = _open(model)
    _opened[id(model)] = (model, made)
    return made


def _open(model: LiveModel) -> Mixer:
    facts = model.manifest.get("mixer")
    if facts is None:  # nothing was learned that says that others know better than the model
        return Mixer("first")
    try:
        arrays: Mapping[str, NDArray[Any]] = model.artifact.arrays
        prefix = f"further/{PREFIX}"
        stored = {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
        return mixer.open(stored, facts)
    except (RecommenderError, OSError):
        log.exception("The mixer of %s cannot be read; the model's list stands first.", model.artifact.path.name)
        return Mixer("first")


def forget() -> None:
    """Drop what this process remembers (for tests)."""
    _opened.clear()
