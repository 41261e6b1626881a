"""One item: its page, and what a shopper can say about it."""

import logging
from typing import Any

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.paginator import Paginator
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_POST, require_safe

from recommender.models import Event, Item
from recommender.services import alike, catalogue, events, opinions, orders, reviews, serving
from recommender.services.errors import InvalidInput, UnknownItem
from recommender.services.screening import velocity
from recommender.storefront import shelves, sources
from recommender.storefront.context import decided
from recommender.storefront.forms import ReviewForm
from recommender.storefront.visitor import client, counted_id, is_a_look, visitor, visitor_id

log = logging.getLogger(__name__)

REVIEWS_A_PAGE = 8
SIMILAR_BY = {"both": "All in all", "content": "By what they are", "behaviour": "By what shoppers like"}
INSTEAD = 4  # cards in the place of what is sold out
TOGETHER_LENGTH = 6  # cards; what is bought together is a short list, and the next shelf wants items too


def wanted(item_id: str) -> Item:
    """The item if the shop shows it; raises Http404."""
    try:
        found = catalogue.item(item_id)
    except UnknownItem as error:
        raise Http404(str(error)) from error
    if not found.active:
        raise Http404(f"{item_id} is not shown.")
    return found


@require_safe
@gzip_page
def page(request: HttpRequest, item_id: str) -> HttpResponse:
    look = is_a_look(request)
    flag = velocity.look(counted_id(request) if look else "", client(request), item_id)
    item = wanted(item_id)
    source = sources.read(request.GET)
    if look:
        try:
            events.record_view(visitor_id(request), item, source, flag)
        except DatabaseError as error:  # a page that cannot be counted is still a page
            log.warning("A view of %s could not be recorded: %s", item.pk, error)
    return _page(request, item, source)


@require_POST
def opinion(request: HttpRequest, item_id: str) -> HttpResponse:
    item = wanted(item_id)
    kind = request.POST.get("kind")
    if kind in (Event.Kind.LIKE, Event.Kind.DISLIKE):
        flag = velocity.act(counted_id(request), client(request))
        me = visitor(request)
        if events.opinion(me.pk, item.pk) != kind:
            events.record(me, item, kind, source=sources.read(request.POST), flag=flag)
        words = "We will show you more like this." if kind == Event.Kind.LIKE else "We will show you less like this."
        private = decided(request).private_since is not None
        messages.success(request, "Private mode is on, so this was not noted." if private else f"Noted. {words}")
    return redirect("storefront:item", item.pk)


@require_POST
def review(request: HttpRequest, item_id: str) -> HttpResponse:
    item = wanted(item_id)
    if not request.user.is_authenticated:
        return redirect_to_login(reverse("storefront:item", args=[item.pk]))
    form = ReviewForm(request.POST)
    if form.is_valid():
        held = velocity.review(counted_id(request), client(request), item.pk)
        try:
            written = reviews.write(visitor(request), item, **form.cleaned_data, held=held)
        except InvalidInput as error:
            form.add_error(None, error.detail)
        else:
            where = "will appear once it has been checked" if written.held else "is on the page"
            messages.success(request, f"Thank you: your review {where}.")
            return redirect("storefront:item", item.pk)
    return _page(request, item, sources.read({}), form)


@require_POST
def delete_review(request: HttpRequest, item_id: str) -> HttpResponse:
    item = wanted(item_id)
    if not request.user.is_authenticated:
        return redirect_to_login(reverse("storefront:item", args=[item.pk]))
    if reviews.remove(visitor(request), item):
        messages.success(request, "Your review is gone.")
    return redirect("storefront:item", item.pk)


def _page(request: HttpRequest, item: Item, source: events.Source, form: ReviewForm | None = None) -> HttpResponse:
    me = visitor_id(request)
    wishes = decided(request)
    current, shown = serving.live(me if wishes.personalised else None), shelves.unwanted(me, wishes)
    terms = serving.terms_of(me, "together", wishes)
    found = serving.bought_together(item.pk, TOGETHER_LENGTH, exclude=shown, current=current, terms=terms)
    together = shelves.row(found)
    shown += [card.item.pk for card in together.cards]
    instead = shelves.Row("substitutes", "", [])
    if not item.in_stock:
        terms = serving.terms_of(me, "substitutes", wishes)
        instead = shelves.row(serving.substitutes(item.pk, INSTEAD, exclude=shown, current=current, terms=terms))
        shown += [card.item.pk for card in instead.cards]
    similar = _similar(request, item, shown, current, serving.terms_of(me, "similar", wishes))
    rows = [row for row in (instead, similar, together) if row]
    shelves.rate(rows)
    shelves.note(rows, me, wishes)
    my_review = None
    if request.user.is_authenticated:
        my_review = reviews.written(me).filter(item=item).first()
        form = form or ReviewForm(
            instance=my_review, initial={} if my_review else {"author_name": request.user.get_short_name()}
        )
    page = Paginator(reviews.shown(item), REVIEWS_A_PAGE).get_page(request.GET.get("reviews"))
    context = {
        "item": item,
        "category": item.category,
        "pictures": list(item.pictures.all()),
        "facts": _facts(item),
        "rating": catalogue.rating(item.pk),
        "reviews": page,
        "said": _said(item, page.number),
        "my_review": my_review,
        "review_form": form,
        "opinion": events.opinion(me, item.pk),
        "trail": sources.fields(source),
        "most": min(orders.MAX_QUANTITY, item.stock or orders.MAX_QUANTITY),
        "rows": rows,
    }
    return render(request, "storefront/item.html", context)


def _said(item: Item, here: int) -> dict[str, Any]:
    """What the reviews say together; each point with the address of the review that says it, page `here` being open."""
    said = opinions.of(item)

    def address(point: opinions.Point) -> str:
        page = point.place // REVIEWS_A_PAGE + 1
        return f"{'' if page == here else f'?reviews={page}'}#review-{point.review_id}"

    sides = [
        {"name": name, "heading": heading, "points": [(point, address(point)) for point in points]}
        for name, heading, points in (("pro", "What they praise", said.pros), ("con", "What they fault", said.cons))
        if points
    ]
    bars, start = [], 0.0
    for name, count in said.shares:
        share = 100 * count / max(1, said.count)
        # Texts, so that no locale puts commas into a drawing.
        bars.append({"name": name, "percent": round(share), "x": f"{start:.2f}", "width": f"{share:.2f}"})
        start += share
    return {"enough": said.enough, "sides": sides, "bars": bars}


def _similar(
    request: HttpRequest, item: Item, shown: list[str], current: serving.Live, terms: serving.Terms
) -> shelves.Row:
    """What is like the item, by what its visitor chose: content, behaviour or both."""
    ways = alike.ways(item.pk, current)
    asked = request.GET.get("similar")
    by: alike.By = next((way for way in ways if way == asked), "both")
    found = alike.similar(item.pk, shelves.SHELF_LENGTH, by=by, exclude=shown, current=current, terms=terms)
    row = shelves.row(found, reasons=found.tier in ("similar", "content"))
    if len(ways) > 1:
        row.choices = [(SIMILAR_BY[way], f"?similar={way}#more", way == by) for way in ways]
    return row


def _facts(item: Item) -> list[tuple[str, str]]:
    """The attributes that read as words; nested data is for machines, and the category has a line of its own."""
    facts = item.attributes if isinstance(item.attributes, dict) else {}
    known = {item.category.pk.casefold(), item.category.name.casefold()} if item.category else set()
    found = []
    for name, value in facts.items():
        if isinstance(value, list) and all(isinstance(part, str | int | float) for part in value):
            value = ", ".join(str(part) for part in value)
        if isinstance(value, bool):
            value = "Yes" if value else "No"
        if isinstance(value, str | int | float) and str(value).strip() and str(value).casefold() not in known:
            words = str(value)
            found.append((str(name).replace("_", " ").capitalize(), words[0].upper() + words[1:]))
    return found
