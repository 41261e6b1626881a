"""The content artifact: what all items say, show and sound like, ready to be mapped by every web process.

    {text,image,audio,fused}/ids.npy      bytes (N_m,), sorted
    {text,image,audio,fused}/vectors.npy  float32 (N_m, D), of length 1
    {text,...}_index/                     an index over them
    fusion/*.npy                          what fuses a fresh item's vectors the same way

The encoders lie beside it, each in an artifact of its own (encoders/store): they outlive many of these.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.artifact import Artifact, open_artifact, write
from recommender.engine.data.ids import Ids
from recommender.engine.encoders.fusion import Fusion
from recommender.engine.errors import ArtifactDamaged, RecommenderError
from recommender.engine.index import Index, IndexOptions, choose, index_kind

FUSED = "fused"


@dataclass(frozen=True)
class Stored:
    """One modality's vectors and the index over them."""

    ids: Ids
    vectors: NDArray[np.float32]
    index: Index


@dataclass(frozen=True)
class Content:
    artifact: Artifact
    parts: Mapping[str, Stored]
    """By modality, "fused" among them."""
    fusion: Fusion | None

    @property
    def manifest(self) -> Mapping[str, Any]:
        return self.artifact.manifest


def write_content(
    root: Path,
    name: str,
    parts: Mapping[str, tuple[Ids, NDArray[np.float32]]],
    fusion: Fusion | None,
    manifest: Mapping[str, Any],
    index: str = "auto",
) -> Path:
    """Write `root/name`; returns its path. `parts` by modality: ids and vectors of length 1, in the ids' order.

    `index` is a name in INDEXES, or "auto" for what suits each part's size. Raises FileExistsError, UnknownName.
    """
    stored: dict[str, NDArray[Any]] = {}
    indexes = {}
    for modality, (ids, vectors) in parts.items():
        stored |= {f"{modality}/ids": ids.encoded, f"{modality}/vectors": vectors}
        indexes[modality] = choose(len(ids)) if index == "auto" or not len(ids) else index
    if fusion is not None:
        stored |= {f"fusion/{key}": array for key, array in fusion.arrays.items()}

    def build(directory: Path) -> None:
        for modality, kind in indexes.items():
            target = directory / f"{modality}_index"
            target.mkdir()
            index_kind(kind).build(parts[modality][1], target, IndexOptions(sums=False, k=35))

    facts = {
        "indexes": indexes,
        "counts": {modality: len(ids) for modality, (ids, _) in parts.items()},
        "fusion": fusion.facts if fusion else None,
    }
    return write(root, name, stored, {**manifest, **facts}, build)


def open_content(path: Path, verify: bool = True) -> Content:
    """Open what `write_content` wrote, memory-mapped. Raises ArtifactMissing, ArtifactDamaged."""
    artifact = open_artifact(path, verify)
    try:
        stored, parts = artifact.arrays, {}
        for modality, kind in artifact.manifest["indexes"].items():
            vectors = stored[f"{modality}/vectors"]
            index = index_kind(kind).open(artifact.directory(f"{modality}_index"), vectors)
            parts[modality] = Stored(Ids(stored[f"{modality}/ids"]), vectors, index)
        learned = {key.removeprefix("fusion/"): array for key, array in stored.items() if key.startswith("fusion/")}
        facts = artifact.manifest["fusion"]
        return Content(artifact, parts, Fusion(learned, facts) if facts else None)
    except ArtifactDamaged:
        raise
    except (RecommenderError, KeyError) as error:
        raise ArtifactDamaged(f"{path.name} does not fit this code: {error}. Encode everything again.") from error
