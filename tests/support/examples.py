"""How many inputs are made up."""

from hypothesis import settings


def examples(number: int) -> int:
    """A number for `make test`, of which the profile of `make test-quick` takes its share."""
    return max(1, number * settings().max_examples // settings.get_profile("repeatable").max_examples)
