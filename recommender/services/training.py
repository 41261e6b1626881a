"""The life of a run: asked for, claimed by a worker, learned, judged, written, published; or failed with its reason."""

import logging
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from django.db import IntegrityError, transaction

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
from recommender.services import clusters, event_log, jobs, mixing, newcomers, publishing, trending
from recommender.services.errors import RunActive, UnknownRun
from recommender.services.run_monitor import RunMonitor
from recommender.services.screening import training_stage

log = logging.getLogger(__name__)

STAGES = {
    "load": 15, "clean": 5, "screening": 15, "split": 2, "fit": 25, "evaluate": 15, "gate": 1, "refit": 25,
    "newcomers": 6, "mixing": 6, "write": 12,
}  # fmt: skip
"""The stages in order, with their usual part of the time."""
METRIC_KS = (10, 20)  # lengths of the lists that are judged; the first decides at the gate


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
    jobs.cancel(run)
    return run


def enqueued(run_id: int) -> None:
    """Note that the broker took the wake-up call."""
    jobs.enqueued(Run, run_id)


def recover() -> list[int]:
    """Find what was lost; returns the runs to wake a worker for."""
    return jobs.recover(Run, before_requeue=_forget_checkpoints)


def run(run_id: int, out_of_time: jobs.OutOfTime = ()) -> Run | None:
    """Carry out a queued run from events to live model. None when it is not there, or not to be claimed (done, taken).

    `out_of_time` is what the caller's time limit raises in the midst of it.
    """
    row = jobs.claim(Run, run_id)
    if row is None:
        return None

    def work() -> str:
        artifact.sweep_aside(conf().artifacts_dir)
        with RunMonitor(row, STAGES) as monitor:
            passed = _learn(row, monitor, out_of_time)
        return Run.Status.SUCCEEDED if passed else Run.Status.REFUSED

    if jobs.carry_out(row, work, out_of_time, "It took longer than it may: raise TRAIN_TIME_LIMIT_S, or learn less."):
        _follow_up(row)
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
        trending.refresh()
    publishing.sweep_artifacts()


def _learn(row: Run, monitor: RunMonitor, out_of_time: jobs.OutOfTime) -> bool:
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
        single, repeats = event_log.without_repeats(read)
    with monitor.stage("screening"):
        kept, trust = training_stage.screened(row, single, options, out_of_time)
        data = event_log.described(event_log.interactions(kept, trust))
    users, items = data.shape
    row.counts = {"events": len(read), "repeats": repeats, "learned": len(kept), "users": users, "items": items}
    if len(kept) < len(single):
        row.counts["left_out"] = len(single) - len(kept)
    monitor.save("counts", "screening")
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
    with monitor.stage("newcomers"):
        mapped, how, found = newcomers.learned(data, trainer(row.trainer).query(arrays, config), options)
        if found is not None:
            row.metrics["newcomers"] = dict(found.figures)
            monitor.save("metrics")
    with monitor.stage("mixing"):
        bought = event_log.purchases(kept, data)
        mixed, so = mixing.learned(query, train, test, bought, options, out_of_time)
        if so:
            row.metrics["mixer"] = so["mixer"]
            monitor.save("metrics")
    with monitor.stage("write"):
        names = [f"run-{row.pk:06d}-{number}" for number in range(1, row.tries + 1)]
        for left in names:  # by earlier tries, whose workers were lost; never by later ones
            shutil.rmtree(conf().artifacts_dir / left, ignore_errors=True)
        name = names[-1]
        item_vectors = trainer(row.trainer).query(arrays, config).item_vectors
        groups, named = clusters.learn(data, item_vectors, options.seed)
        write_model(
            conf().artifacts_dir,
            name,
            row.trainer,
            config,
            arrays,
            data,
            purchases=bought,
            index=conf().index,
            manifest={
                "run": row.pk,
                "seed": options.seed,
                "cutoff": row.metrics["cutoff"],
                "gate": row.gate,
                **named,
                **how,
                **so,
            },
            further={**groups, **mapped, **mixed},
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
