"""The columns and filters of the list of rules."""

from typing import Any

from django.contrib import admin
from django.contrib.humanize.templatetags.humanize import naturaltime
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString

from recommender.admin.lists import SteadyList
from recommender.models import Rule
from recommender.services import rules

BADGES = {"on": "succeeded", "scheduled": "queued", "ended": "cancelled", "off": "cancelled", "broken": "failed"}
STATE_WORDS = {
    "on": "In force",
    "scheduled": "Starts by itself",
    "ended": "Its time is over",
    "off": "A draft, or switched off",
    "broken": "Skipped: it cannot be understood",
}
CONDITION_SHOWN = 160  # characters


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("on", "on or scheduled"), ("ended", "ended"), ("off", "off")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Rule]) -> QuerySet[Rule]:
        ended = queryset.filter(enabled=True, ends_at__lte=timezone.now())
        chosen: dict[str | None, QuerySet[Rule]] = {
            "on": queryset.filter(enabled=True).exclude(pk__in=ended.order_by().values("pk")),
            "ended": ended,
            "off": queryset.filter(enabled=False),
        }
        return chosen.get(self.value(), queryset)


class RuleColumns(SteadyList):
    """What each row says."""

    list_display = ["name", "state_now", "what", "when", "changed"]
    list_filter = [StateFilter, "action"]
    list_select_related = ["changed_by"]
    search_fields = ["name", "condition", "note"]
    list_per_page = 50

    @admin.display(description="State")
    def state_now(self, rule: Rule) -> SafeString:
        return badge(rule)

    @admin.display(description="What it does")
    def what(self, rule: Rule) -> SafeString:
        text = rule.condition
        text = text if len(text) <= CONDITION_SHOWN else f"{text[:CONDITION_SHOWN]}…"
        why = " ".join(rules.problems(rule).values())
        wrong = format_html('<br><span class="error-text">{}</span>', why) if why else ""
        return format_html('{}<br><code class="rule-condition">{}</code>{}', sentence(rule), text, wrong)

    @admin.display(description="When")
    def when(self, rule: Rule) -> str:
        return schedule(rule) or "–"

    @admin.display(description="Changed", ordering="updated_at")
    def changed(self, rule: Rule) -> SafeString:
        at = date_format(timezone.localtime(rule.updated_at), "DATETIME_FORMAT")
        by = rule.changed_by.get_username() if rule.changed_by else "–"
        return format_html('{}<br><span class="quiet" title="{}">{}</span>', by, at, naturaltime(rule.updated_at))


def badge(rule: Rule) -> SafeString:
    state = rules.state(rule)
    return format_html('<span class="badge badge-{}" title="{}">{}</span>', BADGES[state], STATE_WORDS[state], state)


def sentence(rule: Rule) -> str:
    """What it does, without saying to which items."""
    where = f"on {rule.shelf}" if rule.shelf else "on every shelf"
    amount = "?" if rule.amount is None else f"{rule.amount:g}"
    said: dict[str, str] = {
        Rule.Action.PIN: f"Puts the best match at place {rule.position or '?'}",
        Rule.Action.BOOST: f"Counts {amount} times as much",
        Rule.Action.BURY: f"Counts {amount} times as much",
        Rule.Action.EXCLUDE: "Is not shown",
        Rule.Action.LIMIT: f"At most {amount} of a list",
    }
    return f"{said.get(rule.action, rule.action)}, {where}"


def schedule(rule: Rule) -> str:
    """From when until when; empty for always."""
    ends = [
        f"{word} {date_format(timezone.localtime(at), 'DATETIME_FORMAT')}"
        for word, at in (("from", rule.starts_at), ("until", rule.ends_at))
        if at
    ]
    return " ".join(ends)
