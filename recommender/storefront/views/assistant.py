"""The assistant's page: a question in plain words, pieces that fit, and the next question. Works without a script; with
one, the answer is streamed into the page and the conversation stays in view."""

import json
import logging
from collections.abc import Iterator

from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.http import require_POST, require_safe

from recommender.services.assistant import conversation, replies
from recommender.services.assistant.replies import EXAMPLES, Reply
from recommender.services.assistant.wish import MAX_LENGTH, Wish
from recommender.services.errors import InvalidInput
from recommender.storefront import shelves
from recommender.storefront.visitor import visitor_id

log = logging.getLogger(__name__)


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Answered by templates alone: a page that robots and the back button may ask for again costs nobody anything."""
    message = request.GET.get("q", "")[:MAX_LENGTH].replace("\x00", "").strip()
    context = {"message": message, "examples": EXAMPLES, "longest": MAX_LENGTH}
    if message:
        answer = replies.reply(message, replies.restored(request.GET.get("state", "")), visitor_id(request))
        context |= _drawn(answer)
    return render(request, "storefront/assistant.html", context)


@require_POST
def answer(request: HttpRequest) -> HttpResponseBase:
    """The same answer as it is made: lines of JSON, {"text": ...} pieces and at last {"html", "state", "text"}."""
    message = request.POST.get("q", "")[:MAX_LENGTH].replace("\x00", "").strip()
    if not message:
        return JsonResponse({"error": "Say what you are looking for."}, status=422)
    before = replies.restored(request.POST.get("state", ""))
    lines = _lines(request, message, before, visitor_id(request))
    response = StreamingHttpResponse(lines, content_type="application/x-ndjson; charset=utf-8")
    response["X-Accel-Buffering"] = "no"  # a proxy that waits for the end would make a stream pointless
    return response


def _lines(request: HttpRequest, message: str, before: Wish, me: str) -> Iterator[str]:
    try:
        for piece in conversation.ask(message, before, me):
            if isinstance(piece, Reply):
                drawn = _drawn(piece)
                html = render_to_string("storefront/parts/assistant_answer.html", drawn, request)
                yield _line({"html": html, "state": drawn["state"], "text": piece.text})
            else:
                yield _line({"text": piece})
    except InvalidInput as error:
        yield _line({"error": error.detail})
    except Exception:  # the answer has begun, so that no error page can follow
        log.exception("The assistant failed.")
        yield _line({"error": "That went wrong here. Ask again, or use the search."})


def _line(value: dict[str, object]) -> str:
    return f"{json.dumps(value)}\n"


def _drawn(answer: Reply) -> dict[str, object]:
    row = shelves.row(answer.shelf, reasons=True)
    shelves.rate([row])
    return {"answer": answer, "row": row, "state": answer.state, "asks": answer.asks}
