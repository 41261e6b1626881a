"""ASGI entry point, for servers that only speak ASGI; WSGI is the measured, recommended one."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recsite.settings")
application = get_asgi_application()

from recommender.services.experiments import answers  # noqa: E402  Django has to be set up first
from recommender.services.screening import access_log  # noqa: E402

access_log.start()
answers.start()
