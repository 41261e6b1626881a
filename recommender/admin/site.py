"""What the admin calls itself, and the dashboard on its start page."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.functional import lazy

from recommender.admin import charts
from recommender.admin.verdict_list import kind_badge, label, sure_bar
from recommender.conf import conf
from recommender.services import comparison, console
from recommender.services.content import content_state
from recommender.services.screening import log_ins, screenings, verdicts


def _name() -> str:
    return f"{conf().shop_name} console"


_index = admin.site.index


def index(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
    """The start page, with what the dashboard shows for those who may see runs."""
    context = dict(extra_context or {})
    if request.user.has_perm("recommender.view_run"):
        seen = console.overview()
        metric, figure = comparison.main_figure(seen.live) if seen.live else ("", None)
        context |= {
            "seen": seen,
            "live_metric": metric,
            "live_figure": figure,
            "progress": console.progress(seen.active) if seen.active else None,
            "chart": charts.bars(seen.days),
        }
    if request.user.has_perm("recommender.view_encoding"):
        content = content_state.state()
        context |= {
            "content": content,
            "encoding_progress": console.progress(content.active) if content.active else None,
        }
    if request.user.has_perm("recommender.view_verdict"):
        waiting, screening = verdicts.waiting(), screenings.active()
        context |= {
            "trust": waiting,
            "trust_kinds": [(kind, kind_badge(kind), count) for kind, count in waiting.kinds],
            "trust_latest": [(row, label(row.kind), sure_bar(row.probability)) for row in waiting.latest],
            "screened": screenings.last(),
            "screening": screening,
            "screening_progress": console.progress(screening) if screening else None,
        }
    return _index(request, context)


_login = admin.site.login


def login(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    """The console's own log-in, behind the shop's limits. Raises TooMany, which the shop's middleware answers."""
    if request.method != "POST":
        return _login(request, extra_context)
    one = log_ins.start(request.POST.get("username", ""), request.META, request.COOKIES)
    response = _login(request, extra_context)
    if cookie := one.ended(well=response.status_code == 302):
        response.set_cookie(**cookie)
    return response


# Lazy, because a mistake in the settings is for `manage.py check` to report, not for an import to die of.
admin.site.site_header = lazy(_name, str)()
admin.site.site_title = lazy(_name, str)()
admin.site.index_title = "Learning and shop"
# On the site itself: a site class of its own could not live in this package, which registers with it while imported.
admin.site.index = index  # type: ignore[method-assign]
admin.site.login = login  # type: ignore[method-assign]
