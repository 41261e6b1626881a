"""Fake profiles: visitors who are there to push or sink items, to copy the catalogue, or to make items look wanted.

Decoys (profile_decoys) join the columns; profile_rounds tells them from real visitors and judges these by it: by what
each does (profile_features, profile_taste), and by the crowds that each is in (profile_crowds). How sure that is, of
what kind and about which items says profile_verdicts, and why, profile_words. The items' learned vectors are left
alone: how close a profile's items lie in them says more about whose events they were learned from (of a campaign in
ml-1m, the median log odds fell from 3.6 to 2.5 with them).

Cost for 1 million events of 6,000 visitors and 3,700 items: about 16 CPU seconds. What grows with the shop is
events and members of crowds, about 300 bytes each; pairs are counted among the 2,048 most taken items only.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.anomaly.found import Features, Found
from recommender.engine.anomaly.subjects import profile_decoys, profile_rounds, profile_verdicts, profile_words
from recommender.engine.anomaly.subjects.profile_cells import Deeds
from recommender.engine.data.activity import Activity
from recommender.engine.errors import NoData
from recommender.engine.options import Options

FLOOR, FEWEST_ITEMS = 30, 5
"""Visitors with events, and items: among fewer, nobody can be told from the rest."""
DETECTOR = "profiles"


def find(activity: Activity, options: Options, known: Mapping[str, NDArray[Any]] | None = None) -> Found:
    """Judge every visitor; those without events have probability 0.

    `known` gives the seed of the decoys that were used before, so that the same columns are judged alike; what
    is usual, crowds and groups are always those of the columns given. Raises NoData below FLOOR visitors with events or
    FEWEST_ITEMS items, and whatever `options.progress` raises.
    """
    deeds = Deeds.of(activity)
    present, items = len(np.unique(deeds.visitor_rows)), len(np.unique(deeds.item_rows))
    if present < FLOOR or items < FEWEST_ITEMS:
        raise NoData(
            f"Profiles need at least {FLOOR} visitors with events on {FEWEST_ITEMS} items; "
            f"there are {present} and {items}."
        )
    seed = int(known["seed"][0]) if known and "seed" in known else options.seed
    options.progress(0.0, "decoys")
    decoys = profile_decoys.plant(activity, np.random.default_rng(seed))
    shop = profile_rounds.Shop.of(deeds, decoys, seed)
    judged = profile_rounds.judge(shop, options.progress)
    count = len(activity.visitors)
    verdicts = profile_verdicts.decide(shop.cells, judged, count)
    rows = np.flatnonzero(verdicts.probabilities >= profile_verdicts.WORTH)
    options.progress(1.0, "judged")
    return Found(
        _features(activity, judged, count),
        verdicts.probabilities,
        _contributions(judged, count),
        verdicts.kinds,
        profile_words.reasons(shop.cells, judged, verdicts, rows),
        {row: activity.items.ids(verdicts.targets[row]) for row in rows.tolist() if row in verdicts.targets},
        verdicts.groups,
        arrays={"seed": np.array([seed]), "odds": judged.odds[:count]},
        detector=DETECTOR,
    )


def _features(activity: Activity, judged: profile_rounds.Judged, count: int) -> Features:
    columns = judged.measured.columns
    more = {
        "like_a_decoy": judged.alone,
        "unlike_others": judged.outlying,
        "crowd": judged.evidence[:, 0],
        "second_crowd": judged.evidence[:, 1],
        "partners": judged.partners[:, 0],
    }
    named = profile_words.plain({**columns, **more})
    values = np.stack(list(named.values()), axis=1)[:count].astype(np.float32)
    return Features(activity.visitors.all, tuple(named), values)


def _contributions(judged: profile_rounds.Judged, count: int) -> NDArray[np.float32]:
    """(U, F): standard deviations towards the suspicious."""
    own = judged.z * judged.weights[None, :-1]
    more = np.column_stack((judged.alone, judged.outlying, judged.evidence[:, :2], judged.partners[:, 0]))
    return np.maximum(np.column_stack((own, more))[:count], 0).astype(np.float32)
