"""What is known of items beside who took them: the catalogue's words, and what they say, show and sound like.

A Description is which words and which encoders: what a model learned by must be said of new items in the same way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.features import joined, marked, shared_words
from recommender.models import Item, ItemVector
from recommender.services.content import vectors

CHUNK = 50_000  # items fetched at once
FEW = 5_000  # items that are asked for by name; for more, the whole catalogue is read
CELLS = 128 * 2**20  # of encoded vectors at most: 512 MiB. A larger catalogue is described by words alone


@dataclass(frozen=True)
class Description:
    words: tuple[str, ...]
    """The columns, see engine/data/features."""
    encoders: Mapping[str, tuple[str, int]]
    """By modality: what made its vectors, and their length."""

    @classmethod
    def of(cls, item_ids: Sequence[str]) -> "Description":
        """How these items are described today: by words that several have, and by every modality that is encoded."""
        shared = shared_words(list(_words(item_ids).values()))
        spaces = {modality: vectors.space(modality) for modality in ItemVector.Modality.values}
        encoders = {m: (one.encoder_name, one.dimension) for m, one in spaces.items() if one is not None and len(one)}
        if len(item_ids) * sum(length for _, length in encoders.values()) > CELLS:
            encoders = {}
        return cls(tuple(shared), encoders)

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> "Description":
        return cls(tuple(facts["words"]), {m: (name, length) for m, (name, length) in facts["encoders"].items()})

    def as_json(self) -> dict[str, Any]:
        return {"words": list(self.words), "encoders": {m: list(one) for m, one in self.encoders.items()}}

    @property
    def width(self) -> int:
        """F."""
        return len(self.words) + sum(length for _, length in self.encoders.values())

    def features(self, item_ids: Sequence[str]) -> NDArray[np.float32] | None:
        """float32 (B, F), 0 where nothing is known of an item. None where F is 0, or where other encoders serve now:
        what they say cannot be compared."""
        parts: list[NDArray[np.float32] | None] = []
        if self.words:
            words = _words(item_ids)
            parts.append(marked([words.get(item_id, ()) for item_id in item_ids], self.words))
        for modality, (name, length) in self.encoders.items():
            space = vectors.space(modality)
            if space is None or (space.encoder_name, space.dimension) != (name, length):
                return None
            parts.append(space.vectors(item_ids))
        return joined(parts)

    def spaces(self) -> list[vectors.Space | None]:
        """What the encoders' vectors are read from; another object once something was encoded."""
        return [vectors.space(modality) for modality in self.encoders]


def _words(item_ids: Sequence[str]) -> dict[str, set[str]]:
    """What the catalogue says of each item: its category, its creator, and attributes that are words or yes and no."""
    words: dict[str, set[str]] = {}
    some, asked = Item.objects.all(), set(item_ids)
    if len(asked) <= FEW:
        some = some.filter(pk__in=asked)
    columns = some.values_list("id", "category_id", "creator", "attributes")
    for item, category, creator, attributes in columns.iterator(chunk_size=CHUNK):
        if item not in asked:
            continue
        words[item] = {f"category {category}"} if category else set()
        if creator:
            words[item].add(f"creator {creator}")
        for name, value in attributes.items() if isinstance(attributes, dict) else ():
            values = value if isinstance(value, list) else [value]
            words[item].update(f"{name} {word}" for word in values if isinstance(word, str | bool))
    return words
