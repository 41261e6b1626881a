"""Which items a category and a filter leave, as rows of the model; remembered for some seconds, since the whole
catalogue is read for it. What is shown is checked again when the answer is made."""

import time
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.ids import UNKNOWN
from recommender.engine.model import LiveModel
from recommender.services import catalogue
from recommender.services.filtering import Condition

FOR_S = 10.0  # seconds that it is remembered
MOST = 32  # of them in a process; each takes a byte per item of the model, and its ids


@dataclass(frozen=True)
class Narrowed:
    model: LiveModel
    item_ids: frozenset[str]
    mask: NDArray[np.bool_]
    """(N,): of the model's items."""
    until: float
    """Monotonic seconds."""


_known: "OrderedDict[tuple[str | None, Condition | None], Narrowed]" = OrderedDict()


def narrowed(model: LiveModel, category: str | None, condition: Condition | None) -> Narrowed:
    key, now = (category, condition), time.monotonic()
    found = _known.get(key)
    if found is not None and found.model is model and now < found.until:
        return found
    items = catalogue.active_items(category)
    if condition is not None:
        items = items.filter(condition.as_q())
    item_ids = frozenset(items.values_list("id", flat=True))
    rows = model.items.rows(list(item_ids))
    mask = np.zeros(len(model), dtype=np.bool_)
    mask[rows[rows != UNKNOWN]] = True
    _known[key] = found = Narrowed(model, item_ids, mask, now + FOR_S)
    while len(_known) > MOST:
        _known.popitem(last=False)
    return found


def forget() -> None:
    """Drop what this process remembers (for tests)."""
    _known.clear()
