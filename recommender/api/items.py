"""The catalogue, one item at a time."""

from functools import lru_cache
from typing import Annotated, Any

from django.core.files.storage import FileSystemStorage
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Body, Path, Router

from recommender.api.auth import ADMIN, READ
from recommender.api.bodies import answer
from recommender.api.schemas import ItemIn, ItemOut, Problem
from recommender.models import Item
from recommender.services import catalogue

router = Router(tags=["Items"])

ItemId = Annotated[str, Path(description="1 to 128 characters without spaces, slashes, ?, #, %.", example="print-0042")]


@router.get(
    "/items/{item_id}",
    auth=READ,
    response={200: ItemOut, 404: Problem},
    summary="Get an item",
    operation_id="get_item",
    url_name="item",
)
def get_item(request: HttpRequest, item_id: ItemId) -> HttpResponse:
    """What the catalogue says of an item, active or not."""
    return answer(_described(catalogue.item(item_id)))


@router.put(
    "/items/{item_id}",
    auth=ADMIN,
    response={200: ItemOut, 201: ItemOut, 409: Problem},
    summary="Create or change an item",
    operation_id="put_item",
)
def put_item(request: HttpRequest, item_id: ItemId, item: Body[ItemIn]) -> HttpResponse:
    """Creates the item (201) or changes the fields that you send (200).

    It can be recommended at once: as a new item of its category, and by the model from the next run on.
    """
    saved, made = catalogue.put(item_id, item.model_dump(exclude_unset=True))
    where = {"Location": reverse("api:item", args=[saved.pk])} if made else None
    return answer(_described(catalogue.item(saved.pk)), 201 if made else 200, where)


def price_text(item: Item) -> str | None:
    """A decimal number as text, so that no digit is lost."""
    return None if item.price is None else f"{item.price:.2f}"


def image_url(item: Item) -> str | None:
    picture = item.first_picture
    if picture is None:
        return None
    file = picture.file
    storage: Any = file.storage
    known = isinstance(storage, FileSystemStorage)  # others may sign what they give, for a while
    return _in_media(storage.base_url, file.name) if known else file.url


@lru_cache(20_000)
def _in_media(base_url: str, name: str) -> str:
    return FileSystemStorage(base_url=base_url).url(name)


def _described(item: Item) -> dict[str, object]:
    return {
        "item_id": item.pk,
        "title": item.title,
        "creator": item.creator,
        "description": item.description,
        "category": item.category_id,
        "price": price_text(item),
        "stock": item.stock,
        "attributes": item.attributes,
        "active": item.active,
        "image": image_url(item),
        "added_at": item.added_at,
        "updated_at": item.updated_at,
    }
