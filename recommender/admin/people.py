"""Visitors: what each did, and what the site would recommend to them right now."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from recommender.admin.readonly import ReadOnlyAdmin
from recommender.models import Event, Visitor
from recommender.services import serving

EVENTS_SHOWN = 50
RECOMMENDED = 10


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
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Visitor | None = None,
    ) -> HttpResponse:
        if obj is not None:
            served = obj.merged_into_id or obj.pk
            events = Event.objects.filter(visitor_id=served).select_related("item").order_by("-occurred_at", "-id")
            context |= {
                "served": served,
                "events": events[:EVENTS_SHOWN],
                "events_shown": EVENTS_SHOWN,
                "shelf": serving.recommend(served, RECOMMENDED),
            }
        return super().render_change_form(request, context, add, change, form_url, obj)
