"""The session that a request belongs to."""

from typing import Annotated

from fastapi import Depends, Request

from reconciler.domain.access import Session
from reconciler.domain.errors import AccessDenied
from reconciler.web.auth import SESSION


def session_of(request: Request) -> Session | None:
    """Return it; None for who shows a token, or comes by the unix socket."""
    found = request.scope.get(SESSION)
    return found if isinstance(found, Session) else None


async def _needed(request: Request) -> Session:
    found = session_of(request)
    if found is None:
        raise AccessDenied("this is for somebody who signed in with a browser")
    return found


#: The session of whoever asks; others are refused.
Own = Annotated[Session, Depends(_needed)]
