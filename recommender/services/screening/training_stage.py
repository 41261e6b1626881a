"""The stage `screening` of a training: look, weigh, leave out, and write down what was done and what it changed.

Nothing that fails here fails the training: the run says what happened, and learns from what the verdicts that stand
leave; where even those cannot be read, from everything.
"""

import logging
import time
from dataclasses import replace
from typing import Any

import numpy as np
from django.utils import timezone
from numpy.typing import NDArray

from recommender.conf import conf
from recommender.engine.errors import NoData
from recommender.engine.options import Options, Progress
from recommender.models import Run
from recommender.services.event_log import EventLog
from recommender.services.jobs import OutOfTime
from recommender.services.screening import detection, effects, screenings, weighing
from recommender.services.screening.detection import Stops, said, stopping
from recommender.services.screening.weighing import Weighed

log = logging.getLogger(__name__)

DETECTION_SHARE = 0.7  # of the stage's time


def screened(
    run: Run, read: EventLog, options: Options, out_of_time: OutOfTime = ()
) -> tuple[EventLog, NDArray[np.float32] | None]:
    """The events to learn from and the trust in each, None where all are trusted; sets `run.screening`.

    Raises NoData where people's verdicts leave nothing, Cancelled, and what `out_of_time` is.
    """
    if not conf().screened.on:
        run.screening = {"on": False}
        return read, None
    started = time.perf_counter()
    stops = stopping(out_of_time)
    told: dict[str, Any] = {"on": True, "failures": {}, "notes": {}}
    _look(run, replace(options, progress=_first_part(options.progress)), out_of_time, told, stops)
    kept, trust = read, None
    try:
        weighed = weighing.weigh(read)
        told |= weighed.summary(read)
        if weighed.brake:
            told["failures"]["all"] = weighed.brake
        if (weighed.trust < 1).any():
            kept, trust = read.where(weighed.trust > 0), weighed.trust[weighed.trust > 0]
            told["effect"] = _effect(read, weighed, options, stops)
    except stops:
        raise
    except Exception as error:
        log.exception("Verdicts could not be weighed in run %s.", run.pk)
        told["failures"]["verdicts"] = f"{said(error)} Every event counted in full."
        kept, trust = read, None
    run.screening = {**told, "seconds": round(time.perf_counter() - started, 3)}
    if not len(kept):
        raise NoData("Every event is left out by what people confirmed; release some of the verdicts.")
    return kept, trust


def _look(run: Run, options: Options, out_of_time: OutOfTime, told: dict[str, Any], stops: Stops) -> None:
    """A pass of the detectors; its counts, notes and failures go into `told`."""
    began = timezone.now()
    try:
        outcome = detection.screen(options=options, out_of_time=out_of_time)
        told["found"] = outcome.counts
        told["notes"] = {name: one["note"] for name, one in outcome.counts.items() if "note" in one}
        told["failures"] |= outcome.failures
        row = screenings.record(outcome, began, requested_by=f"run {run.pk}", reason="training", worker=run.worker)
        told["screening"] = row.pk
    except stops:
        raise
    except Exception as error:
        log.exception("Run %s could not be screened.", run.pk)
        told["failures"]["all"] = f"{said(error)} The verdicts that stand went on counting."


def _effect(read: EventLog, weighed: Weighed, options: Options, stops: Stops) -> dict[str, Any]:
    """What it changes; a note where that could not be told."""
    progress = options.progress
    quiet = replace(
        options,
        progress=lambda share, message: progress(DETECTION_SHARE, "comparing the ranking with and without"),
        checkpoints=None,
    )
    try:
        return effects.moved(read, weighed, quiet)
    except stops:
        raise
    except NoData as error:
        return {"note": error.detail or error.message}
    except Exception as error:
        log.exception("The ranking with and without could not be compared.")
        return {"note": said(error)}


def _first_part(progress: Progress) -> Progress:
    return lambda share, message: progress(share * DETECTION_SHARE, message)
