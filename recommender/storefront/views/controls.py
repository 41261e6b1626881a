"""What shoppers decide about their own recommendations: why something stands there, and what is to change."""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_http_methods, require_safe

from recommender.models import Category, Event, Visitor
from recommender.services import catalogue, controls, events, serving
from recommender.services.errors import InvalidInput
from recommender.services.screening import velocity
from recommender.storefront import sources
from recommender.storefront.context import decided
from recommender.storefront.views.item import wanted
from recommender.storefront.visitor import client, counted_id, visitor, visitor_id

MAX_NEXT = 1000  # characters of an address to go back to; it stands in a message, and that in a cookie
STEPS = {"-2": -1.0, "-1": -0.5, "0": 0.0, "1": 0.5, "2": 1.0}  # of a slider: the weights
LABELS = {"-2": "Never", "-1": "Less", "0": "As usual", "1": "More", "2": "Much more"}
FOR_YOU = ("for-you", "segment")  # shelves that are put together for the visitor
# Why an item stands there, by where it came from.
ORIGINS = {
    "model": "What you did here speaks for it.",
    "similar": "It is like something you turned to lately.",
    "together": "It is often bought with something you turned to lately.",
    "content": "Its words, pictures or sounds are close to something you turned to.",
    "cluster": "Shoppers with a taste like yours chose it.",
    "segment": "Shoppers with a taste like yours chose it.",
    "new": "It is new in the shop, and close to what you turned to.",
    "trending": "Many shoppers look at it these days.",
    "popular": "Many shoppers chose it.",
    "catalogue": "It was added to the shop lately.",
}
# And on shelves that do not ask what a visitor did.
SHELVES = {
    "similar": "It is like the item that this shelf starts from. What you did has no part in this shelf.",
    "together": "It is often bought with the item that this shelf starts from. What you did has no part in this shelf.",
    "trending": "Many shoppers look at it these days. What you did has no part in this shelf.",
    "new": "It was added to the shop lately. What you did has no part in this shelf.",
    "popular": "Many shoppers chose it. What you did has no part in this shelf.",
}

Undo = tuple[str, str]  # name and value of the button that takes it back
Done = tuple[str, Undo | None]
LATEST: Undo = ("undo", "latest")


@require_safe
@gzip_page
def why(request: HttpRequest, item_id: str) -> HttpResponse:
    """Why an item is recommended, and what can be done about it: a page, or the part of it that a dialog shows."""
    item = wanted(item_id)
    wishes, shelf = decided(request), request.GET.get("shelf", "")
    personal = wishes.personalised and (not shelf or shelf in FOR_YOU)
    told = serving.why(visitor_id(request), item.pk) if personal else None
    if told is not None:
        origin = request.GET.get("origin", told.source)
        # Of what the model found, the heading of the shares says it all.
        sentence = "" if origin == "model" and told.shares else ORIGINS.get(origin, ORIGINS["popular"])
    else:
        sentence = SHELVES[next((name for name in SHELVES if shelf.startswith(name)), "popular")]
    context = {
        "item": item,
        "sentence": sentence,
        "told": told,
        "chance": _share(request.GET.get("chance", "")) if personal else None,
        "wishes": wishes,
        "trail": sources.fields(sources.read(request.GET)),
        "category_topic": f"{controls.CATEGORY}{item.category_id}" if item.category_id else "",
        "creator_topic": f"{controls.CREATOR}{item.creator}" if item.creator else "",
        "next": _next(request, request.headers.get("Referer", "")),
    }
    if "part" in request.GET:
        return render(request, "storefront/parts/why.html", context | {"level": 2})
    return render(request, "storefront/why.html", context | {"level": 1})


@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """All decisions on one page; a form anywhere in the shop posts one here and goes back to where it stood."""
    if request.method == "POST":
        return _changed(request)
    me, wishes = visitor_id(request), decided(request)
    categories, creators = controls.offered(me, wishes)
    began, count = controls.visit(me, wishes)
    context = {
        "departments_to_tune": _departments(categories, wishes),
        "creators": [_slider(f"{controls.CREATOR}{name}", name, wishes) for name in creators],
        "labels": LABELS.values(),
        "ignored": catalogue.some(sorted(wishes.ignored)),
        "disliked": catalogue.some(controls.disliked(me, wishes)),
        "wishes": wishes,
        "began": began,
        "visit_count": count,
        "undoable": controls.undoable(me),
    }
    return render(request, "storefront/account/recommendations.html", context)


def _changed(request: HttpRequest) -> HttpResponse:
    name = next((name for name in ACTIONS if name in request.POST), "")
    back = _next(request, request.POST.get("next", ""))
    if not name:
        return redirect(back)
    flag = velocity.act(counted_id(request), client(request))
    try:
        words, undo = ACTIONS[name](request, visitor(request), request.POST[name], flag)
    except InvalidInput as error:
        messages.error(request, error.detail)
        return redirect(back)
    if words:
        context = {"words": words, "undo": undo, "next": back}
        messages.success(request, render_to_string("storefront/parts/done.html", context, request))
    return redirect(back)


def _topics(request: HttpRequest, me: Visitor, value: str, flag: str) -> Done:
    wishes = decided(request)
    posted = dict(zip(request.POST.getlist("topic"), request.POST.getlist("weight"), strict=False))
    changed = {
        topic: STEPS[step]
        for topic, step in posted.items()
        if step in STEPS and step != _step(wishes.topics.get(topic, 0.0))
    }
    if not changed:
        return "Nothing was changed.", None
    controls.set_topics(me, changed)
    return "Saved. Your shelves go by it from now on.", LATEST


def _never(request: HttpRequest, me: Visitor, topic: str, flag: str) -> Done:
    controls.dislike_topic(me, topic)
    return f"Nothing {_from(topic)} will be recommended to you any more.", LATEST


def _dislike(request: HttpRequest, me: Visitor, item_id: str, flag: str) -> Done:
    item = wanted(item_id)
    if events.opinion(me.pk, item.pk) == Event.Kind.DISLIKE or events.record(
        me, item, Event.Kind.DISLIKE, source=sources.read(request.POST), flag=flag
    ):
        return f"{item.title} will not be recommended to you any more.", ("bring-back", item.pk)
    return "Private mode is on, so this was not noted.", None


def _bring_back(request: HttpRequest, me: Visitor, item_id: str, flag: str) -> Done:
    return ("It may be recommended to you again.", None) if controls.bring_back(me, item_id) else ("", None)


def _ignore(request: HttpRequest, me: Visitor, item_id: str, flag: str) -> Done:
    controls.ignore(me, item_id)
    return f"{catalogue.item(item_id).title} is no reason for anything any more.", LATEST


def _heed(request: HttpRequest, me: Visitor, item_id: str, flag: str) -> Done:
    controls.ignore(me, item_id, on=False)
    return "It counts again.", LATEST


def _reset(request: HttpRequest, me: Visitor, value: str, flag: str) -> Done:
    controls.reset(me)
    return "Your taste is reset: the shelves start from nothing again.", LATEST


def _private(request: HttpRequest, me: Visitor, value: str, flag: str) -> Done:
    on = value == "on"
    controls.private(me, on)
    return f"Private mode is {'on: nothing you do here is recorded' if on else 'off: what you do counts again'}.", None


def _personalised(request: HttpRequest, me: Visitor, value: str, flag: str) -> Done:
    on = value == "on"
    controls.personalised(me, on)
    what = "what you did shapes your shelves again" if on else "you see what a stranger sees"
    return f"Personal recommendations are {'on' if on else 'off'}: {what}.", None


def _forget(request: HttpRequest, me: Visitor, value: str, flag: str) -> Done:
    count = controls.forget_session(me)
    if not count:
        return "Nothing of this visit was recorded.", None
    return f"This visit is forgotten: {count} record{'s' if count > 1 else ''} deleted.", None


def _undo(request: HttpRequest, me: Visitor, value: str, flag: str) -> Done:
    undone = controls.undo(me)
    return (f"Taken back: {undone}." if undone else "There is nothing to take back."), None


ACTIONS: dict[str, Callable[[HttpRequest, Visitor, str, str], Done]] = {
    "topics": _topics,
    "never": _never,
    "dislike": _dislike,
    "bring-back": _bring_back,
    "ignore": _ignore,
    "heed": _heed,
    "reset": _reset,
    "private": _private,
    "personalised": _personalised,
    "forget": _forget,
    "undo": _undo,
}
"""By the name of the button that was pressed; its value says what about; last comes the flag of events."""


def _share(text: str) -> float | None:
    """A number from 0 to 1 that a link carries."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 < value <= 1 else None


def _from(topic: str) -> str:
    return f"{'from' if topic.startswith(controls.CATEGORY) else 'by'} {controls.name_of(topic)}"


def _slider(topic: str, name: str, wishes: controls.Controls) -> dict[str, Any]:
    step = _step(wishes.topics.get(topic, 0.0))
    return {"topic": topic, "name": name, "step": step, "label": LABELS[step]}


def _departments(categories: Sequence[Category], wishes: controls.Controls) -> list[dict[str, Any]]:
    """A slider of each department, with those of the categories `below` it, `open` where one of them is decided."""
    found: dict[str, dict[str, Any]] = {}
    for row in categories:
        slider = _slider(f"{controls.CATEGORY}{row.pk}", row.name, wishes)
        above = found.get(row.parent_id or "")
        if above is None:
            found[row.pk] = {**slider, "below": [], "open": False}
        else:
            above["below"].append(slider)
            above["open"] |= slider["step"] != "0"
    return list(found.values())


def _step(weight: float) -> str:
    """The step of a slider that is nearest."""
    return min(STEPS, key=lambda step: abs(STEPS[step] - weight))


def _next(request: HttpRequest, asked: str) -> str:
    """Where to go afterwards: a page of this shop, or else the page of decisions."""
    if len(asked) <= MAX_NEXT and url_has_allowed_host_and_scheme(asked, {request.get_host()}, request.is_secure()):
        parts = urlsplit(asked)
        if parts.path.startswith("/") and not parts.path.startswith("//"):
            return parts.path + (f"?{parts.query}" if parts.query else "")
    return reverse("storefront:recommendations")
