"""Experiments: drafted, started, watched, stopped; and the winner made live."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from recommender.admin import charts
from recommender.admin.experiment_forms import ExperimentForm, VariantInline
from recommender.admin.forms import ReasonForm
from recommender.admin.lists import SteadyList
from recommender.engine.errors import RecommenderError
from recommender.models import Experiment, Run, Variant
from recommender.services import publishing
from recommender.services.experiments import life, results
from recommender.services.experiments.comparing import ALPHA, POWER
from recommender.services.experiments.results import Results

BADGES = {"draft": "queued", "running": "running", "stopped": "succeeded"}


@admin.register(Experiment)
class ExperimentAdmin(SteadyList):
    form = ExperimentForm
    inlines = [VariantInline]
    change_form_template = "admin/recommender/experiment/change_form.html"
    change_list_template = "admin/recommender/experiment/change_list.html"
    list_display = ["name", "state", "metric", "divided", "since", "found"]
    list_filter = ["status"]
    search_fields = ["name", "description"]
    ordering = ["-id"]
    list_per_page = 30
    actions = None

    def get_urls(self) -> list[URLPattern]:
        views: list[tuple[str, Callable[..., HttpResponse], str]] = [
            ("<int:experiment_id>/start/", self.start_view, "recommender_experiment_start"),
            ("<int:experiment_id>/stop/", self.stop_view, "recommender_experiment_stop"),
            ("<int:experiment_id>/live/<int:variant_id>/", self.live_view, "recommender_experiment_live"),
        ]
        own = [path(route, self.admin_site.admin_view(view), name=name) for route, view, name in views]
        return own + super().get_urls()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Experiment]:
        return super().get_queryset(request).prefetch_related("variants")

    @admin.display(description="State", ordering="status")
    def state(self, row: Experiment) -> SafeString:
        return badge(row)

    @admin.display(description="Variants")
    def divided(self, row: Experiment) -> str:
        return ", ".join(one.name for one in row.variants.all()) or "–"

    @admin.display(description="Started", ordering="started_at", empty_value="–")
    def since(self, row: Experiment) -> Any:
        return row.started_at

    @admin.display(description="Why it stopped")
    def found(self, row: Experiment) -> str:
        return row.why_stopped or "–"

    def has_delete_permission(self, request: HttpRequest, obj: Experiment | None = None) -> bool:
        """Only what never ran: what was shown and what was found stay."""
        drafted = obj is None or obj.status == Experiment.Status.DRAFT
        return drafted and super().has_delete_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Experiment | None = None) -> bool:
        drafted = obj is None or obj.status == Experiment.Status.DRAFT
        return drafted and super().has_change_permission(request, obj)

    def may_change(self, request: HttpRequest) -> bool:
        return request.user.has_perm("recommender.change_experiment")

    def save_model(self, request: HttpRequest, obj: Experiment, form: Any, change: bool) -> None:
        if not change:
            obj.by = request.user  # type: ignore[assignment]
        super().save_model(request, obj, form, change)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A form while it is a draft; afterwards its page, where nothing can be edited that would falsify it."""
        row = self.get_object(request, unquote(object_id))
        if row is None or row.status == Experiment.Status.DRAFT:
            context = {"can_start": self.may_change(request), **(extra_context or {})}
            return super().change_view(request, object_id, form_url, context)
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        return self._page(request, results.read(row))

    def _page(self, request: HttpRequest, found: Results) -> HttpResponse:
        row = found.experiment
        running = row.status == Experiment.Status.RUNNING
        live_id = publishing.live_run_id()
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Experiment {row.name}",
            "original": row,
            "experiment": row,
            "badge": badge(row),
            "running": running,
            "found": found,
            "words": life.in_words(found),
            "open": not found.mismatched and any(one.verdict == "open" for _, one in found.others),
            "rows": [_told(arm, live_id) for arm in found.arms],
            "plot": charts.rates_plot([(arm.variant.name, arm.rate) for arm in found.arms]),
            "seen_percent": f"{100 * found.seen:.1f}",
            "share": f"{row.share:.0%}" if row.share >= 0.1 else f"{row.share:.1%}",
            "ratio_p": f"{found.ratio_p:.1g}",
            "ends_at": life.ends_at(row, row.started_at) if row.started_at else None,
            "facts": _facts(found),
            "can_change": self.may_change(request),
            "can_publish": self.may_change(request) and request.user.has_perm("recommender.change_run"),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/recommender/experiment/page.html", context)

    def start_view(self, request: HttpRequest, experiment_id: int) -> HttpResponse:
        row = self._to_change(request, experiment_id)
        if request.method != "POST":
            names = ", ".join(f"{one.name} ({one.weight:g})" for one in row.variants.all())
            lines = [
                f"Of all visitors, {row.share:.0%} are divided among {names}, from within two seconds on.",
                "It cannot be edited any more. It stops by itself once a difference is certain, all planned visitors "
                f"were seen, or {row.most_days:g} days are over.",
            ]
            return self._ask(request, f"Start {row.name}?", "Start", lines, row)
        try:
            started = life.start(row.pk, by=request.user)
        except RecommenderError as error:
            messages.error(request, f"It was not started. {error.detail}")
        else:
            self.log_change(request, row, "Started.")
            messages.success(request, f"{row.name} runs. It plans with {started.needed:,} visitors of each variant.")
        return HttpResponseRedirect(_page(row.pk))

    def stop_view(self, request: HttpRequest, experiment_id: int) -> HttpResponse:
        row = self._to_change(request, experiment_id)
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if request.method != "POST" or not form.is_valid():
            found = results.read(row)
            early = not found.decided and row.status == Experiment.Status.RUNNING
            warnings = ["It has not decided itself: what it shows by now is not conclusive."] if early else []
            lines = ["Everybody is served alike again, from within two seconds on. What was found stays."]
            more = {"form": form, "danger": True, "warnings": warnings}
            return self._ask(request, f"Stop {row.name}?", "Stop", lines, row, **more)
        try:
            life.stop(row.pk, form.cleaned_data["reason"])
        except RecommenderError as error:
            messages.warning(request, f"Nothing has changed. {error.detail}")
        else:
            self.log_change(request, row, f"Stopped: {form.cleaned_data['reason']}")
            messages.success(request, f"{row.name} has stopped.")
        return HttpResponseRedirect(_page(row.pk))

    def live_view(self, request: HttpRequest, experiment_id: int, variant_id: int) -> HttpResponse:
        """Publish a variant's run; what else it sets is for the settings, and is said."""
        row = self._to_change(request, experiment_id)
        if not request.user.has_perm("recommender.change_run"):
            raise PermissionDenied
        variant = get_object_or_404(Variant, pk=variant_id, experiment=row)
        run = variant.run
        if run is None or row.status != Experiment.Status.STOPPED:
            messages.warning(request, "Only a variant of a stopped experiment with a run of its own can be published.")
            return HttpResponseRedirect(_page(row.pk))
        form = ReasonForm(request.POST or None, initial={"reason": f"experiment {row.name}: {row.why_stopped}"[:300]})
        if request.method != "POST" or not form.is_valid():
            refused = run.status == Run.Status.REFUSED
            warnings = ["The gate refused this run:", *run.gate.get("reasons", [])] if refused else []
            lines = [f"Run {run.pk} serves everybody from the next request on, after its files have been checked."]
            if variant.settings:
                lines.append(f"The variant also sets {variant.settings}: put that into SERVING and start again.")
            return self._ask(request, f"Publish run {run.pk}?", "Publish", lines, row, form=form, warnings=warnings)
        try:
            done = life.make_live(variant, form.cleaned_data["reason"], by=request.user)
        except (RecommenderError, OSError) as error:
            messages.error(request, f"Nothing has changed. {error}")
        else:
            self.log_change(request, row, f"Made {variant.name} live.")
            messages.success(request, f"Run {run.pk} is live." if done else f"Run {run.pk} was live already.")
        return HttpResponseRedirect(_page(row.pk))

    def _ask(
        self, request: HttpRequest, title: str, label: str, lines: list[str], row: Experiment, **more: Any
    ) -> HttpResponse:
        request.current_app = self.admin_site.name
        context = {
            **self.admin_site.each_context(request), "opts": self.opts, "title": title, "label": label, "lines": lines,
            "back": _page(row.pk), **more,
        }  # fmt: skip
        return TemplateResponse(request, "admin/recommender/run/confirm.html", context)

    def _to_change(self, request: HttpRequest, experiment_id: int) -> Experiment:
        if not self.may_change(request):
            raise PermissionDenied
        return get_object_or_404(Experiment, pk=experiment_id)


def badge(row: Experiment) -> SafeString:
    return format_html('<span class="badge badge-{}">{}</span>', BADGES[row.status], row.get_status_display())


def _facts(found: Results) -> list[tuple[str, str]]:
    """How it decides."""
    row = found.experiment
    return [
        ("Visitors planned, each variant", f"{row.needed or 0:,}"),
        ("Rate expected of the control", charts.percent(row.baseline or 0.0)),
        ("Least effect worth knowing", f"{row.least_effect:.0%} of that rate"),
        ("Finds such an effect", f"with probability {POWER:g}"),
        ("Finds one where there is none", f"with probability {ALPHA:g} at most, over all looks"),
        ("Divided as the weights say", f"p = {found.ratio_p:.2g}"),
        ("Served by two variants", f"{found.crossed:,} visitors, left out"),
        ("Ends by itself after", f"{row.most_days:g} days"),
    ]


def _told(arm: results.Arm, live_id: int | None) -> dict[str, Any]:
    """A variant as the table shows it."""
    variant, found = arm.variant, arm.difference
    serves = [
        f"run {variant.run_id} ({variant.run.trainer})" if variant.run else "",
        ", ".join(f"{name} {value}" for name, value in variant.settings.items()),
        "" if variant.rules else "no business rules",
    ]
    return {
        "variant": variant,
        "serves": "; ".join(one for one in serves if one) or "as everybody",
        "counted": arm.counted,
        "rate": charts.percent(arm.rate.value),
        "interval": charts.percents(*arm.rate.interval),
        "difference": found and f"{100 * found.value:+.2f}",
        "bounds": found and f"{100 * found.low:+.2f} to {100 * found.high:+.2f}",
        "lift": found and found.lift is not None and f"{found.lift:+.1%}",
        "verdict": found.verdict if found else "",
        "publishable": variant.run is not None and variant.run_id != live_id and bool(variant.run.artifact),
    }


def _page(experiment_id: int) -> str:
    return reverse("admin:recommender_experiment_change", args=[experiment_id])
