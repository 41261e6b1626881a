"""manage.py create_demo_logins"""

from typing import Any

from django.core.management.base import BaseCommand

from recommender.services import demo
from recommender.services.errors import SuperuserExists


class Command(BaseCommand):
    help = (
        f"Makes the demo logins of a shop that was filled otherwise: the superuser {demo.STAFF}, unless there is one, "
        f"and the shopper {demo.READER}, both with the password {demo.PASSWORD}. Never on a public machine."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        demo.create_reader_login()
        try:
            demo.create_staff_login()
        except SuperuserExists as error:
            self.stderr.write(str(error))
