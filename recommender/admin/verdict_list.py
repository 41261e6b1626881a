"""The columns and filters of the review queue."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.admin.views.main import ChangeList
from django.contrib.humanize.templatetags.humanize import naturaltime
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from recommender.models import Item, Verdict
from recommender.services.screening import evidence

State, Subject = Verdict.State, Verdict.Subject
TARGETS_SHOWN, REASONS_SHOWN, GROUPS_SHOWN = 3, 2, 8
KIND_WORDS = {
    "push": "Praises items together with others, to raise them",
    "nuke": "Rates items down together with others, to sink them",
    "scraper": "Walks through the catalogue as a program does",
    "pump": "Looks at the same items over and over, so that they seem wanted",
}
"""What is meant by kinds that staff may not know; others speak for themselves."""


class StateFilter(admin.SimpleListFilter):
    """Those that wait, where nothing else is asked for."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*((value, value) for value in State.values), ("all", "all")]

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        yield {
            "selected": self.value() is None,
            "query_string": changelist.get_query_string(remove=[self.parameter_name]),
            "display": "waiting",
        }
        for value, label in self.lookup_choices:
            yield {
                "selected": self.value() == value,
                "query_string": changelist.get_query_string({self.parameter_name: value}),
                "display": label,
            }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Verdict]) -> QuerySet[Verdict]:
        chosen = self.value()
        if chosen == "all":
            return queryset
        if chosen in State.values:
            return queryset.filter(state=chosen)
        return queryset.filter(state__in=Verdict.WAITING)


class GroupFilter(admin.SimpleListFilter):
    """The largest groups of those that wait, and the one that is chosen."""

    title = "group"
    parameter_name = "group"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        rows = Verdict.objects.filter(state__in=Verdict.WAITING).exclude(group="").order_by()
        largest = rows.values_list("group", "kind").annotate(n=Count("pk")).order_by("-n", "group")[:GROUPS_SHOWN]
        found = {group: f"{label(kind)}, {n} together" for group, kind, n in largest}
        chosen = request.GET.get(self.parameter_name)
        if chosen and chosen not in found:
            found[chosen] = f"group {chosen[:12]}"
        return list(found.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Verdict]) -> QuerySet[Verdict]:
        return queryset.filter(group=self.value()) if self.value() else queryset


class KindFilter(admin.SimpleListFilter):
    title = "what it looks like"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        kinds = Verdict.objects.order_by("kind").values_list("kind", flat=True).distinct()
        return [(kind, label(kind)) for kind in kinds]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Verdict]) -> QuerySet[Verdict]:
        return queryset.filter(kind=self.value()) if self.value() else queryset


class Queue(ChangeList):
    """A page of verdicts with the titles of their targets and the sizes of their groups, in one query each."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows: list[Verdict] = list(self.result_list)
        targets = {row.pk: evidence.read(row.evidence).targets for row in rows}
        shown = {item_id for ids in targets.values() for item_id in ids[:TARGETS_SHOWN]}
        titles = dict(Item.objects.filter(pk__in=shown).values_list("pk", "title"))
        groups = {row.group for row in rows if row.group}
        found = Verdict.objects.filter(group__in=groups).order_by().values_list("group").annotate(Count("pk"))
        sizes = Counter(dict(found))
        for row in rows:
            row.shown_targets = [(item_id, titles.get(item_id)) for item_id in targets[row.pk]]  # type: ignore[attr-defined]
            row.group_size = sizes[row.group]  # type: ignore[attr-defined]
        self.result_list = rows


class QueueColumns(admin.ModelAdmin):
    """What each row says."""

    @admin.display(description="Looks like", ordering="probability")
    def looks_like(self, verdict: Verdict) -> SafeString:
        """And how surely."""
        return format_html("{}{}", kind_badge(verdict.kind), sure_bar(verdict.probability))

    @admin.display(description="Who or what", ordering="subject")
    def who(self, verdict: Verdict) -> SafeString:
        return format_html('{}<br><span class="quiet">{}</span>', subject_link(verdict), verdict.get_subject_display())

    @admin.display(description="Why")
    def why(self, verdict: Verdict) -> SafeString | str:
        told = reasons(verdict)
        if not told:
            return "–"
        more = len(told) - REASONS_SHOWN
        rest = format_html(' <span class="quiet">and {} more</span>', more) if more > 0 else ""
        said = format_html_join("", "<li>{}</li>", ((one,) for one in told[:REASONS_SHOWN]))
        return format_html('<ul class="verdict-why">{}</ul>{}', said, rest)

    @admin.display(description="Targets, group")
    def targets(self, verdict: Verdict) -> SafeString | str:
        """The items that it is about, and how many act together."""
        found: list[tuple[str, str | None]] = getattr(verdict, "shown_targets", [])
        said = [item_link(item_id, title) for item_id, title in found[:TARGETS_SHOWN]]
        if (more := len(found) - TARGETS_SHOWN) > 0:
            said.append(format_html('<span class="quiet">and {} more</span>', more))
        if (size := getattr(verdict, "group_size", 0)) > 1:
            said.append(format_html('<a href="?group={}&state=all">{} of a group</a>', verdict.group, size))
        if not said:
            return "–"
        return format_html(
            '<ul class="verdict-targets">{}</ul>', format_html_join("", "<li>{}</li>", ((x,) for x in said))
        )

    @admin.display(description="State, found", ordering="found_at")
    def state_now(self, verdict: Verdict) -> SafeString:
        at = date_format(timezone.localtime(verdict.found_at), "DATETIME_FORMAT")
        return format_html(
            '{}<br><span class="quiet" title="{}">{}</span>', state_badge(verdict), at, naturaltime(verdict.found_at)
        )


def label(kind: str) -> str:
    """A kind's name for people."""
    said = kind.replace("_", " ").replace("-", " ").strip() or "unusual"
    return said[:1].upper() + said[1:]


def kind_badge(kind: str) -> SafeString:
    words = KIND_WORDS.get(kind, "")
    return format_html('<span class="badge verdict-kind"{}>{}</span>', _title(words), label(kind))


def state_badge(verdict: Verdict) -> SafeString:
    return format_html(
        '<span class="badge verdict-{}" title="{}">{}</span>',
        verdict.state,
        verdict.get_state_display(),
        verdict.state,
    )


def sure_bar(probability: float) -> SafeString:
    """As a bar with its figure; the figure is what is read out."""
    percent = max(0, min(100, int(probability * 100)))
    said = "> 99" if probability > 0.99 else str(percent)  # 100 would mean beyond doubt
    return format_html(
        '<span class="verdict-sure"><svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="whole" width="100" height="10"></rect><rect width="{}" height="10"></rect></svg>{} %</span>',
        percent,
        said,
    )


def reasons(verdict: Verdict) -> list[str]:
    """Its sentences, whatever shape they were written in."""
    told = verdict.reasons if isinstance(verdict.reasons, list) else [verdict.reasons] if verdict.reasons else []
    return [str(one) for one in told if one]


def item_link(item_id: str, title: str | None) -> SafeString:
    if title is None:
        return format_html('<span class="console-id" title="{}: deleted">{}</span>', item_id, item_id)
    return format_html('<a href="{}">{}</a>', reverse("admin:recommender_item_change", args=[quote(item_id)]), title)


def subject_link(verdict: Verdict) -> SafeString:
    """To what it is about; words alone where that is gone or has no page."""
    pages = {Subject.PROFILE: "visitor", Subject.REVIEW: "review", Subject.ORDER: "order"}
    page, target = pages.get(Subject(verdict.subject)), verdict.subject_id
    if verdict.subject == Subject.SESSION and verdict.visitor_id:
        page, target = "visitor", verdict.visitor_id
    if page is None or (page == "visitor" and not verdict.visitor_id):
        gone = "" if verdict.subject == Subject.ACCESS else " (gone)"
        return format_html(
            '<span class="console-id" title="{}{}">{}</span>', verdict.subject_id, gone, verdict.subject_id
        )
    try:
        url = reverse(f"admin:recommender_{page}_change", args=[quote(target)])
    except NoReverseMatch:  # an id that no address can hold
        return format_html("{}", verdict.subject_id)
    return format_html('<a class="console-id" href="{}" title="{}">{}</a>', url, verdict.subject_id, verdict.subject_id)


def _title(words: str) -> SafeString:
    return format_html(' title="{}"', words) if words else SafeString("")
