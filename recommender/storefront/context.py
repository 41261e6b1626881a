"""What every page's template knows."""

from typing import Any

from django.http import HttpRequest

from recommender.conf import conf


def shop(request: HttpRequest) -> dict[str, Any]:
    values = conf()
    return {"shop_name": values.shop_name, "shop_tagline": values.shop_tagline}
