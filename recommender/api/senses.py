"""Search by a picture or a recording: the file as the body, or in a form. It is looked at once and not kept."""

from collections.abc import Iterator
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from ninja import Query, Router

from recommender.api.auth import READ
from recommender.api.bodies import answer
from recommender.api.recommendation_schemas import Recommendations
from recommender.api.recommendations import Count, as_json
from recommender.api.schemas import Problem
from recommender.engine.data import pictures
from recommender.engine.errors import Unreadable
from recommender.services import alike, uploads
from recommender.services.errors import InvalidInput

router = Router(tags=["Search"], auth=READ)

BLOCK = 64 * 1024  # bytes read at once
FIELD = "file"  # of a form
PICTURES = ("image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/tiff")
SOUNDS = ("audio/wav", "audio/flac", "audio/ogg", "audio/mpeg")
BINARY = {"schema": {"type": "string", "format": "binary"}}
FORM = {"type": "object", "properties": {FIELD: {"type": "string", "format": "binary"}}, "required": [FIELD]}


def _body(kind: str, types: tuple[str, ...], says: str) -> dict[str, Any]:
    """The body as the OpenAPI document shows it; ninja knows none that is not JSON or a form."""
    content = {"multipart/form-data": {"schema": FORM}, **dict.fromkeys((*types, "application/octet-stream"), BINARY)}
    described = f"{says} At most {uploads.MAX_BYTES[kind] // 2**20} MB."
    return {"requestBody": {"required": True, "description": described, "content": content}}


ANSWERS = {200: Recommendations, 409: Problem}
PHOTO = _body("picture", PICTURES, f"{pictures.TAKEN}; of several frames the first.")
SOUND = _body("sound", SOUNDS, f"WAV, FLAC, OGG or MP3; the first {uploads.LONGEST_S:g} seconds count.")
Crop = Annotated[
    str | None,
    Query(None, description="The part to look at: left,top,right,bottom in shares of it.", example="0.1,0.2,0.9,0.8"),
]


@router.post(
    "/search/photo", response=ANSWERS, summary="Search by photo", operation_id="search_by_photo", openapi_extra=PHOTO
)
def photo(request: HttpRequest, n: Count = 10, crop: Crop = None) -> HttpResponse:
    """Items whose pictures look like this one. Send the file as it is, or as the field `file` of a form."""
    box = None if crop is None else _box(crop)
    picture = uploads.picture(_sent(request, "picture"))
    if box is not None:
        picture = pictures.crop(picture, box)
    return answer(as_json(alike.by_photo(picture, n)))


@router.post(
    "/search/sound", response=ANSWERS, summary="Search by sound", operation_id="search_by_sound", openapi_extra=SOUND
)
def sound(request: HttpRequest, n: Count = 10) -> HttpResponse:
    """Items whose recordings sound like this one. Send the file as it is, or as the field `file` of a form."""
    return answer(as_json(alike.by_sound(uploads.sound(_sent(request, "sound")), n)))


def _sent(request: HttpRequest, kind: str) -> bytes:
    """The file, in memory. Raises UploadTooLarge, Unreadable, InvalidInput."""
    if request.content_type != "multipart/form-data":
        uploads.check_announced(kind, request)
        return uploads.gathered(kind, _blocks(request))
    request.upload_handlers = [uploads.InMemory(kind, request)]
    try:
        file = request.FILES.get(FIELD)
    except MultiPartParserError as error:
        raise InvalidInput("The form cannot be read; send it as multipart/form-data with its boundary.") from error
    if file is None:
        raise Unreadable(f"The form has no file named {FIELD}.")
    data: bytes = file.read()
    return data


def _blocks(request: HttpRequest) -> Iterator[bytes]:
    while block := request.read(BLOCK):
        yield block


def _box(text: str) -> pictures.Box:
    try:
        left, top, right, bottom = (float(part) for part in text.split(","))
    except ValueError:
        raise InvalidInput("crop must be four numbers: left,top,right,bottom in shares from 0 to 1.") from None
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise InvalidInput("crop goes from left to right and from top to bottom, in shares from 0 to 1.")
    return left, top, right, bottom
