"""The Django project: settings, URLs, and the WSGI, ASGI and Celery entry points."""

import os

# One request uses one core: BLAS threads beyond that only fight the neighbouring worker processes.
# This must happen before the first import of NumPy; trainers raise the limit for themselves.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

from recsite.celery import app as celery_app  # noqa: E402

__all__ = ["celery_app"]
