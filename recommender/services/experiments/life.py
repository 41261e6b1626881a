"""An experiment's life: checked and started by staff; stopped by staff, by its stop rule, or when its time is over."""

import logging
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from recommender.conf import conf
from recommender.engine.errors import InvalidConfig
from recommender.models import Experiment, Publication, Run, Variant
from recommender.services import publishing
from recommender.services.errors import InvalidInput, Refused
from recommender.services.experiments import assignment, results
from recommender.services.experiments.comparing import needed
from recommender.services.experiments.results import Results

log = logging.getLogger(__name__)

SITE_WIDE = {"log_answers", "keep_days", "watch"}  # settings that no visitor can have of their own
MAX_REASON = Experiment._meta.get_field("why_stopped").max_length or 300
LEAST_MEASURED = 100  # visitors from whom a rate is measured


class ExperimentRefused(Refused):
    """The experiment cannot do that."""


def settable() -> list[str]:
    """The settings of serving that a variant may set."""
    return [one.name for one in fields(conf().served) if one.name not in SITE_WIDE]


def check_settings(values: Any) -> None:
    """Raises InvalidInput where these are no settings of serving that a variant may set."""
    if not isinstance(values, Mapping):
        raise InvalidInput('Settings are an object such as {"diversity": 0.4}.')
    if strange := sorted(set(values) - set(settable())):
        raise InvalidInput(f"No setting of a variant: {', '.join(strange)}. Possible are {', '.join(settable())}.")
    try:
        replace(conf().served, **values)
    except InvalidConfig as error:
        raise InvalidInput(error.detail or error.message) from error


def check(experiment: Experiment) -> None:
    """Raises InvalidInput where it could not be started."""
    variants = list(experiment.variants.select_related("run"))
    if len(variants) < 2:
        raise InvalidInput("It takes two variants at least: what there is, and what may be better.")
    if sum(one.control for one in variants) != 1:
        raise InvalidInput("One variant has to be the control, which the others are compared with.")
    if experiment.share <= 0:
        raise InvalidInput("Some visitors have to take part: set a share above 0.")
    for one in variants:
        check_settings(one.settings)
        if one.run and (one.run.status not in (Run.Status.SUCCEEDED, Run.Status.REFUSED) or not one.run.artifact):
            raise InvalidInput(f"Variant {one.name}: run {one.run_id} has no model that could serve.")


@transaction.atomic
def start(experiment_id: int, by: Any = None) -> Experiment:
    """Divide visitors from now on; first compute how many are needed.

    Raises ExperimentRefused, InvalidInput, DoesNotExist.
    """
    one = Experiment.objects.select_for_update().get(pk=experiment_id)
    if one.status != Experiment.Status.DRAFT:
        raise ExperimentRefused(f"It is {one.get_status_display()} already; make another one.")
    check(one)
    if one.baseline is None:
        measured = results.baseline(one.metric)
        if measured.count < LEAST_MEASURED or not 0 < measured.hits < measured.count:
            raise InvalidInput(
                "Say which rate is expected of the control: too little has been shown lately to measure it "
                f"({measured.count} visitors, of whom {measured.hits} count)."
            )
        one.baseline = measured.value
    one.needed = needed(one.baseline, one.least_effect, one.variants.count() - 1)
    one.status, one.started_at, one.by = Experiment.Status.RUNNING, timezone.now(), by
    one.save()
    transaction.on_commit(assignment.forget)
    return one


@transaction.atomic
def stop(experiment_id: int, reason: str, found: Results | None = None, now: datetime | None = None) -> Experiment:
    """Everybody is served alike again; what was found stays. Raises ExperimentRefused, InvalidInput, DoesNotExist."""
    reason = reason.strip()
    if not reason or len(reason) > MAX_REASON:
        raise InvalidInput(f"Give a reason of at most {MAX_REASON} characters; it is kept.")
    one = Experiment.objects.select_for_update().get(pk=experiment_id)
    if one.status != Experiment.Status.RUNNING:
        raise ExperimentRefused(f"It is not running but {one.get_status_display()}.")
    moment = now or timezone.now()
    found = found or results.read(one, moment)
    one.report, one.why_stopped = found.as_json(), reason
    one.status, one.stopped_at = Experiment.Status.STOPPED, moment
    one.save()
    transaction.on_commit(assignment.forget)
    return one


def tend(now: datetime | None = None) -> list[Experiment]:
    """Stop each running experiment that has decided itself or whose time is over; returns those."""
    moment = now or timezone.now()
    stopped = []
    for one in Experiment.objects.filter(status=Experiment.Status.RUNNING):
        found = results.read(one, moment)
        if reason := due(found, moment):
            try:
                stopped.append(stop(one.pk, reason, found, moment))
            except ExperimentRefused as error:  # staff were quicker
                log.info("%s", error)
    return stopped


def due(found: Results, now: datetime) -> str:
    """Why it ends now; empty where it goes on."""
    one = found.experiment
    if found.decided:
        return (in_words(found) + " By its stop rule.")[:MAX_REASON]
    if one.started_at and now >= ends_at(one, one.started_at):
        return (f"Ended after {one.most_days:g} days. " + in_words(found))[:MAX_REASON]
    return ""


def ends_at(one: Experiment, started_at: datetime) -> datetime:
    return started_at + timedelta(days=min(one.most_days, 36_500))


def in_words(found: Results) -> str:
    """What is known, in a sentence or two."""
    if found.mismatched:
        return (
            "No verdict: visitors were not divided as the weights say "
            f"(p = {found.ratio_p:.1g}), so something loses them and no difference can be trusted."
        )
    said = []
    for arm, one in found.others:
        by = f" by {abs(one.lift):.1%}" if one.lift is not None else ""
        said.append(
            {
                "better": f"{arm.variant.name} is better than the control{by}.",
                "worse": f"{arm.variant.name} is worse than the control{by}.",
                "same": f"{arm.variant.name}: no difference was found among all planned visitors.",
                "open": f"{arm.variant.name}: not conclusive at {one.seen:.0%} of the planned visitors.",
            }[one.verdict]
        )
    return " ".join(said)


def make_live(variant: Variant, reason: str, by: Any = None) -> Publication | None:
    """Publish the run of a variant, if it has one of its own that is not live; its settings stay for staff to set.

    Raises what publishing.publish raises.
    """
    if variant.run_id is None or variant.run_id == publishing.live_run_id():
        return None
    return publishing.publish(variant.run_id, reason, by=by)
