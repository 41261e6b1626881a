"""The shopping assistant: a wish in plain words, and items that fit it."""

from django.http import HttpRequest, HttpResponse
from ninja import Router

from recommender.api.auth import READ
from recommender.api.bodies import answer
from recommender.api.recommendation_schemas import AssistantAnswer, AssistantQuestion
from recommender.api.recommendations import as_json
from recommender.services import people
from recommender.services.assistant import conversation, replies

router = Router(tags=["Recommendations"], auth=READ)


@router.post("/assistant", response={200: AssistantAnswer}, summary="Ask in plain words", operation_id="ask_assistant")
def ask(request: HttpRequest, question: AssistantQuestion) -> HttpResponse:
    """Items that fit a wish such as "a gift for someone who likes the sea, under 20", with reasons.

    Send the `state` of the answer with the next message ("cheaper", "only prints", "something else"). Where the site
    has a language model, it words the answer and may take some seconds; the items are always of the catalogue and in
    stock.
    """
    visitor_id = None
    if question.user_id is not None or question.session_id is not None:
        visitor_id = people.client_visitor_id(question.user_id, question.session_id)
    found = conversation.answered(question.message, replies.restored(question.state), visitor_id)
    return answer(as_json(found.shelf) | {"text": found.text, "state": found.state, "suggestions": found.asks})
