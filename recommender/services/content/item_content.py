"""What an item says, shows and sounds like: the sources that encoders make vectors of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, overload

import numpy as np
from django.db.models import Prefetch, QuerySet
from django.db.models.fields.files import FieldFile

from recommender.engine.data import pictures, sounds
from recommender.engine.errors import NoData, Unreadable
from recommender.models import Item, Picture
from recommender.services import event_log

MAX_DESCRIPTION = 4_000  # characters; what stands further down says little of what the item is
MAX_ATTRIBUTES = 40  # told of one item
COMPANIONS = 10  # of each item
CHUNK = 2_000  # items read at once
MAX_VALUE = 80  # characters of one attribute's value
SILENCE = np.zeros(sounds.RATE // 10, dtype=np.float32)
GREY = np.full((8, 8, 3), 128, dtype=np.uint8)


@dataclass(frozen=True)
class Source:
    """What one item gives to one modality."""

    digest: str
    """SHA-256, hex; another one where it changed."""
    data: str | bytes
    """The text, or the file; empty where there is none."""


def with_sources(items: QuerySet[Item], modality: str) -> QuerySet[Item]:
    """The items with what `source` looks at, in a query or two."""
    if modality == "text":
        return items.select_related("category__parent")
    if modality == "image":
        return items.prefetch_related(Prefetch("pictures", Picture.objects.order_by("position", "id")))
    return items


def source(item: Item, modality: str) -> Source:
    """What an item gives to a modality. Raises Unreadable where its file is not there or too large."""
    if modality == "text":
        said = text(item)
        return Source(sha256(said.encode()).hexdigest(), said)
    if modality == "image":
        picture = item.first_picture
        data = _file(picture.file, pictures.MAX_BYTES, "picture") if picture else b""
    else:
        data = _file(item.sound, sounds.LARGEST_BYTES, "sound")
    return Source(sha256(data).hexdigest(), data)


def text(item: Item) -> str:
    """Title, creator, category, attributes in words, and description, the most telling first."""
    lines = [f"{item.title} by {item.creator}" if item.creator else item.title]
    if item.category is not None:
        parent = item.category.parent
        lines.append(f"{parent.name}: {item.category.name}" if parent else item.category.name)
    lines += [item.description[:MAX_DESCRIPTION].strip(), ", ".join(_attributes(item.attributes))]
    return "\n".join(line for line in lines if line)


def decoded(data: str | bytes, modality: str) -> Any:
    """What an encoder takes: a text, a Picture or a Sound; None where there is nothing. Raises Unreadable."""
    if not data:
        return None
    if isinstance(data, str):
        return data
    return pictures.read(data) if modality == "image" else sounds.read(data)


class Inputs(Sequence[Any]):
    """What encoders learn from: the sources of items, read and decoded when they are looked at, so that a catalogue of
    pictures need not fit into memory. What cannot be read is a grey square, or silence."""

    def __init__(self, modality: str, item_ids: Sequence[str]) -> None:
        self._modality, self._item_ids = modality, item_ids

    def __len__(self) -> int:
        return len(self._item_ids)

    @overload
    def __getitem__(self, row: int) -> Any: ...
    @overload
    def __getitem__(self, row: slice) -> "Inputs": ...
    def __getitem__(self, row: int | slice) -> Any:
        if isinstance(row, slice):
            return Inputs(self._modality, self._item_ids[row])
        item = with_sources(Item.objects.filter(pk=self._item_ids[row]), self._modality).first()
        found = None
        if item is not None:
            try:
                found = decoded(source(item, self._modality).data, self._modality)
            except (Unreadable, MemoryError, OSError):
                found = None
        if found is not None:
            return found
        return {"text": "", "image": GREY}.get(self._modality, SILENCE)


def having(modality: str) -> QuerySet[Item]:
    """The items that give something to a modality."""
    items = Item.objects.order_by("pk")
    if modality == "image":
        return items.filter(pk__in=Picture.objects.values("item_id"))
    return items.exclude(sound="") if modality == "audio" else items


def inputs(modality: str, item_ids: Sequence[str]) -> Sequence[Any]:
    """What an encoder may learn from: texts at once, pictures and sounds as they are looked at."""
    if modality != "text":
        return Inputs(modality, item_ids)
    items = with_sources(Item.objects.all(), modality).order_by("pk")
    chosen = set(item_ids)
    return [text(item) for item in items.iterator(chunk_size=CHUNK) if item.pk in chosen]


def pairs(limit: int = 20_000) -> list[tuple[str, str]]:
    """Items that shoppers take together, the surest first: each pair once, by the log-likelihood ratio of meeting in a
    session more often than chance would have it. Empty where there are no events. For workers."""
    from recommender.engine.ranking.together import bought_together

    try:
        log, _ = event_log.without_repeats(event_log.read())
    except NoData:
        return []
    data = event_log.interactions(log)
    found = bought_together(data, COMPANIONS)
    left, place = np.nonzero(found.scores > 0)
    right, scores = found.rows[left, place], found.scores[left, place]
    ends = np.stack((np.minimum(left, right), np.maximum(left, right)), axis=1)
    both, first = np.unique(ends, axis=0, return_index=True)
    chosen = both[np.argsort(-scores[first], kind="stable")[:limit]]
    names = data.items.ids(chosen.ravel()) if len(chosen) else []
    return list(zip(names[::2], names[1::2], strict=True))


def _file(file: FieldFile, largest: int, kind: str) -> bytes:
    if not file:
        return b""
    try:
        if file.size > largest:
            raise Unreadable(f"The {kind} has {file.size / 2**20:.1f} MB; {largest // 2**20} MB is the most.")
        with file.open("rb") as opened:
            data: bytes = opened.read()
    except OSError as error:
        raise Unreadable(f"The file {file.name} cannot be opened ({error.strerror or error}).") from error
    if not data:
        raise Unreadable(f"The file {file.name} is empty.")
    return data


def _attributes(attributes: Any) -> list[str]:
    """`format A3`, `signed`: what an encoder of sentences can make something of; ids, addresses and nests are not."""
    if not isinstance(attributes, Mapping):
        return []
    told = []
    for name, value in attributes.items():
        label = str(name).replace("_", " ")
        if value is True:
            told.append(label)
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str | int | float) and not isinstance(one, bool) and "://" not in str(one):
                told.append(f"{label} {str(one)[:MAX_VALUE]}")
    return told[:MAX_ATTRIBUTES]
