"""The site's settings, with a limit on requests that no benchmark meets and one more address; see serving_urls."""

from recsite.settings import *  # noqa: F403
from recsite.settings import RECOMMENDER

ROOT_URLCONF = "tests.benchmarks.serving_urls"
RECOMMENDER["guard"] = {
    "limits": {"key_requests": {"hard": 10**8}, "key_items": {"hard": 10**8}},
    "client_header": "REMOTE_ADDR",
}
