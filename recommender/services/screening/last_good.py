"""What detectors learned, kept on disk: the last good arrays judge where the next fit fails.

One artifact per pass, `screening-<time>-<token>`, with each subject's arrays under its name.
"""

import logging
import secrets
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

from django.utils import timezone
from numpy.typing import NDArray

from recommender.conf import conf
from recommender.engine import artifact
from recommender.engine.anomaly import Arrays
from recommender.engine.errors import RecommenderError

log = logging.getLogger(__name__)

PREFIX = "screening-"
KEEP = 3  # passes; older ones stay only while they are the newest of some subject


def write(learned: Mapping[str, Arrays]) -> str:
    """Keep what a pass learned by subject; returns the artifact's name, empty where nothing was learned."""
    arrays: dict[str, NDArray[Any]] = {
        f"{subject}/{name}": array for subject, own in learned.items() for name, array in own.items()
    }
    if not arrays:
        return ""
    now = timezone.now()
    name = f"{PREFIX}{now:%Y%m%d%H%M%S%f}-{secrets.token_hex(3)}"
    subjects = sorted(subject for subject, own in learned.items() if own)
    artifact.write(conf().artifacts_dir, name, arrays, {"subjects": subjects, "learned_at": now.isoformat()})
    _sweep()
    return name


def read(subject: str) -> Arrays | None:
    """The newest arrays of a subject whose files are as they were written; None where there are none."""
    for name in _names():
        try:
            found = artifact.open_artifact(conf().artifacts_dir / name)
            if subject in found.manifest.get("subjects", ()):
                return dict(_own(found, subject))
        except (RecommenderError, OSError) as error:
            log.warning("What detectors learned cannot be read: %s", error)
    return None


def _own(found: artifact.Artifact, subject: str) -> Iterator[tuple[str, NDArray[Any]]]:
    for name, array in found.arrays.items():
        if name.startswith(f"{subject}/"):
            yield name.removeprefix(f"{subject}/"), array


def _names() -> list[str]:
    """The newest first."""
    return sorted((path.name for path in conf().artifacts_dir.glob(f"{PREFIX}*")), reverse=True)


def _sweep() -> None:
    """Remove passes beyond KEEP, but for those that are the newest of a subject."""
    have: set[str] = set()
    for place, name in enumerate(_names()):
        try:
            own = set(artifact.open_artifact(conf().artifacts_dir / name, verify=False).manifest.get("subjects", ()))
        except (RecommenderError, OSError):
            own = set()
        if place >= KEEP and own <= have:
            shutil.rmtree(conf().artifacts_dir / name, ignore_errors=True)
        have |= own
