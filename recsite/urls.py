"""Where each door opens: the shop at /, the console at /admin/, the API at /api/v1/."""

from django.contrib import admin
from django.urls import include, path

from recommender.api import api

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/v1/", api.urls),
    path("", include("recommender.storefront.urls")),
]
