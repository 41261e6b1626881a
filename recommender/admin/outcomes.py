"""What came of what was shown: per run, shelf and place; and what a run would have brought, told by chance."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from recommender.admin import charts
from recommender.admin.readonly import ReadOnlyAdmin
from recommender.conf import conf
from recommender.engine.errors import RecommenderError
from recommender.models import Answer, Run
from recommender.services.experiments import off_policy, outcomes, watch
from recommender.services.experiments.comparing import Rate

DAYS = {"1": "day", "7": "7 days", "30": "30 days"}


@admin.register(Answer)
class AnswerAdmin(ReadOnlyAdmin):
    """Its list is not of rows: who was shown what is nobody's to read, what came of it all is."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        days = request.GET.get("days", "7")
        days = days if days in DAYS else "7"
        found = outcomes.read(float(days))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Outcomes",
            "found": found,
            "days": days,
            "choices": [(value, label, value == days) for value, label in DAYS.items()],
            "tables": [
                ("By run", "Run", [_line(line) for line in found.runs], True),
                ("By shelf", "Shelf", [_line(line) for line in found.shelves], False),
                ("By place", "Place", [_line(line) for line in found.places], False),
            ],
            "plot": charts.rates_plot([(line.label, line.rates[0]) for line in found.runs if line.run]),
            "places": charts.shares([(line.label, line.rates[0].value) for line in found.places]),
            "logged": conf().served.log_answers,
            "keep_days": conf().served.keep_days,
            "watched": [(name.replace("_", " "), f"{share:.0%}") for name, share in conf().served.watch.items()],
            "taken_back": watch.latest(),
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/recommender/answer/outcomes.html", context)

    def has_view_permission(self, request: HttpRequest, obj: Answer | None = None) -> bool:
        return obj is None and super().has_view_permission(request, obj)


def estimate_view(model_admin: admin.ModelAdmin, request: HttpRequest, run: Run) -> HttpResponse:
    """Ask a finished run what it would have put where chance decided. It takes seconds, so it is asked for."""
    found = None
    if request.method == "POST":
        try:
            found = off_policy.estimate(run.pk)
        except (RecommenderError, OSError) as error:
            messages.error(request, f"It cannot be estimated. {error}")
    rows = []
    if found and found.enough:
        for label, hint, one in (
            ("Shown by chance", "what was really there", found.shown),
            ("This run, SNIPS", "self-normalised: steadier", found.snips),
            ("This run, IPS", "unbiased: less steady", found.ips),
        ):
            low, high = max(one.low, 0.0), min(one.high, 1.0)
            rate, interval = charts.percent(one.value), charts.percents(low, high)
            rows.append({"label": label, "hint": hint, "rate": rate, "interval": interval})
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": f"Estimate run {run.pk} from exploration",
        "run": run,
        "back": "../",
        "found": found,
        "rows": rows,
        "most": off_policy.MOST,
        "clip": found and found.clip,
        "explored_share": conf().served.explore,
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "admin/recommender/run/estimate.html", context)


def of_run(run: Run) -> dict[str, Any] | None:
    """The line of live figures on a run's page; None where nothing of it was shown."""
    counts = outcomes.of_run(run.pk)
    if not counts.answers:
        return None
    rates = [(metric.removesuffix("_rate"), counts.rate(metric)) for metric in outcomes.METRICS]
    return {"counts": counts, "rates": [{"name": name, **_rate(rate)} for name, rate in rates]}


def _line(line: outcomes.Line) -> dict[str, Any]:
    lift = line.lift
    return {
        "label": line.label,
        "run": line.run,
        "counts": line.counts,
        "rates": [_rate(rate) for rate in line.rates],
        "before": line.before,
        "lift": lift and f"{lift[0]:+.0%}",
        "lift_bounds": lift and f"{lift[1]:+.0%} to {lift[2]:+.0%}",
        "mark": lift and ("better" if lift[1] > 0 else "worse" if lift[2] < 0 else "same"),
    }


def _rate(rate: Rate) -> dict[str, Any]:
    return {
        "hits": rate.hits,
        "value": charts.percent(rate.value) if rate.count else "–",
        "interval": charts.percents(*rate.interval) if rate.count else "",
    }
