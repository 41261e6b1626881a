"""Search by a picture or a recording. What is sent is looked at once, in memory, and not kept."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods

from recommender.engine.errors import Unreadable
from recommender.services import alike, serving, uploads
from recommender.services.errors import Busy, NotPrepared, Refused, UploadTooLarge
from recommender.storefront import shelves
from recommender.storefront.visitor import visitor_id

RESULTS = 24  # cards, as on a page of results
STATUS = {Unreadable: 422, UploadTooLarge: 413, Busy: 503, NotPrepared: 409}
RETRY_AFTER_S = 5


@dataclass(frozen=True)
class Sense:
    name: str
    """photo or sound: its page, its template, and the shelf that it fills."""
    kind: str
    """As in services/uploads."""
    modality: str
    decode: Callable[[bytes], Any]
    find: Callable[[Any, int], serving.Shelf]


PHOTO = Sense("photo", "picture", "image", uploads.picture, alike.by_photo)
SOUND = Sense("sound", "sound", "audio", uploads.sound, alike.by_sound)


# The token is checked further in, once it is settled that the upload stays in memory: looking for it reads the body.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def photo(request: HttpRequest) -> HttpResponse:
    return _page(request, PHOTO)


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def sound(request: HttpRequest) -> HttpResponse:
    return _page(request, SOUND)


def _page(request: HttpRequest, sense: Sense) -> HttpResponse:
    """The form, and once it was sent, what was found: under the form, or alone for the page's own script."""
    if request.method != "POST":
        ready = alike.prepared(sense.modality)
        row = None if ready else shelves.suggested(visitor_id(request))
        return _shown(request, sense, {"ready": ready, "row": row})
    try:
        request.upload_handlers = [uploads.InMemory(sense.kind, request)]
        return _found(request, sense)
    except (Unreadable, Refused) as error:
        response = _shown(request, sense, {"ready": not isinstance(error, NotPrepared), "problem": error.detail})
        response.status_code = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 400)
        if isinstance(error, Busy):
            response["Retry-After"] = str(RETRY_AFTER_S)
        return response


@csrf_protect
def _found(request: HttpRequest, sense: Sense) -> HttpResponse:
    files = [file for file in request.FILES.getlist("file") if file.size]
    if not files:
        raise Unreadable(f"Choose a {uploads.WORDS[sense.kind]} first.")
    row = shelves.row(sense.find(sense.decode(files[0].read()), RESULTS))
    shelves.rate([row])
    return _shown(request, sense, {"ready": True, "row": row, "sent": True})


def _shown(request: HttpRequest, sense: Sense, context: dict[str, Any]) -> HttpResponse:
    most = uploads.MAX_BYTES[sense.kind]
    context |= {"sense": sense, "most": most, "most_mb": most // 2**20, "longest_s": int(uploads.LONGEST_S)}
    alone = request.headers.get("X-Requested-With") == "XMLHttpRequest"
    name = "storefront/parts/sense_found.html" if alone else f"storefront/{sense.name}.html"
    return render(request, name, context)
