"""Publications: who made which run live, when and why."""

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from recommender.admin.readonly import ReadOnlyAdmin
from recommender.models import Publication, Run


@admin.register(Publication)
class PublicationAdmin(ReadOnlyAdmin):
    list_display = ["at", "action", "now_live", "before", "reason", "who"]
    list_filter = ["action"]
    search_fields = ["reason", "by__username"]
    list_select_related = ["run", "previous", "by"]

    @admin.display(description="Now live")
    def now_live(self, publication: Publication) -> str | SafeString:
        return _link(publication.run)

    @admin.display(description="Before")
    def before(self, publication: Publication) -> str | SafeString:
        return _link(publication.previous)

    @admin.display(description="By", ordering="by__username")
    def who(self, publication: Publication) -> str:
        if publication.by:
            return publication.by.get_username()
        return "the watch" if publication.action == Publication.Action.ROLL_BACK else "the gate"


def _link(run: Run | None) -> str | SafeString:
    if run is None:
        return "none (popular items)"
    return format_html('<a href="{}">{}</a>', reverse("admin:recommender_run_change", args=[run.pk]), run)
