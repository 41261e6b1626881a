"""Who is at the door: a cookie names the guest, the account names everybody else.

Nothing is stored for a visitor who only looks at the front page: the Visitor row is made with the first event.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import patch_cache_control

from recommender.models import Visitor
from recommender.services import people
from recommender.services.errors import TooMany
from recommender.services.screening import clients
from recommender.storefront.views.faults import too_many

COOKIE = "visitor"
COOKIE_AGE_S = 365 * 24 * 3600
_GUEST = re.compile(r"guest:[0-9a-f]{32}")
# Only what names itself a robot. Programs without a name, such as a shop's own tests, are taken for shoppers.
_ROBOT = re.compile(r"bot\b|crawl|spider|slurp|facebookexternalhit|preview|lighthouse|pingdom|uptime", re.IGNORECASE)


@dataclass
class Guest:
    """Whom the cookie names, whether or not somebody is logged in besides."""

    id: str
    is_new: bool
    """Not from a cookie: the answer has to set one."""


def guest(request: HttpRequest) -> Guest:
    return request.guest  # type: ignore[attr-defined]  # the middleware below puts it there


class VisitorMiddleware:
    """Reads the guest's cookie, and sets one with a shop page that was asked for without."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        cookie = request.COOKIES.get(COOKIE, "")
        known = bool(_GUEST.fullmatch(cookie))
        request.guest = Guest(cookie if known else people.new_guest_id(), not known)  # type: ignore[attr-defined]
        response = self.get_response(request)
        match = request.resolver_match
        if match and match.app_name == "storefront" and match.url_name != "media":
            # What a page shows depends on the click before it, so no cache may answer in the shop's place.
            patch_cache_control(response, private=True, no_cache=True)
            if guest(request).is_new:
                name = guest(request).id
                response.set_cookie(COOKIE, name, COOKIE_AGE_S, httponly=True, samesite="Lax", secure=settings.HTTPS)
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponseBase | None:
        """A limit is no fault: the page says when to come back."""
        return too_many(error) if isinstance(error, TooMany) else None


def client(request: HttpRequest) -> str:
    """The network address of the browser; empty where it cannot be known."""
    return clients.client(request.META)


def counted_id(request: HttpRequest) -> str:
    """Whom to count what happens for; empty for a browser that came without a cookie, who would be new each time."""
    return "" if guest(request).is_new and not request.user.is_authenticated else visitor_id(request)


def visitor_id(request: HttpRequest) -> str:
    """The account's id for a shopper who is logged in, the guest's otherwise. Asks the session only if there is one."""
    if request.user.is_authenticated:
        return people.visitor_id_for_account(request.user)
    return guest(request).id


def visitor(request: HttpRequest) -> Visitor:
    """The visitor's row, made now if it is not there yet."""
    if request.user.is_authenticated:
        return people.ensure_for_account(request.user)
    return people.ensure(guest(request).id)


def welcome(request: HttpRequest, user: User) -> int:
    """Bring what the guest did along into the account; returns the number of events.

    The browser gets a fresh guest id, so that what happens after logging out is nobody's but the next guest's.
    """
    moved = people.merge(guest(request).id, people.ensure_for_account(user))
    renew_guest(request)
    return moved


def renew_guest(request: HttpRequest) -> None:
    guest(request).id = people.new_guest_id()
    guest(request).is_new = True


def is_a_look(request: HttpRequest) -> bool:
    """Whether this request is a person opening a page, as against a robot, a prefetch or the page calling itself."""
    if request.method != "GET" or _ROBOT.search(request.headers.get("User-Agent", "")):
        return False
    purpose = f"{request.headers.get('Sec-Purpose', '')} {request.headers.get('Purpose', '')}"
    if "prefetch" in purpose or "preview" in purpose:
        return False
    # After a form of the page itself (a review, the cart, its next page of reviews) the shopper has not come anew.
    try:
        came_from = urlsplit(request.headers.get("Referer", ""))
    except ValueError:  # such as http://[
        return True
    return not (came_from.netloc == request.get_host() and came_from.path == request.get_full_path().split("?")[0])
