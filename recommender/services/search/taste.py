"""How much a shopper would like items, relevant or not: by the live model and their own latest events."""

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.interactions import UNKNOWN, Histories
from recommender.engine.ranking.fuse import scaled
from recommender.services import histories, serving

log = logging.getLogger(__name__)

MOST_EVENTS = 50  # latest events that speak for a taste here


def likings(item_ids: Sequence[str], past: histories.History, current: serving.Live) -> NDArray[np.float64] | None:
    """(K,) from 0 to 1 among these items, 0.5 for what the model does not know; None where nothing is known of the
    shopper, or no model serves."""
    model = current.model
    if model is None or not past:
        return None
    rows = model.items.rows(past.item_ids)
    known = np.flatnonzero(rows != UNKNOWN)[-MOST_EVENTS:]
    if not (past.weights[known] > 0).any():
        return None
    try:
        told = Histories.single(rows[known], past.weights[known], past.times[known])
        found = model.items.rows(item_ids)
        there = found != UNKNOWN
        liked = np.full(len(item_ids), 0.5)
        if there.sum() < 2:
            return None
        if model.query.item_vectors is None:
            scores = model.query.scores(told)[0, found[there]]
        else:
            scores = np.asarray(model.query.item_vectors[found[there]]) @ model.query.vectors(told)[0]
    except Exception:
        log.exception("The model of run %s failed; search results stay as they are.", current.run_id)
        return None
    # By place: raw scores differ from trainer to trainer, and one favourite would leave nothing to tell the rest apart.
    places = np.empty(len(scores))
    places[np.argsort(scores, kind="stable")] = np.arange(len(scores))
    liked[there] = scaled(places)
    return liked
