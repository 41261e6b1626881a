"""A real worker screens what the sweep asks for, and what it leaves when it is killed in the midst of it."""

import pytest

from recommender import tasks
from recommender.models import Screening
from recommender.services import training
from recommender.services.screening import screenings
from tests.workers.conftest import eventually
from tests.workers.runs import ended

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

ON = '{"subjects": ["profile", "session"]}'


@pytest.fixture
def screening_on(settings):
    settings.RECOMMENDER = {**settings.RECOMMENDER, "screening": {"subjects": ["profile", "session"]}}


def test_a_killed_workers_pass_is_taken_up_by_another_and_trainings_screen(shop, screening_on, start_worker, settings):
    row = screenings.request(reason="to be lost")
    assert screenings.jobs.claim(Screening, row.pk) is not None  # by a worker that is then no more
    settings.RECOMMENDER = {**settings.RECOMMENDER, "lost_after_s": 0}
    worker = start_worker(SCREENING=ON)
    tasks.sweep()
    eventually(lambda: screenings.get(row.pk).status == "succeeded", 60, worker.log.read_text)
    again = screenings.get(row.pk)
    assert (again.tries, again.failures) == (2, {}) and again.counts["session"]["rows"] == 60
    run = training.request("popularity")
    tasks.wake(run.pk)
    run = ended(run, 60)
    assert run.status == "succeeded" and run.screening["on"] and run.screening["failures"] == {}
    assert Screening.objects.filter(requested_by=f"run {run.pk}", status="succeeded").exists()
