"""What staff decide about lists: pins, boosts, limits and the like, in force from the next request on."""

from recommender.services.rules import in_force, wanted
from recommender.services.rules.applying import Applied, apply
from recommender.services.rules.in_force import RULES_FOR_S, Acting, acting, compiled, problems, read_again, state
from recommender.services.rules.wanted import OF_PIN, candidates

__all__ = [
    "OF_PIN",
    "RULES_FOR_S",
    "Acting",
    "Applied",
    "acting",
    "apply",
    "candidates",
    "compiled",
    "forget",
    "problems",
    "read_again",
    "state",
]


def forget() -> None:
    """Drop what this process knows, so that no test sees the rules of another one."""
    in_force.forget()
    wanted.forget()
