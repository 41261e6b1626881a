"""Where each door opens: the shop at /, the console at /admin/, the API at /api/v1/."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponseRedirect
from django.templatetags.static import static
from django.urls import include, path

from recommender.api import api


def favicon(request: HttpRequest) -> HttpResponseRedirect:
    """Browsers ask for this on pages that name no icon of their own, such as the admin's."""
    return HttpResponseRedirect(static("storefront/icon.svg"))


handler500 = "recommender.storefront.views.faults.fault"
urlpatterns = [
    path("favicon.ico", favicon),
    path("admin/", admin.site.urls),
    path("api/v1/", api.urls),
    path("", include("recommender.storefront.urls")),
]
