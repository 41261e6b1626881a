"""What a long fit needs to go on after a crash, in a folder of its own.

    epoch-00012/tensors.safetensors   weights, best weights, optimiser, torch's random states
    epoch-00012/state.json            the rest, with the fingerprint and the SHA-256 of the tensors

Each is written aside and renamed, so that there is a whole one or none.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as loads
from safetensors.torch import save as dumps

ASIDE = "aside"
TENSORS, STATE = "tensors.safetensors", "state.json"
FORMAT = 1

Tensors = dict[str, torch.Tensor]


def save(folder: Path, epoch: int, tensors: Tensors, state: Mapping[str, Any], fingerprint: Mapping[str, Any]) -> None:
    """Write the checkpoint of `epoch` and remove the ones before it; `state` is JSON."""
    aside = folder / ASIDE
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    content = dumps({name: tensor.contiguous() for name, tensor in tensors.items()})  # whatever order they lie in
    (aside / TENSORS).write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    facts = {"fingerprint": _full(fingerprint), "sha256": sha256, "state": state}
    (aside / STATE).write_text(json.dumps(facts, indent=1))
    target = folder / f"epoch-{epoch:05d}"
    shutil.rmtree(target, ignore_errors=True)
    aside.rename(target)
    for old in _found(folder):
        if old != target:
            shutil.rmtree(old, ignore_errors=True)


def load(folder: Path, fingerprint: Mapping[str, Any]) -> tuple[Tensors, dict[str, Any]] | str | None:
    """The last checkpoint's tensors and state, a word on why it is of no use, or None where there is none."""
    found = _found(folder)
    if not found:
        return None
    try:
        facts = json.loads((found[-1] / STATE).read_text())
        content = (found[-1] / TENSORS).read_bytes()
        if hashlib.sha256(content).hexdigest() != facts["sha256"]:
            return "the checkpoint is damaged"
        if facts["fingerprint"] != json.loads(json.dumps(_full(fingerprint))):
            return "the checkpoint is of another fit"
        return loads(content), facts["state"]
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return "the checkpoint is damaged"


def clear(folder: Path) -> None:
    """Remove every checkpoint; the folder itself stays."""
    for path in [*_found(folder), folder / ASIDE]:
        shutil.rmtree(path, ignore_errors=True)


def _found(folder: Path) -> list[Path]:
    return sorted(folder.glob("epoch-*"))


def _full(fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    return {"format": FORMAT, "torch": torch.__version__, **fingerprint}
