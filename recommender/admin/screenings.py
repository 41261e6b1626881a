"""Screenings: passes of the detectors over the shop, asked for here, by the clock or by a burst; what each found."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from recommender import tasks
from recommender.admin import charts
from recommender.admin.jobs import JobAdmin
from recommender.admin.lists import SteadyList
from recommender.admin.readonly import ReadOnly
from recommender.models import Screening
from recommender.services import console
from recommender.services.errors import InvalidInput, ScreeningActive, ScreeningOff
from recommender.services.screening import learned, screenings, verdicts

NO_BROKER = (
    "The broker (Redis) does not answer. Screening {} is queued and waits: a worker is called once the broker is back."
)
LABELS = {
    "profile": "Profiles",
    "review": "Reviews",
    "order": "Orders",
    "session": "Sessions",
    "access": "Log-ins and API use",
}


@admin.register(Screening)
class ScreeningAdmin(ReadOnly, JobAdmin, SteadyList):
    change_list_template = "admin/recommender/screening/change_list.html"
    list_display = ["number", "state", "what", "asked_by", "started"]
    list_filter = ["status"]
    search_fields = ["id__exact", "requested_by", "reason"]
    ordering = ["-id"]
    list_per_page = 30

    def get_urls(self) -> list[URLPattern]:
        views: list[tuple[str, Callable[..., HttpResponse], str]] = [
            ("screen/", self.screen_view, "recommender_screening_screen"),
            ("<int:screening_id>/progress/", self.progress_view, "recommender_screening_progress"),
            ("<int:screening_id>/cancel/", self.cancel_view, "recommender_screening_cancel"),
        ]
        own = [path(route, self.admin_site.admin_view(view), name=name) for route, view, name in views]
        return own + super().get_urls()

    @admin.display(description="Screening", ordering="id")
    def number(self, row: Screening) -> str:
        return str(row.pk)

    @admin.display(description="What it found")
    def what(self, row: Screening) -> str:
        if row.status != Screening.Status.SUCCEEDED:
            return row.error[:200] or "–"
        return row.message or "–"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {"title": "Screenings", "waiting": verdicts.waiting(), "active": screenings.active()}
        told = [(label, learned.describe(name)) for name, label in LABELS.items()]
        context["taught"] = [(label, one["words"]) for label, one in told if one["confirmed"] or one["released"]]
        return super().changelist_view(request, context | (extra_context or {}))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The screening's page. There is nothing to edit, so it is drawn instead of a form."""
        row = self.get_object(request, unquote(object_id))
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        if row is None:
            messages.warning(request, f"There is no screening {unquote(object_id)[:20]}.")
            return HttpResponseRedirect(_list())
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Screening {row.pk}",
            "original": row,
            "screening": row,
            "progress": console.progress(row),
            "stage_bars": charts.stage_bars(row.stages),
            "looked": _looked(row),
            "staff": _staff(row),
            "failures": [(LABELS.get(name, name.capitalize()), why) for name, why in _dict(row.failures).items()],
            "can_change": request.user.has_perm("recommender.change_screening"),
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/recommender/screening/page.html", context)

    def progress_view(self, request: HttpRequest, screening_id: int) -> HttpResponse:
        return self.told_progress(request, get_object_or_404(Screening, pk=screening_id))

    def screen_view(self, request: HttpRequest) -> HttpResponse:
        if not request.user.has_perm("recommender.add_screening"):
            raise PermissionDenied
        if request.method != "POST":
            lines = [
                "All profiles, reviews, orders, sessions and access are looked at. What people decided stays decided."
            ]
            return self.ask_first(request, "Screen the shop now?", "Screen", lines, _list())
        answers: list[bool] = []
        try:
            with transaction.atomic():
                row = screenings.request(requested_by=request.user.get_username(), reason="asked for in the console")
                self.log_addition(request, row, "Asked for a screening.")
                # Only once the row is committed can a worker find it.
                transaction.on_commit(lambda: answers.append(tasks.wake_screening(row.pk)))
        except ScreeningActive as error:
            number = error.context["screening_id"]
            link = format_html('{} <a href="{}">Open screening {}.</a>', error.message, _page(number), number)
            messages.error(request, link)
            return HttpResponseRedirect(_list())
        except (ScreeningOff, InvalidInput) as error:
            messages.error(request, error.message)
            return HttpResponseRedirect(_list())
        if False in answers:
            messages.warning(request, NO_BROKER.format(row.pk))
        else:
            messages.success(request, f"Screening {row.pk} is queued.")
        return HttpResponseRedirect(_page(row.pk))

    def cancel_view(self, request: HttpRequest, screening_id: int) -> HttpResponse:
        if not request.user.has_perm("recommender.change_screening"):
            raise PermissionDenied
        row = get_object_or_404(Screening, pk=screening_id)
        if request.method != "POST":
            lines = ["It stops within seconds. What it has found of the subjects that are done stays."]
            title, said = f"Cancel screening {row.pk}?", "Cancel the screening"
            return self.ask_first(request, title, said, lines, _page(row.pk), danger=True)
        row = screenings.cancel(row.pk)
        self.tell_cancelled(request, row)
        return HttpResponseRedirect(_page(row.pk))


def _looked(row: Screening) -> list[dict[str, Any]]:
    """By subject, with names that a template can read; whatever an older row holds."""
    failed = _dict(row.failures)
    found = []
    for name, one in _dict(row.counts).items():
        count = _dict(one)
        took = count.get("seconds")
        found.append(
            {
                "label": LABELS.get(name, name.capitalize()),
                "name": name,
                **{key: count.get(key, 0) for key in ("rows", "found", "new", "gone", "beyond")},
                "note": "Failed, see above." if name in failed else count.get("note", ""),
                "took": console.span(took) if isinstance(took, int | float) else "",
            }
        )
    return found


def _staff(row: Screening) -> list[str]:
    """What became of learning from staff's verdicts, each sentence once."""
    told = [
        f"Staff's verdicts on {LABELS.get(name, name).lower()} are learned from."
        if staff.get("acts")
        else f"Staff's verdicts are not learned from yet: {staff['why']}"
        for name, one in _dict(row.counts).items()
        if (staff := _dict(_dict(one).get("staff"))) and (staff.get("acts") or staff.get("why"))
    ]
    return list(dict.fromkeys(told))


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _page(screening_id: int) -> str:
    return reverse("admin:recommender_screening_change", args=[screening_id])


def _list() -> str:
    return reverse("admin:recommender_screening_changelist")
