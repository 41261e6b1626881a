"""The content artifact of the whole catalogue: written when enough has changed, swept when nobody needs it any more."""

import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.conf import conf
from recommender.engine.artifact import open_artifact
from recommender.engine.content import FUSED, open_content, write_content
from recommender.engine.data.ids import UNKNOWN, Ids
from recommender.engine.encoders import fusion, store
from recommender.engine.encoders.fusion import Fusion
from recommender.engine.errors import NoData, RecommenderError
from recommender.engine.options import Progress
from recommender.models import Encoding, ItemVector
from recommender.services.content import vectors

PREFIX = "content-"
REWRITE_AFTER, REWRITE_SHARE = 500, 0.02  # rows changed since: more than both, and the artifact is written anew
REFIT_GROWTH = 1.5  # times the items that fusion was learned from
CHUNK = 20_000  # rows read, and fused, at once
KEEP = 2  # artifacts: the one that serves and the one before, which a process may still be opening

Encoders = Mapping[str, Mapping[str, Any]]  # by modality, as Encoding.encoders has them
Part = tuple[Ids, NDArray[np.float32]]


def needed(encoders: Encoders) -> bool:
    """Whether the artifact that serves is missing, of other encoders, or behind by more than a process should lay over
    it by itself."""
    live = _live_manifest()
    if live is None or {m: one["encoder"] for m, one in live["encoders"].items()} != usable(encoders):
        return True
    for modality, until in live["encoded_until"].items():
        newer = ItemVector.objects.filter(modality=modality, encoded_at__gt=datetime.fromisoformat(until))
        if not live["counts"].get(modality) and newer.filter(vector__isnull=False).exists():
            return True  # its first ones
        if newer.count() > max(REWRITE_AFTER, REWRITE_SHARE * live["counts"].get(modality, 0)):
            return True
    return False


def write(
    job: Encoding,
    encoders: Encoders,
    progress: Progress,
    pairs: Callable[[], list[tuple[str, str]]] = list,
) -> str:
    """Write the table's vectors as the artifact of `job`; returns its folder's name. `pairs` of items that are taken
    together are asked for only when fusion is learned."""
    stem, number = f"{PREFIX}{job.pk:06d}", 1
    while (conf().artifacts_dir / (name := f"{stem}-{number}" if number > 1 else stem)).exists():
        number += 1
    parts: dict[str, Part] = {}
    facts, until = {}, {}
    there = usable(encoders)
    for place, (modality, encoder) in enumerate(there.items()):
        progress(place / (len(there) + 2), f"Gathering {modality} vectors")
        ids, found, latest = _gathered(modality, encoder)
        facts[modality] = {"encoder": encoder, "dimension": found.shape[1]}
        until[modality] = latest.isoformat()
        if len(ids):
            parts[modality] = ids, found
    progress(len(there) / (len(there) + 2), "Fusing")
    fused = _fused(job, parts, there, pairs)
    if fused is not None:
        parts[FUSED] = fused[0]
    progress((len(there) + 1) / (len(there) + 2), "Writing")
    manifest = {"encoding": job.pk, "encoders": facts, "encoded_until": until}
    write_content(conf().artifacts_dir, name, parts, fused[1] if fused else None, manifest, conf().index)
    return name


def sweep(encoders: Encoders) -> list[str]:
    """Remove content artifacts but the newest, and encoders that neither they nor `encoders` name; returns their names.

    A process that has mapped one keeps its files until it lets go of them.
    """
    root = conf().artifacts_dir
    named = Encoding.objects.exclude(artifact="").order_by("-id").values_list("artifact", flat=True)
    kept = set(named[:KEEP])
    prints = {(modality, one["encoder"]) for modality, one in encoders.items() if one.get("encoder")}
    for name in kept:
        try:
            manifest = open_artifact(root / name, verify=False).manifest
        except (RecommenderError, OSError):
            continue
        prints |= {(modality, one["encoder"]) for modality, one in manifest["encoders"].items()}
    kept |= {store.folder(modality, encoder) for modality, encoder in prints}
    removed = []
    for path in sorted(root.glob("*")):
        if path.name.startswith((PREFIX, store.PREFIX)) and path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)
            removed.append(path.name)
    Encoding.objects.filter(artifact__in=removed).update(artifact="")
    return removed


def usable(encoders: Encoders) -> dict[str, str]:
    """By modality, the fingerprints of the encoders that are there."""
    return {modality: one["encoder"] for modality, one in sorted(encoders.items()) if one.get("encoder")}


def _live_manifest() -> Mapping[str, Any] | None:
    try:
        name = vectors.live_content()
        return open_artifact(conf().artifacts_dir / name, verify=vectors.is_hashed(name)).manifest if name else None
    except (RecommenderError, OSError):
        return None


def _gathered(modality: str, encoder: str) -> tuple[Ids, NDArray[np.float32], datetime]:
    """Ids, vectors (N, D) in their order, and the latest encoded_at among all rows of the modality."""
    every = ItemVector.objects.filter(modality=modality)
    latest = every.order_by("-encoded_at").values_list("encoded_at", flat=True).first() or datetime(
        1970, 1, 1, tzinfo=UTC
    )
    rows = every.filter(encoder=encoder, vector__isnull=False).order_by("item_id").values_list("item_id", "vector")
    names: list[str] = []
    stored = bytearray()
    size = 0
    for item_id, vector in rows.iterator(chunk_size=CHUNK):
        assert vector is not None
        size = size or len(vector)
        if len(vector) == size:
            names.append(item_id)
            stored += vector
    if not names:
        return Ids.of([]), np.empty((0, 0), dtype=np.float32), latest
    found = np.frombuffer(stored, dtype="<f4").reshape(len(names), -1)
    ids = Ids.of(names)
    order = np.argsort(ids.rows(names))  # the database may sort letters otherwise
    if (np.diff(order) != 1).any():
        found = found[order]
    return ids, np.asarray(found, dtype=np.float32), latest


def _fused(
    job: Encoding,
    parts: Mapping[str, Part],
    usable: Mapping[str, str],
    pairs: Callable[[], list[tuple[str, str]]],
) -> tuple[Part, Fusion] | None:
    if not parts:
        return None
    ids = Ids(np.unique(np.concatenate([one.encoded for one, _ in parts.values()])))
    learned = _live_fusion(usable, len(ids), job)
    if learned is None:
        try:
            learned = _learned(job, parts, ids, pairs())
        except NoData:
            return None
    fused = np.empty((len(ids), learned.dimension), dtype=np.float32)
    for start in range(0, len(ids), CHUNK):
        some = ids.ids(np.arange(start, min(start + CHUNK, len(ids))))
        fused[start : start + CHUNK] = learned.fuse(_aligned(parts, some))
    said = fused.any(axis=1)
    if not said.all():
        ids, fused = Ids(ids.encoded[said]), fused[said]
    return (ids, fused), learned


def _live_fusion(usable: Mapping[str, str], items: int, job: Encoding) -> Fusion | None:
    """What fuses now, as long as it was learned from the same encoders and not much less."""
    manifest = _live_manifest()
    if manifest is None or job.everything or not manifest["fusion"]:
        return None
    same = {m: one["encoder"] for m, one in manifest["encoders"].items()} == dict(usable)
    learned_from = manifest["fusion"].get("items", 0)
    if (
        not same
        or items > REFIT_GROWTH * learned_from
        or set(manifest["fusion"]["modalities"]) != {*_with_rows(manifest)}
    ):
        return None
    try:
        return open_content(conf().artifacts_dir / vectors.live_content(), verify=False).fusion
    except (RecommenderError, OSError):
        return None


def _with_rows(manifest: Mapping[str, Any]) -> set[str]:
    return {modality for modality, count in manifest["counts"].items() if count > 1 and modality != FUSED}


def _learned(job: Encoding, parts: Mapping[str, Part], ids: Ids, pairs: list[tuple[str, str]]) -> Fusion:
    """Learned from a sample of the items, and from those of `pairs`."""
    rng = np.random.default_rng(job.pk)
    rows = np.arange(len(ids))
    if len(rows) > fusion.SAMPLE:
        rows = rng.choice(rows, fusion.SAMPLE, replace=False)
    paired = ids.rows([item_id for pair in pairs for item_id in pair]).reshape(-1, 2)
    paired = paired[(paired != UNKNOWN).all(axis=1)]
    rows = np.unique(np.concatenate((rows, paired.ravel())))
    learned = fusion.fit(_aligned(parts, ids.ids(rows)), np.searchsorted(rows, paired).astype(np.int32))
    job.report = {**job.report, "fusion": {k: v for k, v in learned.facts.items() if k != "config"}}
    return Fusion(learned.arrays, {**learned.facts, "items": len(ids)})


def _aligned(parts: Mapping[str, Part], item_ids: list[str]) -> dict[str, NDArray[np.float32]]:
    """By modality: (B, D), the vectors of these items; rows of 0 where one has none."""
    found = {}
    for modality, (ids, stored) in parts.items():
        rows = ids.rows(item_ids)
        found[modality] = np.where((rows != UNKNOWN)[:, None], stored[rows], np.float32(0))
    return found
