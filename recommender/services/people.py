"""Who is visiting: guests, accounts, and the users of API clients; and what happens when a guest logs in."""

import uuid

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction

from recommender.models import CartLine, Event, Order, Review, Visitor
from recommender.models.ids import validate_external_id
from recommender.services.errors import InvalidInput

GUEST, ACCOUNT, SESSION = "guest:", "account:", "session:"
RESERVED = (GUEST, ACCOUNT, SESSION)


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


def ensure_for_account(user: AbstractBaseUser) -> Visitor:
    visitor, _ = Visitor.objects.get_or_create(
        id=visitor_id_for_account(user), defaults={"kind": Visitor.Kind.ACCOUNT, "account": user}
    )
    return visitor


def client_visitor_id(user_id: str | None, session_id: str | None) -> str:
    """The visitor id that an API client means. Raises InvalidInput unless exactly one valid id is given."""
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
    """Give a guest's history, cart, orders and reviews to the account it logged into. Returns the number of events.

    The guest's row stays and points at the account, so that a page still open under the old cookie keeps working.
    """
    guest = Visitor.objects.filter(id=guest_id, kind=Visitor.Kind.GUEST, merged_into=None).first()
    if guest is None or guest.pk == account.pk:
        return 0
    moved = Event.objects.filter(visitor=guest).update(visitor=account)
    Order.objects.filter(visitor=guest).update(visitor=account)
    reviewed = Review.objects.filter(visitor=account).values("item_id")
    Review.objects.filter(visitor=guest).exclude(item_id__in=reviewed).update(visitor=account)
    mine = {line.item_id: line for line in CartLine.objects.filter(visitor=account)}
    for line in CartLine.objects.filter(visitor=guest):
        if kept := mine.get(line.item_id):
            kept.quantity += line.quantity
            kept.save(update_fields=["quantity"])
            line.delete()
        else:
            line.visitor = account
            line.save(update_fields=["visitor"])
    guest.merged_into = account
    guest.save(update_fields=["merged_into"])
    return moved
