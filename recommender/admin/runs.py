"""Runs: the list with its Train now button, and a page for each run that is live while it works."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from recommender.admin import charts, outcomes, run_screening
from recommender.admin.forms import TrainForm
from recommender.admin.lists import SteadyList
from recommender.admin.map import MapPage
from recommender.admin.readonly import ReadOnly
from recommender.admin.run_actions import RunActions
from recommender.admin.tuning import TuningPage
from recommender.models import Publication, Run
from recommender.services import comparison, console, publishing


@admin.register(Run)
class RunAdmin(ReadOnly, RunActions, TuningPage, MapPage, SteadyList):
    change_list_template = "admin/recommender/run/change_list.html"
    list_display = ["number", "state", "main_metric", "trainer", "asked_by", "started"]
    list_filter = ["status", "trainer"]
    search_fields = ["id__exact", "requested_by", "reason"]
    ordering = ["-id"]
    list_per_page = 30

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        newest = Publication.objects.order_by("-id").values("run_id")[:1]
        return super().get_queryset(request).annotate(live_id=Subquery(newest))

    @admin.display(description="Run", ordering="id")
    def number(self, run: Run) -> str | SafeString:
        if run.pk == getattr(run, "live_id", None):  # annotated by get_queryset
            return format_html('{} <span class="badge badge-live">live</span>', run.pk)
        return str(run.pk)

    @admin.display(description="NDCG")
    def main_metric(self, run: Run) -> str | SafeString:
        label, figure = comparison.main_figure(run)
        if figure is None:
            return "–"
        return format_html(
            '<span title="{}">{}</span><br><span class="quiet nowrap">{}</span>', label, figure.text, figure.interval
        )

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {"title": "Runs", "train_form": TrainForm(), **(extra_context or {})}
        return super().changelist_view(request, context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The run's page. There is nothing to edit, so it is drawn instead of a form."""
        run = self.get_object(request, unquote(object_id))
        if not self.has_view_permission(request, run):
            raise PermissionDenied
        if run is None:
            messages.warning(request, f"There is no run {unquote(object_id)[:20]}.")
            return HttpResponseRedirect(reverse("admin:recommender_run_changelist"))
        live = publishing.live_run()
        found = comparison.compare(run, live)
        is_live = live is not None and live.pk == run.pk
        sentences = {check["sentence"] for check in run.gate.get("checks", [])}
        finished = run.status in (Run.Status.SUCCEEDED, Run.Status.REFUSED)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Run {run.pk}",
            "original": run,
            "run": run,
            "live": live,
            "is_live": is_live,
            "progress": console.progress(run),
            "comparison": found,
            "plot": charts.interval_plot(found) if found else None,
            "stage_bars": charts.stage_bars(run.stages),
            "choice": _choice(run.metrics.get("choice")),
            "screening": run_screening.section(run),
            "outcomes": outcomes.of_run(run),
            "can_restore": self.may_restore(request),
            "newcomers": _newcomers(run.metrics.get("newcomers")),
            "mixer": _mixer(run.metrics.get("mixer")),
            "gate_notes": [reason for reason in run.gate.get("reasons", []) if reason not in sentences],
            # Lists, because a template reads `counts.items` as the number of items.
            "counts": list(run.counts.items()),
            "settings": [*run.config.items(), *run.options.items()],
            "publications": run.publications.select_related("by"),
            "target": publishing.roll_back_target() if is_live else None,
            "can_change": self.may_change(request),
            "can_publish": finished and bool(run.artifact) and not is_live,
            "can_estimate": finished and bool(run.artifact),
            "artifact_gone": finished and not run.artifact,
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/recommender/run/page.html", context)


def _newcomers(figures: dict[str, Any] | None) -> dict[str, Any] | None:
    """What the map to new items found, with names that a template can read."""
    if not figures:
        return None
    k = next(name.removeprefix("recall@") for name in figures if name.startswith("recall@"))
    found = [(name, figures[f"{metric}@{k}"], figures["chance"][f"{metric}@{k}"])
             for name, metric in ((f"Recall@{k}", "recall"), (f"NDCG@{k}", "ndcg"))]  # fmt: skip
    return {"useful": figures["useful"], "learned_from": figures["items"], "rows": found}


def _mixer(figures: dict[str, Any] | None) -> dict[str, Any] | None:
    """What was learned of the sources of candidates: those that count, the weightiest first."""
    if not figures:
        return None
    counting = [(name, 100 * weight) for name, weight in figures["weights"].items() if weight > 0]
    return {**figures, "parts": sorted(counting, key=lambda part: -part[1]), "served": figures["kind"] != "first"}


def _choice(choice: dict[str, Any] | None) -> dict[str, Any] | None:
    """What a run chose among, with names that a template can read."""
    if not choice:
        return None
    tried = [
        {
            **one,
            "figure": one["ndcg@10"],
            "settings": ", ".join(f"{name} {value}" for name, value in one["config"].items()),
        }
        for one in choice.get("tried", [])
    ]
    return {**choice, "tried": tried}
