"""What a form of a page of ours holds, and where it leads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse

from reconciler.domain.errors import InvalidInput, ReconcilerError, SeveralInvalid
from reconciler.domain.version import Expected
from reconciler.web.own_pages import FORM, media_type, parse_form, require_own
from reconciler.web.problems import problem_of


async def _fields(request: Request) -> Mapping[str, str]:
    """Return what a form of ours holds.

    Raises:
        ForeignRequest: it is none of ours. ``InvalidInput``: it is no form.
    """
    require_own(request.scope)
    if media_type(Headers(scope=request.scope)) != FORM:
        raise InvalidInput("content-type", None, f"must be {FORM}")
    return parse_form(await request.body())


#: The field of a form that holds the version of what it showed.
SEEN = "seen"
#: The fields of the form that is sent; of one that comes twice, the last.
Fields = Annotated[Mapping[str, str], Depends(_fields)]


@dataclass(frozen=True, slots=True)
class Refused:
    """A form that was sent in vain: what is wrong with it, and what was typed."""

    error: ReconcilerError | None = None  #: None: none was sent
    given: Mapping[str, str] = field(default_factory=dict)
    form: str = ""  #: which one of its page


#: A page whose forms nobody has sent.
NOTHING_REFUSED = Refused()


def expected_by(fields: Mapping[str, str]) -> Expected:
    """Return what a form was filled in for: nothing else is changed by it."""
    return Expected(frozenset({fields.get(SEEN, "")}))


def by_field(error: ReconcilerError | None) -> Mapping[str, ReconcilerError]:
    """Return what is wrong: name of a field → its error; what is of none is under ``""``."""
    several = error.problems if isinstance(error, SeveralInvalid) else (error,) if error else ()
    return {one.evidence.get("field", ""): one for one in several}


def go(path: str) -> RedirectResponse:
    """Lead to the page that shows what came of it."""
    return RedirectResponse(path, 303)


def status_of(error: ReconcilerError | None) -> int:
    """Return the status of a page that says what went wrong, or that nothing did."""
    return problem_of(error).status if error else 200
