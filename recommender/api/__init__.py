"""REST, versioned, thin: a route validates, calls a service and answers."""

from ninja.openapi.docs import Swagger

from recommender.api import assistant, controls, events, health, items, openapi, recommendations, runs, search, senses
from recommender.api.door import Api

api = Api(
    title="recsite",
    version="1",
    description=openapi.DESCRIPTION,
    urls_namespace="api",
    # Swagger's own validator would send the document's address to a server on the internet.
    docs=Swagger(settings={"validatorUrl": None, "defaultModelsExpandDepth": 0}),
    openapi_extra={"tags": openapi.TAGS},
)
for router in (
    events.router,
    recommendations.router,
    assistant.router,
    search.router,
    senses.router,
    items.router,
    controls.router,
    runs.router,
    health.router,
):
    api.add_router("", router)
