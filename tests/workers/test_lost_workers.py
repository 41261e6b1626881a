"""Workers that do not come to the end of a run, each started for its test alone."""

import pytest

from recommender.conf import conf
from recommender.models import Run
from recommender.services import publishing
from tests.workers.conftest import eventually
from tests.workers.runs import ENDLESS, asked_for, ended, in_the_midst, swept

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


def test_the_run_of_a_killed_worker_is_given_to_another_and_ends_well(shop, start_worker, settings):
    first = start_worker()
    run = in_the_midst(asked_for("als", ENDLESS))
    first.kill()
    Run.objects.update(config=run.config | {"factors": 8})  # we have seen enough of it
    start_worker()
    swept(settings)
    settings.RECOMMENDER = {**settings.RECOMMENDER, "lost_after_s": 60}
    assert (ended(run, within_s=60).status, run.tries) == ("succeeded", 2)
    eventually(lambda: publishing.live_run() == run, 5)
    assert [path.name for path in conf().artifacts_dir.glob(f"run-{run.pk:06d}*")] == [run.artifact]
