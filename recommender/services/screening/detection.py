"""One pass of the detectors: from tables to columns, from columns to what is found, from that to verdicts.

A subject that fails stops neither the others nor a training. Its failure is named; what the detectors learned last
judges in its place; where that fails too, the verdicts that stand go on counting.
"""

import logging
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import DatabaseError

from recommender.conf import conf
from recommender.engine.anomaly import Arrays
from recommender.engine.anomaly.found import Found
from recommender.engine.anomaly.subjects import subject as finder
from recommender.engine.data.activity import Activity
from recommender.engine.errors import Cancelled, NoData, RecommenderError
from recommender.engine.options import Options, Progress, no_progress
from recommender.services.jobs import OutOfTime
from recommender.services.screening import columns, last_good, learned, records

log = logging.getLogger(__name__)

SEED = 42


@dataclass(frozen=True)
class Detected:
    """What a subject's detectors make of its rows."""

    columns: Any
    found: Found
    learned: bool
    """Whether they learned from these rows; otherwise what was learned before has judged them."""
    failure: str = ""


@dataclass
class Outcome:
    """What one pass did. `counts` by subject: rows, found, new, gone, seconds, a note where it had too little, and
    `staff`, what their decisions taught."""

    counts: dict[str, dict[str, Any]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    artifact: str = ""


def screen(
    subjects: Sequence[str] | None = None,
    *,
    options: Options | None = None,
    out_of_time: OutOfTime = (),
    reader: "Reader | None" = None,
) -> Outcome:
    """Judge every row of some subjects, or of those that the settings name, and bring verdicts up to date.

    Raises Cancelled and what `out_of_time` is.
    """
    names = list(subjects or conf().screened.subjects)
    options = options or Options(seed=SEED, threads=conf().threads, device=conf().device)
    stops = stopping(out_of_time)
    outcome, fresh, batch = Outcome(), dict[str, Arrays](), uuid.uuid4()
    reader = reader or Reader()
    for place, name in enumerate(names):
        started = time.perf_counter()
        counts: dict[str, Any] = {"rows": 0, "found": 0, "new": 0, "gone": 0}
        part = replace(options, progress=_part(options.progress, name, place, len(names)))
        try:
            detected = detect(name, reader, part, stops)
            if detected.failure:
                outcome.failures[name] = detected.failure
            refined = _refined(name, detected.found, options, outcome, stops)
            written = records.write(name, refined.found, detected.columns, conf().screened, batch)
            counts = {**written.as_json(), "staff": refined.facts}
            if detected.learned:
                fresh[name] = detected.found.arrays
        except stops:
            raise
        except NoData as error:
            counts["note"] = error.detail or error.message
        except Exception as error:
            log.exception("Screening of %s failed.", name)
            outcome.failures[name] = f"{said(error)} The verdicts that stand go on counting."
        outcome.counts[name] = {**counts, "seconds": round(time.perf_counter() - started, 3)}
    try:
        outcome.artifact = last_good.write(fresh)
    except (OSError, RecommenderError, ValueError) as error:
        log.exception("What detectors learned could not be kept.")
        outcome.failures["files"] = f"What was learned could not be kept: {said(error)}"
    options.progress(1.0, "screened")
    return outcome


Stops = tuple[type[Exception], ...]  # what must not be taken for a subject's failure


def stopping(out_of_time: OutOfTime) -> Stops:
    return (Cancelled, *out_of_time) if isinstance(out_of_time, tuple) else (Cancelled, out_of_time)


def detect(name: str, reader: "Reader", options: Options, stops: Stops = (Cancelled,)) -> Detected:
    """Judge a subject's rows; by what was learned last where learning fails.

    Raises NoData, and the failure itself where nothing was learned before or that fails as well.
    """
    rows = reader.columns(name)
    try:
        return Detected(rows, finder(name)(rows, options), learned=True)
    except stops:
        raise
    except NoData:
        raise
    except Exception as error:
        log.exception("The detectors of %s failed.", name)
        known = last_good.read(name)
        if known is None:
            raise
        try:
            found = finder(name)(rows, options, known)
        except stops:
            raise
        except Exception:
            log.exception("What the detectors of %s learned last failed, too.", name)
            raise error from None
        return Detected(rows, found, False, f"{said(error)} What was learned last has judged instead.")


class Reader:
    """Reads each table once in a pass."""

    def __init__(self) -> None:
        self._activity: Activity | None = None

    def columns(self, name: str) -> Any:
        """What a subject's detectors look at. Raises NoData."""
        if name == "access":
            return columns.access()
        if name == "review":
            return columns.words(self.activity())
        if name == "order":
            return columns.orders(self.activity())
        return self.activity()

    def activity(self) -> Activity:
        if self._activity is None:
            self._activity = columns.activity()
        return self._activity


def said(error: Exception) -> str:
    """A failure in one sentence for people."""
    if isinstance(error, RecommenderError):
        return error.message
    if isinstance(error, ImportError):
        return f"{error}. Install its packages."
    if isinstance(error, DatabaseError):
        return f"The database did not answer ({type(error).__name__}: {error})."
    return f"It broke ({type(error).__name__}: {error})."


def _refined(name: str, found: Found, options: Options, outcome: Outcome, stops: Stops) -> learned.Refined:
    """As staff's verdicts on others suggest; as it was found where that fails."""
    try:
        return learned.refine(name, found, replace(options, progress=no_progress))
    except stops:
        raise
    except Exception as error:
        log.exception("What staff decided could not be learned from.")
        outcome.failures[f"{name}, staff's verdicts"] = said(error)
        return learned.Refined(found, {})


def _part(progress: Progress, name: str, place: int, count: int) -> Progress:
    if progress is no_progress:
        return progress
    return lambda share, message: progress((place + min(max(share, 0.0), 1.0)) / count, f"{name}: {message}")
