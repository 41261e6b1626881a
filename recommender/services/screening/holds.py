"""What the shop holds back because of verdicts: reviews that are not shown, orders that are not sent.

`held` on a review or an order names the rule that it broke as it came, or says CONFIRMED where staff confirmed a
verdict about it. Confirming holds what was not held yet; releasing lets go whatever holds it. A confirmed profile's
reviews are held too, but for those that staff released by themselves.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import CharField, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Cast

from recommender.models import Event, Order, Review, Verdict
from recommender.services import orders, reviews

CONFIRMED = "confirmed"
RULE = "held"  # in a verdict's evidence: what it was held by, for the release to be undone
State, Subject = Verdict.State, Verdict.Subject


def follow(verdicts: Iterable[Verdict], before: Mapping[int, str]) -> None:
    """Hold back and let go as these verdicts' states now say; `before` are the states that they had."""
    rows = list(verdicts)
    visitors = {row.visitor_id for row in rows if row.subject == Subject.PROFILE and row.visitor_id}
    mine = [row for row in rows if row.subject == Subject.REVIEW]
    if visitors or mine:
        numbers = review_ids(row.subject_id for row in mine)
        _rules(Review.objects.filter(pk__in=numbers), mine, before)
        profile = Verdict.objects.filter(subject=Subject.PROFILE, visitor=OuterRef("visitor"), state=State.CONFIRMED)
        theirs = Review.objects.filter(Q(pk__in=numbers) | Q(visitor__in=visitors))
        _settle(theirs, review_is(State.CONFIRMED) | (Exists(profile) & ~review_is(State.RELEASED)))
    bought = [row for row in rows if row.subject == Subject.ORDER]
    if bought:
        placed = Order.objects.filter(pk__in=[row.subject_id for row in bought])
        _rules(placed, bought, before)
        own = Verdict.objects.filter(subject=Subject.ORDER, subject_id=OuterRef("pk"), state=State.CONFIRMED)
        _settle(placed, Exists(own))


def review_is(state: str) -> Exists:
    """For a query of reviews: there is a verdict in this state about the review itself."""
    own = Verdict.objects.filter(subject=Subject.REVIEW, subject_id=Cast(OuterRef("pk"), CharField()), state=state)
    return Exists(own)


def review_ids(subject_ids: Iterable[str]) -> list[int]:
    """A review's verdict names it by its number; anything else names none."""
    return [int(one) for one in subject_ids if one.isdecimal() and len(one) < 19]


def _rules(rows: QuerySet[Any], verdicts: list[Verdict], before: Mapping[int, str]) -> None:
    """Let go what was released, and hold again, by the rule that held it, what no longer is."""
    held = {str(pk): rule for pk, rule in rows.values_list("pk", "held")}
    released: list[str] = []
    for verdict in verdicts:
        rule = held.get(verdict.subject_id)
        evidence = verdict.evidence if isinstance(verdict.evidence, dict) else {}
        if verdict.state == State.RELEASED and rule and rule != CONFIRMED:
            Verdict.objects.filter(pk=verdict.pk).update(evidence={**evidence, RULE: rule})
            released.append(verdict.subject_id)
        elif before.get(verdict.pk) == State.RELEASED and rule == "" and evidence.get(RULE):
            _hold(rows.filter(pk=verdict.subject_id), str(evidence[RULE])[:16])
    if released:
        (reviews.release if rows.model is Review else orders.release)(
            rows.model._default_manager.filter(pk__in=released)
        )


def _hold(rows: QuerySet[Any], rule: str) -> None:
    """Hold again; a review's latest rating is flagged again, too."""
    if rows.model is Review:
        for visitor_id, item_id in rows.values_list("visitor", "item"):
            ratings = Event.objects.filter(visitor=visitor_id, item=item_id, kind=Event.Kind.RATING)
            latest = ratings.order_by("-occurred_at", "-pk").values_list("pk", flat=True).first()
            if latest is not None:
                Event.objects.filter(pk=latest, flag="").update(flag=rule)
    rows.update(held=rule)


def _settle(rows: QuerySet[Any], bad: Any) -> None:
    rows.filter(bad, held="").update(held=CONFIRMED)
    rows.filter(~bad, held=CONFIRMED).update(held="")


def kept(old: object, new: dict[str, Any]) -> dict[str, Any]:
    """Evidence that is brought up to date, with what the old one says of a hold."""
    return {**new, RULE: old[RULE]} if isinstance(old, dict) and old.get(RULE) else new
