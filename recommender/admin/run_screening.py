"""What a run's page says of its screening: what was left out and why, what it changed, and what failed."""

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from recommender.models import Item, Run
from recommender.services import console
from recommender.services.screening import effects
from recommender.services.screening.verdicts import Decided

WORDS = {
    ("event", "flagged"): "Events that broke a rule as they came",
}
SUBJECTS = {"profile": "profiles", "session": "sessions", "review": "reviews", "order": "orders", "access": "access"}


def section(run: Run) -> dict[str, Any] | None:
    """With names that a template can read; None where the run has not come to screening, or knew none."""
    told = run.screening
    if not told:
        return None
    if not told.get("on"):
        return {"on": False}
    events = told.get("events") or 0
    restorable = len(effects.restorable(run))
    return {
        "on": True,
        "weighed": "events" in told,
        "events": events,
        "left_out": told.get("left_out", 0),
        "weighed_down": told.get("weighed_down", 0),
        "left_out_percent": _percent(told.get("left_out", 0) / events if events else 0),
        "visitors": told.get("visitors", {}),
        "rows": [_row(one) for one in told.get("by", [])],
        "looked": [
            {
                "label": SUBJECTS.get(name, name).capitalize(),
                "rows": one.get("rows", 0),
                "found": one.get("found", 0),
                "new": one.get("new", 0),
                "gone": one.get("gone", 0),
                "beyond": one.get("beyond", 0),
                "note": one.get("note", ""),
                "failed": name in told.get("failures", {}),
                "took": console.span(one["seconds"]) if one.get("seconds", 0) >= 0.05 else "",
            }
            for name, one in told.get("found", {}).items()
        ],
        "failures": [
            (SUBJECTS.get(name, "Screening" if name == "all" else name).capitalize(), why)
            for name, why in told.get("failures", {}).items()
        ],
        "effect": _effect(told.get("effect")),
        "restorable": restorable,
        "took": console.span(told.get("seconds", 0)),
        "queue": reverse("admin:recommender_verdict_changelist"),
    }


def asked(verdict_ids: list[int]) -> list[str]:
    """What restoring these would change, as lines of the page that asks first."""
    found = effects.preview(verdict_ids, "release")
    count = f"{found.verdicts:,} verdict{' is' if found.verdicts == 1 else 's are'}"
    lines = [
        f"{count} released, and released for good, however often they are found again. Only those that nobody has "
        "decided yet: what people confirmed stays left out.",
        f"{found.restored:,} events of {found.visitors:,} visitors ({_percent(found.share)} of all) count in full from "
        "the next training on." + ("" if found.whole else " More are concerned than could be looked at here."),
    ]
    for mover in found.items[:5]:
        place = f", from place {mover.place_from or '–'} to {mover.place_to or '–'}" if mover.place_to else ""
        lines.append(f"{mover.item.title}: {mover.interest_from:,} → {mover.interest_to:,} visitors{place}.")
    lines.append("It can be undone as one.")
    return lines


def restored(request: HttpRequest, done: Decided) -> SafeString:
    """What was done, with a button that undoes it: that changes something, so that it must be posted."""
    return format_html(
        "{} released; what they did counts in full from the next training on. "
        '<form class="verdict-undo" method="post" action="{}">'
        '<input type="hidden" name="csrfmiddlewaretoken" value="{}">'
        '<button type="submit" class="button">Undo</button></form>',
        f"{done.changed:,} verdict{' is' if done.changed == 1 else 's are'}",
        reverse("admin:recommender_verdict_undo", args=[done.batch]),
        get_token(request),
    )


def _row(one: dict[str, Any]) -> dict[str, Any]:
    subject, kind = one["subject"], one["kind"]
    url = ""
    if subject != "event":
        asked = urlencode({"subject__exact": subject, "kind": kind, "state": "all"})
        url = f"{reverse('admin:recommender_verdict_changelist')}?{asked}"
    label = WORDS.get((subject, kind)) or f"{kind.replace('_', ' ').replace('-', ' ').capitalize()} ({subject})"
    return {**one, "label": label, "url": url}


def _effect(told: dict[str, Any] | None) -> dict[str, Any] | None:
    if not told:
        return None
    if "items" not in told:
        return {"note": told.get("note", "")}
    titles = dict(Item.objects.filter(pk__in=[one["item"] for one in told["items"]]).values_list("pk", "title"))
    rows = [
        {
            "item": one["item"],
            "title": titles.get(one["item"], one["item"]),
            "url": reverse("admin:recommender_item_change", args=[one["item"]]) if one["item"] in titles else "",
            "before": _percent(one["from"]),
            "after": _percent(one["to"]),
            "place_from": one["place_from"],
            "place_to": one["place_to"],
            "up": one["to"] > one["from"],
        }
        for one in told["items"]
    ]
    return {
        "users": told["users"],
        "k": told["k"],
        "overlap": _percent(told["overlap"]),
        "sampled": _percent(told["share"]) if told.get("share", 1) < 1 else "",
        "rows": rows,
    }


def _percent(share: float) -> str:
    """With as many digits as say something."""
    return f"{100 * share:.1f} %" if share < 0.995 else f"{100 * share:.0f} %"
