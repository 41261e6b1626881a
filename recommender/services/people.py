"""Who is visiting: guests, accounts, and the users of API clients; and what happens when a guest logs in."""

import uuid
from collections.abc import Collection, Mapping

from django.contrib.auth.models import AbstractBaseUser, User
from django.core.exceptions import ValidationError
from django.db import transaction

from recommender.models import Answer, CartLine, Control, Event, Order, Review, Visitor
from recommender.models.ids import validate_external_id
from recommender.services.errors import InvalidInput

GUEST, ACCOUNT, SESSION = "guest:", "account:", "session:"  # how the site's own visitor ids begin


def new_guest_id() -> str:
    return f"{GUEST}{uuid.uuid4().hex}"


def kind_of(visitor_id: str) -> str:
    if visitor_id.startswith((GUEST, SESSION)):
        return Visitor.Kind.GUEST
    return Visitor.Kind.ACCOUNT if visitor_id.startswith(ACCOUNT) else Visitor.Kind.EXTERNAL


def visitor_id_for_account(user: AbstractBaseUser) -> str:
    return f"{ACCOUNT}{user.pk}"


def ensure(visitor_id: str) -> Visitor:
    """The visitor's row, made on the first thing worth recording; a merged guest answers as the account it became."""
    visitor, _ = Visitor.objects.get_or_create(id=visitor_id, defaults={"kind": kind_of(visitor_id)})
    return visitor.merged_into or visitor


def ensure_all(visitor_ids: Collection[str]) -> tuple[int, Mapping[str, str | None]]:
    """Make the rows that are missing.

    Returns how many that were, and for each of the others the id of the account that it was merged into, or None.
    """
    known = dict(Visitor.objects.filter(id__in=visitor_ids).values_list("id", "merged_into_id"))
    missing = sorted(set(visitor_ids) - known.keys())
    rows = [Visitor(id=visitor_id, kind=kind_of(visitor_id)) for visitor_id in missing]
    Visitor.objects.bulk_create(rows, ignore_conflicts=True)
    return len(missing), known


def ensure_for_account(user: User) -> Visitor:
    visitor, _ = Visitor.objects.get_or_create(
        id=visitor_id_for_account(user), defaults={"kind": Visitor.Kind.ACCOUNT, "account": user}
    )
    if visitor.account_id is None:  # an API client spoke of the account before its shopper came
        visitor.account = user
        visitor.save(update_fields=["account"])
    return visitor


def client_visitor_id(user_id: str | None, session_id: str | None) -> str:
    """The visitor id that an API client means. Raises InvalidInput unless exactly one valid id is given."""
    for name, value in (("user_id", user_id), ("session_id", session_id)):
        if value is not None and not isinstance(value, str):
            raise InvalidInput(f"{name} must be a text.")
    if bool(user_id) == bool(session_id):
        raise InvalidInput("Give either user_id or session_id.")
    visitor_id = user_id or f"{SESSION}{session_id}"
    try:
        validate_external_id(visitor_id)
    except ValidationError as error:
        raise InvalidInput(f"{'user_id' if user_id else 'session_id'}: {' '.join(error.messages)}") from error
    if user_id and user_id.startswith((GUEST, SESSION)):
        raise InvalidInput("user_id: ids that start with guest: or session: are the site's own.")
    return visitor_id


@transaction.atomic
def merge(guest_id: str, account: Visitor) -> int:
    """Give a guest's history, cart, orders, reviews and wishes to the account it logged into. Returns the number of
    events.

    The guest's row stays and points at the account, so that a page still open under the old cookie keeps working.
    """
    # Locked in one order everywhere: what is recorded at this moment comes along or goes to the account itself.
    both = Visitor.objects.select_for_update().filter(id__in=[guest_id, account.pk]).order_by("id")
    guest = next((row for row in both if row.pk == guest_id), None)
    if guest is None or guest.kind != Visitor.Kind.GUEST or guest.merged_into_id or guest.pk == account.pk:
        return 0
    moved = Event.objects.filter(visitor=guest).update(visitor=account)
    Order.objects.filter(visitor=guest).update(visitor=account)
    Answer.objects.filter(visitor_id=guest.pk).update(visitor_id=account.pk)  # what was shown, for what comes of it
    _merge_reviews(guest, account)
    _merge_carts(guest, account)
    if not Control.objects.filter(visitor=account).exists():  # else the account's own wishes stay
        Control.objects.filter(visitor=guest).update(visitor=account)
    guest.merged_into = account
    guest.save(update_fields=["merged_into"])
    return moved


def _merge_reviews(guest: Visitor, account: Visitor) -> None:
    """One review of an item each: where both wrote one, the later stays."""
    mine = {review.item_id: review for review in Review.objects.filter(visitor=account)}
    for review in Review.objects.filter(visitor=guest):
        own = mine.get(review.item_id)
        if own and own.created_at >= review.created_at:
            review.delete()
            continue
        if own:
            own.delete()
        review.visitor = account
        review.save(update_fields=["visitor"])


def _merge_carts(guest: Visitor, account: Visitor) -> None:
    """Quantities add up as far as the stock and the limit of a line allow."""
    mine = {line.item_id: line for line in CartLine.objects.filter(visitor=account)}
    for line in CartLine.objects.filter(visitor=guest).select_related("item"):
        own = mine.get(line.item_id)
        if own is None:
            line.visitor = account
            line.save(update_fields=["visitor"])
            continue
        own.quantity = max(own.quantity, min(own.quantity + line.quantity, line.limit))
        own.save(update_fields=["quantity"])
        line.delete()
