"""Naming all that is wrong with a declaration at once."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from reconciler.domain.errors import InvalidInput, SeveralInvalid

Parsed = TypeVar("Parsed")


def unknown_fields(
    given: Collection[str], known: Collection[str], field: str, what: str
) -> Iterator[InvalidInput]:
    """Name each of the fields ``given`` that ``what`` has not."""
    for name in given:
        if name not in known:
            yield InvalidInput(field, name, f"is no field of {what}; those are {', '.join(known)}")


def placed(problem: InvalidInput, within: str) -> InvalidInput:
    """Return ``problem`` with its field named from further out: ``hosts.web1`` and its ``port``."""
    text = problem.message.removeprefix(f"{problem.field}: ")
    made = type(problem)(f"{within}.{problem.field}", None, text)
    made.remedy = problem.remedy
    return made


class Problems:
    """Collects what is wrong, so that every wrong field is named at once."""

    def __init__(self) -> None:
        self.found: list[InvalidInput] = []

    def collect(self, parse: Callable[[], Parsed], within: str = "") -> Parsed | None:
        """Return what ``parse`` does; None where it raises, which is kept.

        Its fields are named from ``within`` on, if that is given.
        """
        try:
            return parse()
        except InvalidInput as problem:
            raised: Sequence[InvalidInput] = (problem,)
        except SeveralInvalid as several:
            raised = several.problems
        self.found.extend(placed(one, within) if within else one for one in raised)
        return None

    def error(self) -> InvalidInput | SeveralInvalid:
        """Return one error for all that was found; there is something."""
        return self.found[0] if len(self.found) == 1 else SeveralInvalid(self.found)


@dataclass(frozen=True, slots=True)
class Given:
    """What was declared of one thing, and what turned out to be wrong with it."""

    fields: Mapping[str, object]
    name: str  #: what problems are named after
    problems: Problems

    def take(self, field: str, parse: Callable[[object, str], Parsed], default: Parsed) -> Parsed:
        """Return the field as parsed; ``default`` where it was left out, or is wrong."""
        if field not in self.fields:
            return default
        parsed = self.problems.collect(lambda: parse(self.fields[field], f"{self.name}.{field}"))
        return default if parsed is None else parsed
