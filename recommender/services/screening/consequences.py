"""What a decision would do, said before it is applied: to verdicts, to what is learned, and to what the shop shows."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from recommender.models import Order, Review, Verdict
from recommender.services.screening import effects, holds
from recommender.services.screening.verdicts import checked_ids, parts, state_after

State, Subject = Verdict.State, Verdict.Subject


@dataclass(frozen=True)
class Consequences:
    action: str
    changing: int
    """Verdicts that would change."""
    already: int
    missing: int
    reviews: int
    """No longer shown, or shown again."""
    orders: int
    """Held back, or let go."""
    learned: effects.Preview | None
    """Of what the next training learns; None where nothing changes."""


def of(verdict_ids: Iterable[Any], action: str) -> Consequences:
    """Changes nothing. Raises InvalidInput."""
    ids, state = checked_ids(verdict_ids), state_after(action)
    there, rows = 0, []
    for part in parts(ids):
        found = Verdict.objects.filter(pk__in=part)
        there += found.count()
        rows += list(found.exclude(state=state).only("subject", "subject_id", "visitor_id"))
    reviews, orders = _held(rows, state)
    return Consequences(
        action=action,
        changing=len(rows),
        already=there - len(rows),
        missing=len(ids) - there,
        reviews=reviews,
        orders=orders,
        learned=effects.preview([row.pk for row in rows], action) if rows else None,
    )


def _held(rows: list[Verdict], state: str) -> tuple[int, int]:
    """Reviews and orders that are held back by it, or let go."""
    written = holds.review_ids(row.subject_id for row in rows if row.subject == Subject.REVIEW)
    bought = [row.subject_id for row in rows if row.subject == Subject.ORDER]
    whole = sorted({row.visitor_id for row in rows if row.subject == Subject.PROFILE and row.visitor_id})
    confirmed = Q(held=holds.CONFIRMED)
    if state == State.CONFIRMED:
        own, ordered = Q(held="", hidden=False), Q(held="")
        theirs = own & ~Q(holds.review_is(State.RELEASED))
    else:
        own = ordered = ~Q(held="") if state == State.RELEASED else confirmed
        theirs = confirmed & ~Q(holds.review_is(State.CONFIRMED))
    reviews: set[int] = set()
    for numbers in parts(written):
        reviews |= set(Review.objects.filter(own, pk__in=numbers).values_list("pk", flat=True))
    for names in parts(whole):
        reviews |= set(Review.objects.filter(theirs, visitor__in=names).values_list("pk", flat=True))
    return len(reviews), sum(Order.objects.filter(ordered, pk__in=ids).count() for ids in parts(bought))
