"""What items say, show and sound like, ready to be asked: nearest items, and vectors of what somebody typed or sent.

A process maps the newest content artifact and lays over it what was encoded since, read from the table.
"""

import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from django.db import DatabaseError
from django.utils import timezone
from numpy.typing import NDArray

from recommender.conf import conf
from recommender.engine.content import FUSED, Content, open_content
from recommender.engine.data.ids import UNKNOWN
from recommender.engine.encoders.store import IMPORTED, folder
from recommender.engine.errors import RecommenderError
from recommender.models import Encoding, ItemVector
from recommender.services.content.spaces import ASKED_AT_ONCE, OPEN_AGAIN_AFTER_S, LazyEncoder, Space

log = logging.getLogger(__name__)

__all__ = ["MODALITIES", "Space", "features", "forget", "live_content", "look_again", "space"]

MODALITIES = ("text", "image", "audio", FUSED)
"""The last is all of an item's in one vector; nothing but items can be encoded in it."""
FRESH_S = 2.0  # seconds between looks at the table
LATE = timedelta(seconds=5)  # a row may be committed that long after the moment it names
SETTLED = timedelta(seconds=60)  # after which nothing comes late any more
MAX_FRESH = 50_000  # vectors laid over an artifact; what is beyond waits for the next one
HASHED_UP_TO = 256 * 2**20  # bytes; a larger artifact is opened by names and sizes, for hashing it takes seconds


@dataclass(frozen=True)
class _Seen:
    """What this process knows."""

    content: Content
    spaces: Mapping[str, Space]
    encoded_until: Mapping[str, datetime]
    """By modality: the latest encoded_at that is in its space."""
    changed: Mapping[str, Mapping[str, NDArray[np.float32] | None]]
    """By modality: items encoded since the artifact; None for those that have no vector any more."""
    moments: Mapping[str, Mapping[str, datetime]]


_seen: _Seen | None = None
_broken: dict[str, float] = {}  # artifacts that could not be opened: when (monotonic seconds) to try again
_looked_at = float("-inf")
_looking = threading.Lock()
_encoders: dict[Path, LazyEncoder] = {}


def space(modality: str) -> Space | None:
    """The live space of a modality; None where nothing was encoded yet. Opened once per process, fresh within seconds:
    an item encoded a moment ago is in it."""
    seen = _look()
    return seen.spaces.get(modality) if seen else None


def features(item_ids: Sequence[str]) -> NDArray[np.float32] | None:
    """float32 (B, F): the fused vectors of items, 0 where one has none; None where nothing was encoded yet."""
    fused = space(FUSED)
    return None if fused is None or not len(fused) else fused.vectors(item_ids)


def live_content() -> str:
    """The folder of the content artifact that serves; empty where there is none."""
    newest = Encoding.objects.exclude(artifact="").order_by("-id").values_list("artifact", flat=True).first()
    return newest or ""


def forget() -> None:
    """Start anew, as a new process would (for tests)."""
    global _seen, _looked_at
    with _looking:
        _seen, _looked_at = None, float("-inf")
        _broken.clear()
        _encoders.clear()


def look_again() -> None:
    """Have the next question look at the table, however short ago the last one did."""
    global _looked_at
    _looked_at = float("-inf")


def _look() -> _Seen | None:
    global _seen, _looked_at
    if time.monotonic() - _looked_at < FRESH_S:
        return _seen
    # While one thread looks, others answer from what is known; only where nothing is known do they wait.
    if not _looking.acquire(blocking=_seen is None):
        return _seen
    try:
        if time.monotonic() - _looked_at >= FRESH_S:
            try:
                _seen = _refreshed(_seen)
            except (RecommenderError, DatabaseError, OSError):
                log.exception("What was encoded cannot be read; what this process knew goes on.")
            _looked_at = time.monotonic()
        return _seen
    finally:
        _looking.release()


def _refreshed(seen: _Seen | None) -> _Seen | None:
    name = live_content()
    if not name:
        return None
    if seen is None or seen.content.artifact.path != conf().artifacts_dir / name:
        content = _opened(name)
        if content is None:
            return seen
        seen = _begun(content)
    return _updated(seen)


def _opened(name: str) -> Content | None:
    if time.monotonic() < _broken.get(name, 0.0):
        return None
    try:
        return open_content(conf().artifacts_dir / name, verify=is_hashed(name))
    except (RecommenderError, OSError):
        log.exception("%s cannot be opened; items have no vectors from it.", name)
        _broken[name] = time.monotonic() + OPEN_AGAIN_AFTER_S
        return None


def is_hashed(name: str) -> bool:
    """Whether an artifact is small enough to be read through whenever it is opened."""
    return sum(file.stat().st_size for file in (conf().artifacts_dir / name).rglob("*.npy")) <= HASHED_UP_TO


def _begun(content: Content) -> _Seen:
    until = {m: datetime.fromisoformat(at) for m, at in content.manifest["encoded_until"].items()}
    return _Seen(content, {}, until, {m: {} for m in until}, {m: {} for m in until})


def _updated(seen: _Seen) -> _Seen:
    """With what was encoded since. Rows near the last moment are looked at again, but their vectors fetched once."""
    until, changed, moments, moved = dict(seen.encoded_until), dict(seen.changed), dict(seen.moments), False
    for modality, facts in seen.content.manifest["encoders"].items():
        late = LATE if timezone.now() - until[modality] < SETTLED else timedelta()
        rows = ItemVector.objects.filter(modality=modality, encoded_at__gt=until[modality] - late)
        newer = {
            item_id: at
            for item_id, at in rows.values_list("item_id", "encoded_at")
            if moments[modality].get(item_id) != at
        }
        if newer:
            moved = True
            found = dict(changed[modality])
            known, room = [i for i in newer if i in found], max(0, MAX_FRESH - len(found))
            for item_id, vector in _fetched(modality, facts, known + [i for i in newer if i not in found][:room]):
                found[item_id] = vector
            changed[modality] = found
            moments[modality] = {**moments[modality], **newer}
            until[modality] = max(until[modality], *newer.values())
    if not moved and seen.spaces:
        return seen
    return _Seen(seen.content, _spaces(seen.content, changed), until, changed, moments)


def _fetched(
    modality: str, facts: Mapping[str, Any], item_ids: Iterable[str]
) -> Iterable[tuple[str, NDArray[np.float32] | None]]:
    wanted = list(item_ids)
    for start in range(0, len(wanted), ASKED_AT_ONCE):
        rows = ItemVector.objects.filter(modality=modality, item_id__in=wanted[start : start + ASKED_AT_ONCE])
        mine = rows.filter(encoder__in=[facts["encoder"], ""])
        for item_id, encoder, stored in mine.values_list("item_id", "encoder", "vector"):
            if encoder:
                yield item_id, as_vector(stored, facts["dimension"])
            else:  # taken back
                yield item_id, None
            # What another encoder made belongs to the next artifact; until then the old vector serves.


def as_vector(stored: bytes | memoryview | None, dimension: int) -> NDArray[np.float32] | None:
    """A row's vector (D,); None where it has none, or one that is not of this space."""
    if not stored:
        return None
    vector = np.frombuffer(stored, dtype="<f4").astype(np.float32)
    return vector if vector.shape == (dimension,) and vector.any() else None


def _spaces(content: Content, changed: Mapping[str, Mapping[str, NDArray[np.float32] | None]]) -> Mapping[str, Space]:
    spaces = {}
    for modality, facts in content.manifest["encoders"].items():
        made = _laid_over(modality, facts["encoder"], facts["dimension"], content, changed[modality])
        spaces[modality] = made if facts["encoder"].startswith(IMPORTED) else _with_encoder(made, modality)
    if content.fusion is not None:
        touched = sorted({item_id for ids in changed.values() for item_id in ids})
        fused = content.fusion.fuse({m: one.vectors(touched) for m, one in spaces.items()})
        fresh = {i: vector if vector.any() else None for i, vector in zip(touched, fused, strict=True)}
        spaces[FUSED] = _laid_over(FUSED, FUSED, content.fusion.dimension, content, fresh)
    return {modality: one for modality, one in spaces.items() if len(one) or one.encoder_name != FUSED}


def _with_encoder(made: Space, modality: str) -> Space:
    path = conf().artifacts_dir / folder(modality, made.encoder_name)
    lazy = _encoders.setdefault(path, LazyEncoder(path))
    return Space(
        made.modality, made.encoder_name, made.dimension, made._stored, made._fresh, made._fresh_vectors,
        made._hidden, lazy,
    )  # fmt: skip


def _laid_over(
    modality: str,
    encoder_name: str,
    dimension: int,
    content: Content,
    changed: Mapping[str, NDArray[np.float32] | None],
) -> Space:
    stored = content.parts.get(modality)
    hidden: frozenset[int] = frozenset()
    if stored is not None and changed:
        hidden = frozenset(stored.ids.rows(list(changed)).tolist()) - {UNKNOWN}
    fresh = {item_id: vector for item_id, vector in changed.items() if vector is not None}
    matrix = np.stack(list(fresh.values())) if fresh else np.empty((0, dimension), dtype=np.float32)
    rows = {item_id: row for row, item_id in enumerate(fresh)}
    return Space(modality, encoder_name, dimension, stored, rows, matrix, hidden)
