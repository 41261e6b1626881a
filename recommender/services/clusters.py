"""Groups of items and of shoppers, computed with each run and kept with it: what they are called, where they lie.

Items are grouped by the vectors that the run learned, or by what they say, show and sound like where its trainer has
none; a shopper is where the mean of their items lies.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.ids import Ids
from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.data.vectors import unit
from recommender.engine.model import LiveModel
from recommender.models import Item
from recommender.services.content import vectors

log = logging.getLogger(__name__)

FEWEST = 8  # items; of fewer there is nothing to group
CHUNK = 5_000
WORD = re.compile(r"[^\W\d_]{3,}")
PLAIN = frozenset(
    re.findall(
        r"\S+",
        "and are for from has her his into its not off our out set she the their them they this that was were with"
        " you your all can had one two three new how who why what when where will about over under after before edition"
        " volume vol other piece pack book books novel story stories",
    )
)
"""Words of titles that name no group."""


@dataclass(frozen=True)
class Groups:
    """What a run's artifact holds of them."""

    names: list[str]
    """(C,): of the groups of all items, the largest first."""
    labels: NDArray[np.int32]
    """(N,): each item's group; -1 for none."""
    dense_names: list[str]
    dense: NDArray[np.int32]
    """(N,): which items lie close together; -1 for those that lie apart."""
    points: NDArray[np.float32]
    """(N, 2): the map."""
    segment_names: list[str]
    segment_sizes: list[int]
    segments: NDArray[np.float32]
    """(S, D): where the groups of shoppers lie."""
    favourites: NDArray[np.int32]
    """(S, K): the items that most of each chose; -1 where there are fewer."""
    takers: NDArray[np.int32]
    """(S, K): how many chose it."""
    by: str
    """"behaviour" or "content"."""
    vectors: NDArray[np.float32]
    """(N, D), of length 1: what items and shoppers were grouped by."""

    def segment(self, told: Histories) -> int | None:
        """The group of a shopper with this history; None where nothing in it speaks for anything."""
        liked = told.weights > 0
        mean = told.weights[liked] @ self.vectors[told.item_rows[liked]]
        if not len(self.segments) or not np.any(mean):
            return None
        return int((self.segments @ mean).argmax())


def learn(
    data: Interactions, item_vectors: NDArray[np.float32] | None, seed: int = 42
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """What a run's artifact keeps of groups: arrays, and facts for its manifest. Both are empty where there is nothing
    to group, or where grouping failed: a run is worth having without."""
    try:
        return _learn(data, item_vectors, seed)
    except Exception:
        log.exception("Items could not be grouped; the run goes on without.")
        return {}, {}


def _learn(
    data: Interactions, item_vectors: NDArray[np.float32] | None, seed: int
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    from recommender.engine.grouping import clusters, umap
    from recommender.engine.grouping.names import Terms, group_names, of_labels
    from recommender.engine.grouping.segments import favourites, segmented

    by, units = "behaviour", None if item_vectors is None else unit(np.asarray(item_vectors, dtype=np.float32))
    if units is None:
        by, units = "content", _content(data.items)
    if units is None or np.count_nonzero(units.any(axis=1)) < FEWEST:
        return {}, {}
    terms = Terms(_described(data.items))
    labels, _ = clusters.by_means(units, clusters.how_many(len(units)), seed)
    points = umap.lay_out(units, seed)
    dense = clusters.by_density(points, seed=seed) if len(points) > umap.FEWEST else np.full_like(labels, -1)

    segments, members, takers = segmented(data, units, seed)
    chosen, counts = favourites(takers)
    arrays = {
        "groups/items": labels,
        "groups/dense": dense,
        "groups/points": points,
        "groups/segments": segments,
        "groups/favourites": chosen,
        "groups/takers": counts,
    }
    if by == "content":
        arrays["groups/vectors"] = units
    # By what a segment likes more than others do, so that what everybody takes names none of them.
    facts = {
        "by": by,
        "items": of_labels(labels, terms),
        "dense": of_labels(dense, terms, "Patch"),
        "segments": group_names(takers.astype(np.float64), terms, "Shoppers"),
        "segment_sizes": np.bincount(members, minlength=len(segments)).tolist(),
    }
    return arrays, {"groups": facts}


def of(model: LiveModel | None) -> Groups | None:
    """The groups that a run's artifact holds; None where it holds none."""
    facts = None if model is None else model.manifest.get("groups")
    if model is None or not facts:
        return None
    stored: Mapping[str, NDArray[Any]] = model.artifact.arrays
    return Groups(
        names=facts["items"],
        labels=stored["further/groups/items"],
        dense_names=facts["dense"],
        dense=stored["further/groups/dense"],
        points=stored["further/groups/points"],
        segment_names=facts["segments"],
        segment_sizes=facts["segment_sizes"],
        segments=stored["further/groups/segments"],
        favourites=stored["further/groups/favourites"],
        takers=stored["further/groups/takers"],
        by=facts["by"],
        vectors=stored["unit_vectors" if facts["by"] == "behaviour" else "further/groups/vectors"],
    )


def _content(items: Ids) -> NDArray[np.float32] | None:
    space = vectors.space("fused")
    return None if space is None else np.asarray(space.vectors(items.all), dtype=np.float32)


def _described(items: Ids) -> Iterator[list[str]]:
    """Each item's category, creator, attributes that are words, and the words of its title."""
    found: dict[str, list[str]] = {}
    columns = Item.objects.values_list("id", "title", "creator", "category__name", "attributes")
    for item_id, title, creator, category, attributes in columns.iterator(chunk_size=CHUNK):
        terms = [word for word in WORD.findall(title) if word.casefold() not in PLAIN and not word.isupper()]
        terms = [word.casefold() for word in terms] + [text for text in (creator, category) if text]
        for value in attributes.values() if isinstance(attributes, dict) else ():
            values = value if isinstance(value, list) else [value]
            terms += [text for text in values if isinstance(text, str) and 0 < len(text) <= 40]
        found[item_id] = terms
    return (found.get(item_id, []) for item_id in items.all)
