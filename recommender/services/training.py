"""The life of a run: asked for, claimed by a worker, learned, judged, written, published; or failed with its reason."""

import logging
import shutil
import socket
import traceback
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from recommender.conf import conf
from recommender.engine import artifact
from recommender.engine.data.interactions import Interactions
from recommender.engine.data.split import share_split
from recommender.engine.errors import Cancelled, InvalidConfig, NotFinite, RecommenderError
from recommender.engine.evaluation import gate
from recommender.engine.evaluation.gate import BASELINE
from recommender.engine.evaluation.protocol import evaluate
from recommender.engine.model import write_model
from recommender.engine.trainers import Arrays, Options, Settles, make_config, trainer
from recommender.models import Run
from recommender.services import event_log, publishing
from recommender.services.errors import RunActive, UnknownRun
from recommender.services.run_monitor import RunMonitor

log = logging.getLogger(__name__)

STAGES = {"load": 15, "clean": 5, "split": 2, "fit": 25, "evaluate": 15, "gate": 1, "refit": 25, "write": 12}
"""The stages in order, with their usual part of the time."""
METRIC_KS = (10, 20)  # lengths of the lists that are judged; the first decides at the gate
WAKE_AGAIN_AFTER = timedelta(seconds=30)  # a queued run whose wake-up call may have been lost is called again


def request(
    trainer_name: str | None = None,
    config: Mapping[str, Any] | None = None,
    requested_by: str = "",
    reason: str = "",
    options: Mapping[str, Any] | None = None,
) -> Run:
    """Queue a run; the caller wakes a worker once the row is committed.

    Without a trainer, the site's own with its own config. Raises RunActive (context: run_id), UnknownName,
    InvalidConfig.
    """
    name = trainer_name or conf().trainer
    if config is None:
        config = conf().trainer_config if name == conf().trainer else {}
    try:
        full = asdict(make_config(name, config))
    except TypeError as error:  # a number compared with a text, say
        raise InvalidConfig(f"{name}: {error}.") from error
    try:
        with transaction.atomic():
            return Run.objects.create(
                trainer=name,
                config=full,
                options={"seed": 42, "threads": conf().threads, "device": conf().device, **(options or {})},
                requested_by=requested_by[: Run.MAX_REQUESTED_BY],
                reason=reason[: Run.MAX_REASON],
            )
    except IntegrityError:
        active = active_run()
        if active is None:  # it ended in this very moment
            return request(trainer_name, config, requested_by, reason, options)
        raise RunActive(f"Run {active.pk} is {active.status}; wait for it or cancel it.", run_id=active.pk) from None


def active_run() -> Run | None:
    return Run.objects.filter(status__in=Run.ACTIVE).first()


def get(run_id: int) -> Run:
    """Raises UnknownRun."""
    run = Run.objects.filter(pk=run_id).first()
    if run is None:
        raise UnknownRun(f"Run {run_id}.")
    return run


def cancel(run_id: int) -> Run:
    """Ask a run to stop. A queued one ends at once, a running one within seconds; an ended one stays as it is.

    Raises UnknownRun.
    """
    run = get(run_id)
    Run.objects.filter(pk=run.pk, status__in=Run.ACTIVE).update(cancel_requested=True)  # from here on nobody claims it
    Run.objects.filter(pk=run.pk, status=Run.Status.QUEUED).update(
        status=Run.Status.CANCELLED, finished_at=timezone.now()
    )
    run.refresh_from_db()
    return run


def enqueued(run_id: int) -> None:
    """Note that the broker took the wake-up call."""
    Run.objects.filter(pk=run_id).update(enqueued_at=timezone.now())


def recover() -> list[int]:
    """Find what was lost; returns the runs to wake a worker for.

    A running run without a heartbeat goes back to the queue, or fails after max_tries; one that was to be cancelled is
    cancelled. A queued run whose wake-up call the broker may have lost is called again: claiming it is atomic, so that
    a second call does no harm.
    """
    now = timezone.now()
    lost = Run.objects.filter(status=Run.Status.RUNNING).filter(
        Q(heartbeat_at=None) | Q(heartbeat_at__lt=now - timedelta(seconds=conf().lost_after_s))
    )
    lost.filter(cancel_requested=True).update(status=Run.Status.CANCELLED, finished_at=now)
    lost.filter(tries__gte=conf().max_tries).update(
        status=Run.Status.FAILED, finished_at=now, error=f"Its worker was lost {conf().max_tries} times."
    )
    _forget_checkpoints()
    lost.update(status=Run.Status.QUEUED, enqueued_at=None, message="Its worker was lost; waiting for another.")
    quiet = Q(enqueued_at=None) | Q(enqueued_at__lt=now - WAKE_AGAIN_AFTER)
    return list(Run.objects.filter(quiet, status=Run.Status.QUEUED).values_list("pk", flat=True))


def run(run_id: int, out_of_time: type[Exception] | tuple[type[Exception], ...] = ()) -> Run | None:
    """Carry out a queued run from events to live model. None when it is not there, or not to be claimed (done, taken).

    `out_of_time` is what the caller's time limit raises in the midst of it.
    """
    claimed = Run.objects.filter(pk=run_id, status=Run.Status.QUEUED, cancel_requested=False).update(
        status=Run.Status.RUNNING,
        started_at=timezone.now(),
        heartbeat_at=timezone.now(),
        worker=socket.gethostname(),
        tries=F("tries") + 1,
        stages=[],
        share_done=0,
        error="",
    )
    if not claimed:
        return None
    row = Run.objects.get(pk=run_id)
    try:
        artifact.sweep_aside(conf().artifacts_dir)
        with RunMonitor(row, STAGES) as monitor:
            passed = _learn(row, monitor)
    except Cancelled:
        _end(row, Run.Status.CANCELLED)
    except out_of_time:
        _end(row, Run.Status.FAILED, "It took longer than it may: raise TRAIN_TIME_LIMIT_S, or learn less.")
    except RecommenderError as error:
        _end(row, Run.Status.FAILED, error.message)
    except OSError as error:
        log.exception("Run %s could not write its files.", row.pk)
        _end(
            row,
            Run.Status.FAILED,
            f"Its files cannot be read or written; is the disk full? ({error.strerror or error})",
        )
    except Exception as error:
        log.exception("Run %s failed.", row.pk)
        where = traceback.extract_tb(error.__traceback__)[-1]
        _end(row, Run.Status.FAILED, f"{type(error).__name__}: {error} ({where.name}, line {where.lineno})")
    else:
        if _end(row, Run.Status.SUCCEEDED if passed else Run.Status.REFUSED):
            _follow_up(row)
        else:
            _end(row, Run.Status.CANCELLED)
    _forget_checkpoints()
    return Run.objects.filter(pk=run_id).first()


def _checkpoints(row: Run) -> Path:
    """Where a run's fits keep what they need to go on when its worker is lost; the next try finds it there."""
    return conf().artifacts_dir / "checkpoints" / f"run-{row.pk:06d}"


def _forget_checkpoints() -> None:
    """Remove what runs left that no try will take up again."""
    active = {_checkpoints(row) for row in Run.objects.filter(status__in=Run.ACTIVE)}
    for folder in (conf().artifacts_dir / "checkpoints").glob("run-*"):
        if folder not in active:
            shutil.rmtree(folder, ignore_errors=True)


def _follow_up(row: Run) -> None:
    """What a run that came to its end leads to."""
    if row.status == Run.Status.SUCCEEDED and conf().auto_publish:
        try:
            publishing.publish(row.pk, "Passed the gate.")
        except RecommenderError as error:
            log.exception("Run %s passed the gate but cannot be published.", row.pk)
            Run.objects.filter(pk=row.pk).update(error=f"Not published. {error.message}")
    publishing.sweep_artifacts()


def _learn(row: Run, monitor: RunMonitor) -> bool:
    """From events to an artifact on disk; returns the gate's verdict."""
    config = make_config(row.trainer, row.config)
    options = Options(
        seed=row.options["seed"],
        threads=row.options["threads"],
        device=row.options.get("device", "auto"),
        progress=monitor.progress,
    )
    with monitor.stage("load"):
        read = event_log.read()
    with monitor.stage("clean"):
        kept, repeats = event_log.without_repeats(read)
        data = event_log.described(event_log.interactions(kept))
    users, items = data.shape
    row.counts = {"events": len(read), "repeats": repeats, "learned": len(kept), "users": users, "items": items}
    monitor.save("counts")
    with monitor.stage("split"):
        train, test, cutoff = share_split(data, conf().test_share)
        if not (train.weights > 0).any():  # a handful of events: nothing to spare for a test
            train, test = data, data.where(np.zeros(len(data), dtype=bool))
    with monitor.stage("fit"):
        judged = _fit(row.trainer, train, config, replace(options, checkpoints=_checkpoints(row) / "judged"))
        baseline = _fit(BASELINE, train, make_config(BASELINE, {}), Options())
    with monitor.stage("evaluate"):
        query = trainer(row.trainer).query(judged, config)
        candidate = evaluate(query, train, test, METRIC_KS, progress=monitor.progress)
        popular = trainer(BASELINE).query(baseline, make_config(BASELINE, {}))
        floor = evaluate(popular, train, test, METRIC_KS)
    with monitor.stage("gate"):
        live = publishing.live_run()
        verdict = gate.judge(
            candidate,
            floor,
            live.metrics.get("model") if live else None,
            arrays=judged,
            personalised=row.trainer != BASELINE,
        )
        row.metrics = {
            "model": candidate.as_json(),
            BASELINE: floor.as_json(),
            "cutoff": event_log.moment(cutoff).isoformat(),
        }
        kind = trainer(row.trainer)
        if isinstance(kind, Settles):  # what was judged is what will serve
            row.metrics["choice"] = kind.described(judged)
            config = kind.settled(judged, config)
        row.gate = verdict.as_json()
        monitor.save("metrics", "gate")
    with monitor.stage("refit"):
        arrays = _fit(row.trainer, data, config, replace(options, checkpoints=_checkpoints(row) / "served"))
    with monitor.stage("write"):
        names = [f"run-{row.pk:06d}-{number}" for number in range(1, row.tries + 1)]
        for left in names:  # by earlier tries, whose workers were lost; never by later ones
            shutil.rmtree(conf().artifacts_dir / left, ignore_errors=True)
        name = names[-1]
        write_model(
            conf().artifacts_dir,
            name,
            row.trainer,
            config,
            arrays,
            data,
            purchases=event_log.purchases(kept, data),
            index=conf().index,
            manifest={"run": row.pk, "seed": options.seed, "cutoff": row.metrics["cutoff"], "gate": row.gate},
        )
        row.artifact = name
        try:
            monitor.save("artifact")
        except Cancelled:
            shutil.rmtree(conf().artifacts_dir / name, ignore_errors=True)
            raise
    return verdict.passed


def _fit(name: str, data: Interactions, config: Any, options: Options) -> Arrays:
    arrays = trainer(name).fit(data, config, options)
    for key, array in arrays.items():
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            raise NotFinite(f"In {key}.")
    return arrays


def _end(row: Run, status: str, error: str = "") -> bool:
    """Note how it ended. False when it is no longer this try's to end, or was to be cancelled before it ended well."""
    mine = Run.objects.filter(pk=row.pk, status=Run.Status.RUNNING, tries=row.tries)
    if status in (Run.Status.SUCCEEDED, Run.Status.REFUSED):
        mine, row.share_done = mine.filter(cancel_requested=False), 1.0
    row.status, row.error, row.finished_at = status, error, timezone.now()
    return bool(mine.update(status=status, error=error, finished_at=row.finished_at, share_done=row.share_done))
