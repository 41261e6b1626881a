"""Train, watch, publish, roll back."""

from functools import partial
from typing import Annotated

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Body, Path, Query, Router

from recommender import tasks
from recommender.api.auth import ADMIN, caller
from recommender.api.bodies import answer
from recommender.api.run_schemas import PublicationOut, ReasonIn, RunIn, RunOut, RunPage
from recommender.api.schemas import Problem
from recommender.models import Publication, Run
from recommender.services import publishing, training

router = Router(tags=["Runs"], auth=ADMIN)

RunId = Annotated[int, Path(ge=1, le=2**63 - 1, description="A run's number.", example=7)]
DEFAULTS = RunIn.model_validate({})


@router.post(
    "/runs",
    response={202: RunOut, 409: Problem},
    summary="Ask for a training run",
    operation_id="request_run",
)
def request_run(request: HttpRequest, wanted: Annotated[RunIn, Body(DEFAULTS)] = DEFAULTS) -> HttpResponse:
    """Queues a run; a worker takes it at once, or as soon as one is up. Watch it at the address in `Location`.

    One run is active at a time: while there is one, 409 names it in `run_id`.
    """
    config = None if wanted.config is None else dict(wanted.config)
    with transaction.atomic():
        run = training.request(
            wanted.trainer, config, requested_by=f"API key: {caller(request).name}", reason=wanted.reason
        )
        # Robust: the row is the truth; a broker that does not answer only delays it until the next sweep.
        transaction.on_commit(partial(tasks.wake, run.pk), robust=True)
    return answer(_described(run, publishing.live_run_id()), 202, {"Location": reverse("api:run", args=[run.pk])})


@router.get("/runs", response=RunPage, summary="List the runs", operation_id="list_runs", url_name="runs")
def list_runs(
    request: HttpRequest,
    limit: Annotated[int, Query(20, ge=1, le=100, description="Runs of a page.", example=20)] = 20,
    before: Annotated[int | None, Query(None, ge=1, le=2**63 - 1, description="Only runs with a lower number.")] = None,
) -> HttpResponse:
    """The latest first. Follow `next` until it is null."""
    runs = Run.objects.order_by("-pk")
    found = list((runs.filter(pk__lt=before) if before else runs)[: limit + 1])
    page, live = found[:limit], publishing.live_run_id()
    more = f"{reverse('api:runs')}?limit={limit}&before={page[-1].pk}" if len(found) > limit else None
    return answer({"count": runs.count(), "runs": [_described(run, live) for run in page], "next": more})


@router.get(
    "/runs/{run_id}",
    response={200: RunOut, 404: Problem},
    summary="Watch a run",
    operation_id="get_run",
    url_name="run",
)
def get_run(request: HttpRequest, run_id: RunId) -> HttpResponse:
    """How far a run is, or how it ended."""
    return answer(_described(training.get(run_id), publishing.live_run_id()))


@router.post(
    "/runs/{run_id}/cancel",
    response={200: RunOut, 404: Problem},
    summary="Cancel a run",
    operation_id="cancel_run",
)
def cancel_run(request: HttpRequest, run_id: RunId) -> HttpResponse:
    """A queued run ends at once, a running one within seconds. One that has ended stays as it is."""
    return answer(_described(training.cancel(run_id), publishing.live_run_id()))


@router.post(
    "/runs/{run_id}/publish",
    response={200: PublicationOut, 404: Problem, 409: Problem},
    summary="Publish a run",
    operation_id="publish_run",
)
def publish_run(request: HttpRequest, run_id: RunId, why: Body[ReasonIn]) -> HttpResponse:
    """Makes a finished run serve from the next request on. Its files are checked first.

    A run that the gate refused can be published too: you give the reason, and it is kept.
    """
    return answer(_published(publishing.publish(run_id, why.reason, caller(request).created_by)))


@router.post(
    "/rollback",
    response={200: PublicationOut, 409: Problem},
    summary="Roll back",
    operation_id="roll_back",
)
def roll_back(request: HttpRequest, why: Body[ReasonIn]) -> HttpResponse:
    """Makes the run that served before the live one serve again."""
    return answer(_published(publishing.roll_back(why.reason, caller(request).created_by)))


def _described(run: Run, live_run_id: int | None) -> dict[str, object]:
    return {
        "run_id": run.pk,
        "status": str(run.status),
        "live": run.pk == live_run_id,
        "trainer": run.trainer,
        "config": run.config,
        "requested_by": run.requested_by,
        "reason": run.reason,
        "stage": run.stage,
        "share_done": run.share_done,
        "message": run.message,
        "error": run.error,
        "counts": run.counts,
        "metrics": run.metrics,
        "gate": run.gate,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
    }


def _published(publication: Publication) -> dict[str, object]:
    return {
        "action": str(publication.action),
        "run_id": publication.run_id,
        "previous_run_id": publication.previous_id,
        "reason": publication.reason,
        "at": publication.at,
    }
