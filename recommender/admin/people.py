"""Visitors: what each did, and what the site would recommend to them right now."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from recommender.admin.readonly import ReadOnlyAdmin
from recommender.admin.verdict_list import kind_badge, reasons, state_badge, sure_bar
from recommender.models import Visitor
from recommender.services import events, serving
from recommender.services.screening import verdicts

VERDICTS_SHOWN = 20  # the surest; a visitor may have written hundreds of suspicious reviews
EVENTS_SHOWN = 50  # the latest; more would bury what stands below them
RECOMMENDED = 10  # as many as an API client gets who does not say


@admin.register(Visitor)
class VisitorAdmin(ReadOnlyAdmin):
    change_form_template = "admin/recommender/visitor/change_form.html"
    list_display = ["name", "kind", "account", "merged_into_id", "created_at"]
    list_filter = ["kind", "created_at"]
    list_select_related = ["account"]
    search_fields = ["^id", "account__username"]
    ordering = ["-created_at"]

    @admin.display(description="Id", ordering="id")
    def name(self, visitor: Visitor) -> SafeString:
        return format_html('<span class="console-id">{}</span>', visitor.pk)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        visitor: Visitor = context["original"]  # nobody adds visitors here
        served = visitor.merged_into_id or visitor.pk
        context |= {
            "served": served,
            "events": events.recorded(served)[:EVENTS_SHOWN],
            "events_shown": EVENTS_SHOWN,
            "verdicts": _verdicts(request, served),
            "shelf": serving.recommend(served, RECOMMENDED, note=False),
        }
        return super().render_change_form(request, context, *args, **kwargs)


def _verdicts(request: HttpRequest, visitor_id: str) -> list[dict[str, Any]] | None:
    """What was found about it, the surest first; None for those who may not see verdicts."""
    if not request.user.has_perm("recommender.view_verdict"):
        return None
    return [
        {
            "row": row,
            "kind": kind_badge(row.kind),
            "sure": sure_bar(row.probability),
            "state": state_badge(row),
            "why": (reasons(row) or ["–"])[0],
        }
        for row in verdicts.of_visitor(visitor_id)[:VERDICTS_SHOWN]
    ]
