"""A fitted encoder on disk: an artifact with its arrays, named by its fingerprint, so that each is kept once."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from recommender.engine.artifact import open_artifact, write
from recommender.engine.encoders import Arrays, Opened, encoder, make_config
from recommender.engine.errors import ArtifactDamaged, ArtifactMissing, NotFinite, RecommenderError

PREFIX = "encoder-"
IMPORTED = "imported:"
"""Begins the fingerprint of vectors that were made elsewhere; nothing here can encode into their space."""


def fingerprint(name: str, config: Any, arrays: Arrays) -> str:
    """`name:hash`; equal for encoders that give equal vectors. The hash is over the config and every array."""
    seen = hashlib.sha256(json.dumps([name, _plain(config)], sort_keys=True).encode())
    for key in sorted(arrays):
        array = np.ascontiguousarray(arrays[key])
        seen.update(f"{key} {array.dtype.str} {array.shape} ".encode())
        seen.update(array.data)
    return f"{name}:{seen.hexdigest()[:16]}"


def folder(modality: str, print_: str) -> str:
    return f"{PREFIX}{modality}-{print_.replace(':', '-')}"


def write_encoder(root: Path, modality: str, name: str, config: Any, arrays: Arrays, facts: Mapping[str, Any]) -> str:
    """Write what `fit` gave under `root` and return its fingerprint; nothing to do where it is there already, whole.

    `facts` are remembered in the manifest. Raises NotFinite.
    """
    for key, array in arrays.items():
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            raise NotFinite(f"In {key} of {name}.")
    made = fingerprint(name, config, arrays)
    try:
        open_artifact(root / folder(modality, made))
    except ArtifactMissing:
        pass
    except ArtifactDamaged:
        shutil.rmtree(root / folder(modality, made))
    else:
        return made
    manifest = {**facts, "modality": modality, "encoder": name, "config": _plain(config), "fingerprint": made}
    write(root, folder(modality, made), arrays, manifest)
    return made


def open_encoder(path: Path) -> Opened:
    """Ready to encode. Raises ArtifactMissing, ArtifactDamaged."""
    artifact = open_artifact(path)
    try:
        facts = artifact.manifest
        kind = encoder(facts["modality"], facts["encoder"])
        return kind.open(artifact.arrays, make_config(facts["modality"], facts["encoder"], facts["config"]))
    except ArtifactDamaged:
        raise
    except (RecommenderError, KeyError, ValueError) as error:  # whole, but written by code that knew other settings
        raise ArtifactDamaged(f"{path.name} does not fit this code: {error}. Encode everything again.") from error


def _plain(config: Any) -> dict[str, Any]:
    """The config as JSON has it: tuples are lists there."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    return plain
