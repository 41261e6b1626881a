"""What visitors did: events, reviews and orders. Kept as it happened; staff only hide a review."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from recommender.admin.readonly import ReadOnly, ReadOnlyAdmin
from recommender.models import Event, Order, OrderLine, Review
from recommender.services import opinions, orders, reviews
from recommender.services.screening import holds, velocity


class BrokenFilter(admin.SimpleListFilter):
    """Whether a rule was broken as it came: by events flagged, by reviews and orders held."""

    title = "rules"
    parameter_name = "broke"
    field = "flag"
    names = ("Broke a rule", "Broke none")

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", self.names[0]), ("no", self.names[1])]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "yes":
            return queryset.exclude(**{self.field: ""})
        return queryset.filter(**{self.field: ""}) if self.value() == "no" else queryset


class HeldFilter(BrokenFilter):
    title = "held"
    parameter_name = "held"
    field = "held"
    names = ("Held", "Not held")


def in_words(rule: str) -> str:
    """Why it is flagged or held."""
    return velocity.WORDS.get(rule) or rule.replace("_", " ") or "–"


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ["occurred_at", "kind", "who", "item", "value", "found_on", "run_id", "rule"]
    list_filter = ["kind", BrokenFilter, "occurred_at"]
    list_select_related = ["item"]
    search_fields = ["visitor__id__exact", "item__id__exact"]  # by way of their ids, which stay text: an index serves
    search_help_text = "A visitor's or an item's id, in full."
    ordering = ["-occurred_at"]

    @admin.display(description="Visitor")
    def who(self, event: Event) -> SafeString:
        return visitor_link(event.visitor_id)

    @admin.display(description="Flag", ordering="flag")
    def rule(self, event: Event) -> str:
        return in_words(event.flag)

    @admin.display(description="Found on")
    def found_on(self, event: Event) -> str:
        place = f", place {event.position}" if event.position else ""
        return f"{event.shelf}{place}" if event.shelf else "–"


class WordsFilter(admin.SimpleListFilter):
    title = "words"
    parameter_name = "words"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("disagree", "Stars and words disagree"), ("waiting", "Not read yet")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Review]) -> QuerySet[Review]:
        if self.value() == "disagree":
            return queryset.filter(opinions.disagreeing())
        return queryset.filter(sentiment=None) if self.value() == "waiting" else queryset


@admin.register(Review)
class ReviewAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "stars", "words", "why", "title", "item", "author_name", "who", "hidden"]
    list_filter = [WordsFilter, HeldFilter, "hidden", "stars", "created_at"]
    exclude = ["points"]
    list_select_related = ["item"]
    search_fields = ["title", "body", "author_name", "item__title"]
    actions = ["release", "hide", "unhide"]

    @admin.display(description="Held", ordering="held")
    def why(self, review: Review) -> str:
        return in_words(review.held)

    @admin.display(description="Visitor")
    def who(self, review: Review) -> SafeString:
        return visitor_link(review.visitor_id)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"subtitle": _learned(), **(extra_context or {})})

    @admin.display(description="Words", ordering="sentiment")
    def words(self, review: Review) -> str:
        """How surely they praise."""
        return "–" if review.sentiment is None else f"{review.sentiment:.0%}"

    def has_moderate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("recommender.change_review")

    @admin.action(description="Release: show what was held", permissions=["moderate"])
    def release(self, request: HttpRequest, chosen: QuerySet[Review]) -> None:
        let_go(self, request, chosen, reviews.release, "reviews are released")

    @admin.action(description="Hide from the shop", permissions=["moderate"])
    def hide(self, request: HttpRequest, chosen: QuerySet[Review]) -> None:
        self.message_user(request, f"{reviews.set_hidden(chosen, True)} reviews are hidden.", messages.SUCCESS)

    @admin.action(description="Show in the shop again", permissions=["moderate"])
    def unhide(self, request: HttpRequest, chosen: QuerySet[Review]) -> None:
        self.message_user(request, f"{reviews.set_hidden(chosen, False)} reviews are shown.", messages.SUCCESS)


def _learned() -> str:
    """What reads the words, and how far to trust it."""
    found = opinions.described()
    if not found:
        return "Words are read once there are enough reviews with many and with few stars."
    right, off = found["metrics"]["accuracy"], found["metrics"]["calibration_error"]
    return (
        f"Words: read by what was learned from {found['reviews']:,} reviews on {found['learned_at'][:10]}. It tells "
        f"{right:.1%} of those right that it did not learn from; its percentages are off by {off:.1%} on average."
    )


class OrderLineInline(ReadOnly, admin.TabularInline):
    model = OrderLine
    extra = 0
    fields = ["item", "quantity", "unit_price", "total"]
    readonly_fields = ["total"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[OrderLine]:
        return super().get_queryset(request).select_related("item")


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin):
    list_display = ["id", "placed_at", "who", "name", "total", "client", "why"]
    list_filter = [HeldFilter, "placed_at"]
    actions = ["release"]
    search_fields = ["id__exact", "visitor__id__exact", "email", "name"]
    inlines = [OrderLineInline]

    @admin.display(description="Held", ordering="held")
    def why(self, order: Order) -> str:
        return in_words(order.held)

    def has_moderate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("recommender.change_order")

    @admin.action(description="Release: let held orders go", permissions=["moderate"])
    def release(self, request: HttpRequest, chosen: QuerySet[Order]) -> None:
        let_go(self, request, chosen, orders.release, "orders are released")

    @admin.display(description="Visitor")
    def who(self, order: Order) -> SafeString:
        return visitor_link(order.visitor_id)


def let_go(
    page: admin.ModelAdmin, request: HttpRequest, chosen: QuerySet[Any], release: Callable[[Any], int], done: str
) -> None:
    """Release what a rule held; what staff confirmed is for the queue of verdicts, which keeps the record."""
    confirmed = chosen.filter(held=holds.CONFIRMED).count()
    page.message_user(request, f"{release(chosen.exclude(held=holds.CONFIRMED))} held {done}.", messages.SUCCESS)
    if confirmed:
        words = f"{confirmed} stay held, because a verdict about them was confirmed: release that in the review queue."
        page.message_user(request, words, messages.WARNING)


def visitor_link(visitor_id: str) -> SafeString:
    """A long id is cut short on the page; it is whole in the title and behind the link."""
    url = reverse("admin:recommender_visitor_change", args=[quote(visitor_id)])
    return format_html('<a class="console-id" href="{}" title="{}">{}</a>', url, visitor_id, visitor_id)
