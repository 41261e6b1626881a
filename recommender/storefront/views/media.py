"""Pictures and sounds from MEDIA_ROOT, with byte ranges: without them Safari plays no audio and no player can seek."""

import mimetypes
from pathlib import Path

from django.conf import settings
from django.core.exceptions import SuspiciousFileOperation
from django.http import FileResponse, Http404, HttpRequest, HttpResponseBase
from django.utils._os import safe_join
from django.views.decorators.http import require_safe
from whitenoise.responders import IsDirectoryError, MissingFileError, StaticFile

MAX_AGE_S = 30 * 24 * 3600  # storage gives a changed file a new name, so a long life does no harm
# Shown in the page; anything else is offered as a download. SVG can carry scripts, so it is not in the list.
INLINE = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif", "image/avif", "audio/wav", "audio/mpeg",
                    "audio/ogg", "audio/mp4", "audio/flac", "audio/webm"})  # fmt: skip
SAME_TYPES = {"audio/x-wav": "audio/wav", "audio/vnd.wave": "audio/wav", "audio/x-flac": "audio/flac"}


@require_safe
def media(request: HttpRequest, name: str) -> HttpResponseBase:
    try:
        path = Path(safe_join(settings.MEDIA_ROOT, name))
    except (SuspiciousFileOperation, ValueError) as error:
        raise Http404("No such file.") from error
    guessed = mimetypes.guess_type(path.name)[0] or ""
    kind = SAME_TYPES.get(guessed, guessed)
    shown = kind in INLINE
    headers = [
        ("Content-Type", kind if shown else "application/octet-stream"),
        ("Content-Disposition", "inline" if shown else "attachment"),
        ("Cache-Control", f"public, max-age={MAX_AGE_S}"),
        ("Accept-Ranges", "bytes"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    try:
        found = StaticFile(str(path), headers).get_response(request.method, request.META)
    except (MissingFileError, IsDirectoryError, OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise Http404("No such file.") from error
    response = FileResponse(found.file or (), status=int(found.status))
    del response.headers["Content-Type"]
    for header, value in found.headers:
        response.headers[header] = value
    return response
