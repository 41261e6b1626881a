"""Which run serves: publish, roll back, withdraw; each with a reason, in one transaction, never forgotten."""

import shutil
from typing import Any

from django.db import transaction

from recommender.conf import conf
from recommender.engine.model import open_model
from recommender.models import Experiment, Publication, Run, Variant
from recommender.services import rows
from recommender.services.errors import InvalidInput, NothingToRollBackTo, RunNotPublishable, UnknownRun

MAX_REASON = 300  # characters
LIVE = f"SELECT run_id FROM {Publication._meta.db_table} ORDER BY id DESC LIMIT 1"  # noqa: S608


def live_run_id() -> int | None:
    """The run that serves, or None."""
    found = rows.fetched(LIVE, (), Publication)
    return found[0][0] if found else None


def live_run() -> Run | None:
    run_id = live_run_id()
    return Run.objects.get(pk=run_id) if run_id else None


def publish(run_id: int, reason: str, by: Any = None) -> Publication:
    """Make a finished run serve from the next request on.

    Its artifact is opened and its hashes checked first, so that one that could not serve never goes live.
    A run that the gate refused can be published by a person who gives a reason.
    Raises UnknownRun, InvalidInput, RunNotPublishable, ArtifactMissing, ArtifactDamaged.
    """
    run = Run.objects.filter(pk=run_id).first()
    if run is None:
        raise UnknownRun(f"Run {run_id}.")
    if run.status not in (Run.Status.SUCCEEDED, Run.Status.REFUSED) or not run.artifact:
        raise RunNotPublishable(f"Run {run.pk} is {run.get_status_display()}.")
    open_model(conf().artifacts_dir / run.artifact)
    return _point(run, Publication.Action.PUBLISH, reason, by)


def roll_back(reason: str, by: Any = None) -> Publication:
    """Make the run that served before the live one serve again.

    Raises NothingToRollBackTo, InvalidInput, ArtifactMissing, ArtifactDamaged.
    """
    target = roll_back_target()
    if target is None:
        raise NothingToRollBackTo()
    open_model(conf().artifacts_dir / target.artifact)
    return _point(target, Publication.Action.ROLL_BACK, reason, by)


def withdraw(reason: str, by: Any = None) -> Publication:
    """Let no model serve: pages fall back to popular items until something is published again."""
    return _point(None, Publication.Action.WITHDRAW, reason, by)


def roll_back_target() -> Run | None:
    """The run that a roll-back would bring back: the latest that served before the live one and is still on disk."""
    served = _served()
    before = served if live_run_id() is None else served[:-1]
    there = Run.objects.filter(pk__in=before).exclude(artifact="").in_bulk()
    return next((there[run_id] for run_id in reversed(before) if run_id in there), None)


def _served() -> list[int]:
    """The runs published and not rolled back from, oldest first; the last is live unless it was withdrawn."""
    served: list[int] = []
    for run_id, action in Publication.objects.order_by("id").values_list("run_id", "action"):
        if action == Publication.Action.ROLL_BACK:
            while served and served[-1] != run_id:
                served.pop()
        elif run_id is not None and (not served or served[-1] != run_id):
            served.append(run_id)
    return served


def sweep_artifacts() -> list[str]:
    """Delete artifacts that nobody would miss; returns their names.

    Kept are the live run's, `keep_artifacts` of those that could be rolled back to, and as many of the newest others;
    and what an experiment serves, or is to serve.
    """
    keep = conf().keep_artifacts
    needed = set(_served()[-keep - 1 :])
    tried = Variant.objects.exclude(experiment__status=Experiment.Status.STOPPED).exclude(run=None)
    needed.update(tried.values_list("run_id", flat=True))
    others = Run.objects.exclude(artifact="").exclude(pk__in=needed).order_by("-id")
    removed = []
    for run in others[keep:]:
        with transaction.atomic():
            Run.objects.select_for_update().get(pk=run.pk)
            if live_run_id() == run.pk:  # published at this very moment
                continue
            Run.objects.filter(pk=run.pk).update(artifact="")
        shutil.rmtree(conf().artifacts_dir / run.artifact, ignore_errors=True)
        removed.append(run.artifact)
    return removed


@transaction.atomic
def _point(run: Run | None, action: str, reason: str, by: Any) -> Publication:
    reason = reason.strip()
    if not reason or len(reason) > MAX_REASON:
        raise InvalidInput(f"Give a reason of at most {MAX_REASON} characters; it is kept in the history.")
    if run and not Run.objects.select_for_update().get(pk=run.pk).artifact:
        raise RunNotPublishable(f"The artifact of run {run.pk} was swept away.")
    return Publication.objects.create(run=run, previous_id=live_run_id(), action=action, reason=reason, by=by)
