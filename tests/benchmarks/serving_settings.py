"""The site's settings, with a limit on requests that no benchmark meets and one more address; see serving_urls."""

from recsite.settings import *  # noqa: F403
from recsite.settings import RECOMMENDER

ROOT_URLCONF = "tests.benchmarks.serving_urls"
FAR = {"hard": 10**8}
RECOMMENDER["guard"] = {"limits": {"key_requests": FAR, "key_items": FAR}, "client_header": "REMOTE_ADDR"}
