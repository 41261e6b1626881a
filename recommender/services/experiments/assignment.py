"""Which variant of a running experiment a visitor is served by: always the same one, and nothing is stored.

A digest of the visitor's id, salted by the experiment, says whether they take part; another says which variant. Guests
go by their cookie, so a guest who logs in is from then on whatever their account's id says: the account is the same on
all its devices. Two experiments never share a visitor: the older one chooses first, and the next among those left.
"""

import logging
import time
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate
from typing import Any

from django.db import DatabaseError

from recommender.models import Experiment, Variant

log = logging.getLogger(__name__)

FOR_S = 2.0  # seconds that a process goes by its copy of the running experiments


@dataclass(frozen=True, slots=True)
class Assigned:
    """What one visitor is served by; what is not set is as it is for everybody."""

    experiment: str
    variant: str
    variant_id: int
    run_id: int | None
    settings: Mapping[str, Any]
    rules: bool


@dataclass(frozen=True, slots=True)
class _Running:
    share: float
    share_key: bytes
    variant_key: bytes
    bounds: list[float]
    """Where each variant's part of [0, 1) ends."""
    variants: list[Assigned]


_copy: tuple[float, list[_Running]] | None = None  # when (monotonic seconds) it is read again, and what was read


def of(visitor_id: str | None) -> Assigned | None:
    """The variant that serves this visitor; None where they take part in nothing. At most a query every FOR_S."""
    running = _running()
    if not running or not visitor_id:
        return None
    name = visitor_id.encode("utf-8", "surrogatepass")
    for one in running:
        if bucket(one.share_key, name) < one.share:
            place = bisect_right(one.bounds, bucket(one.variant_key, name))
            return one.variants[min(place, len(one.variants) - 1)]  # sums of weights may end just below 1
    return None


def bucket(key: bytes, name: bytes) -> float:
    """Where a name falls in [0, 1), evenly and for good: 53 bits of BLAKE2b, keyed."""
    return (int.from_bytes(blake2b(name, digest_size=8, key=key).digest(), "big") >> 11) / 2**53


def key(experiment_id: int, name: str, use: str) -> bytes:
    """What salts an experiment's digests, so that no two divide visitors alike."""
    return blake2b(f"{experiment_id}:{name}:{use}".encode(), digest_size=32).digest()


def any_running() -> bool:
    """Whether an experiment needs to know what is shown."""
    return bool(_running())


def forget() -> None:
    """Read the running experiments anew at the next question."""
    global _copy
    _copy = None


def _running() -> list[_Running]:
    global _copy
    now, copy = time.monotonic(), _copy
    if copy is not None and now < copy[0]:
        return copy[1]
    try:
        found = _read()
    except DatabaseError as error:
        log.warning("The running experiments could not be read; the ones known are gone on with: %s", error)
        found = copy[1] if copy else []
    _copy = (now + FOR_S, found)
    return found


def _read() -> list[_Running]:
    """The running experiments, the oldest first; one query."""
    rows = Variant.objects.filter(experiment__status=Experiment.Status.RUNNING).select_related("experiment")
    by_experiment: dict[int, list[Variant]] = {}
    for row in rows.order_by("experiment__started_at", "experiment_id", "id"):
        by_experiment.setdefault(row.experiment_id, []).append(row)
    return [_made(variants[0].experiment, variants) for variants in by_experiment.values()]


def _made(experiment: Experiment, variants: list[Variant]) -> _Running:
    in_all = sum(variant.weight for variant in variants)
    return _Running(
        experiment.share,
        key(experiment.pk, experiment.name, "share"),
        key(experiment.pk, experiment.name, "variant"),
        [end / in_all for end in accumulate(variant.weight for variant in variants)],
        [Assigned(experiment.name, one.name, one.pk, one.run_id, dict(one.settings), one.rules) for one in variants],
    )
