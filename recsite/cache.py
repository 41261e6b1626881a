"""Django's Redis cache for the request path: it answers within milliseconds or not at all, and counts many at once."""

from collections.abc import Sequence
from typing import Any

from django.core.cache.backends.redis import RedisCache
from redis.backoff import NoBackoff
from redis.retry import Retry

WAIT_S = 0.05  # for a connection, and for an answer; a page does not wait longer for a cache


class QuickRedis(RedisCache):
    def __init__(self, server: str, params: dict[str, Any]) -> None:
        quick = {"socket_timeout": WAIT_S, "socket_connect_timeout": WAIT_S, "retry": Retry(NoBackoff(), 0)}
        super().__init__(server, {**params, "OPTIONS": {**quick, **params.get("OPTIONS", {})}})

    def count_many(self, counts: Sequence[tuple[str, str, int, tuple[str, ...], int]]) -> list[tuple[int, int] | None]:
        """Count and read in one round trip: (key, key of the window before, by, some of what, seconds to keep) each.

        `by` 0 only reads. With `some of what`, different things are counted, about (HyperLogLog, off by 1 %). Returns
        (now, before) each, None where what lies under the key is no count. Raises what redis raises.
        """
        pipe = self._cache.get_client(None, write=True).pipeline(transaction=False)
        places = []
        for key, before, by, of, keep_s in counts:
            # Not validated, which looks at every character for memcached's sake: these keys are made of hashes.
            key, before = self.make_key(key), self.make_key(before)
            if of:
                pipe.pfadd(key, *of)
            places.append(len(pipe))
            if of:
                pipe.pfcount(key)
                pipe.pfcount(before)
            else:
                if by:
                    pipe.incrby(key, by)
                else:
                    pipe.get(key)
                pipe.get(before)
            if by or of:
                pipe.expire(key, keep_s)
        replies = pipe.execute(raise_on_error=False)
        return [_counted(replies[at], replies[at + 1]) for at in places]


def _counted(now: Any, before: Any) -> tuple[int, int] | None:
    try:
        return int(now or 0), int(before or 0)
    except (TypeError, ValueError):  # a word, or redis's word that it cannot count this
        return None
