"""Lists in pages, the same way everywhere.

A cursor names the last thing of a page, and no place in the list: whatever is added or removed
meanwhile, nothing else comes twice or not at all.
"""

import base64
import binascii
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, Query

from reconciler.domain.errors import InvalidInput
from reconciler.web.schemas.body import MOST_NUMBER

Thing = TypeVar("Thing")

_MOST = 1000
_MOST_NEWEST = 500


@dataclass(frozen=True, slots=True)
class Page:
    """Which page is asked for."""

    limit: int
    cursor: str | None

    def by_name(
        self, things: Iterable[Thing], name: Callable[[Thing], str]
    ) -> tuple[Sequence[Thing], str | None]:
        """Return the page of ``things``, by their unique names, and the cursor of the next."""
        after = "" if self.cursor is None else _decoded(self.cursor)
        ahead = sorted((one for one in things if name(one) > after), key=name)
        return self.cut(ahead, name)

    def before(self) -> int | None:
        """Return the number that those of a page of the newest are below; None on the first.

        Raises:
            InvalidInput: the cursor is not one of such a list.
        """
        if self.cursor is None:
            return None
        text = _decoded(self.cursor)
        if not (text.isascii() and text.isdecimal() and 0 < int(text[:20]) <= MOST_NUMBER):
            raise _unknown(self.cursor)
        return int(text)

    def cut(
        self, found: Sequence[Thing], key: Callable[[Thing], str | int]
    ) -> tuple[Sequence[Thing], str | None]:
        """Return the first ``limit`` of ``found``, and the next cursor where there were more."""
        shown = found[: self.limit]
        return shown, _encoded(str(key(shown[-1]))) if len(found) > self.limit else None


_Cursor = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=1000,
        description="`next` of the page before; the first page has none.",
        examples=["c2hvcA"],
    ),
]


async def _page(
    limit: Annotated[
        int, Query(ge=1, le=_MOST, description="How many at most.", examples=[100])
    ] = _MOST,
    cursor: _Cursor = None,
) -> Page:
    return Page(limit, cursor)


async def _page_of_newest(
    limit: Annotated[
        int, Query(ge=1, le=_MOST_NEWEST, description="How many at most.", examples=[50])
    ] = 50,
    cursor: _Cursor = None,
) -> Page:
    return Page(limit, cursor)


#: Page of a list by name; without a limit it is all that there usually is.
Paged = Annotated[Page, Depends(_page)]
#: Page of a list of what happened, the newest first.
NewestPaged = Annotated[Page, Depends(_page_of_newest)]


def _encoded(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def _decoded(cursor: str) -> str:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise _unknown(cursor) from None


def _unknown(cursor: str) -> InvalidInput:
    return InvalidInput("cursor", cursor, "is not `next` of a page of this list")
