"""How somebody likes their pages: kept in a cookie of the browser that they read them with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self, cast
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import Request
from starlette.responses import Response

from reconciler.web.cookies import keep, read

COOKIE = "reconciler-reader"
_LONGEST = 200
_KEPT_SECONDS = 365 * 24 * 3600

Theme = Literal["", "light", "dark"]


@dataclass(frozen=True, slots=True)
class Reader:
    """What somebody chose."""

    theme: Theme = ""  #: empty: as their system has it
    compact: bool = False
    zone: str = "UTC"
    exact_times: bool = False
    keys: bool = True  #: whether single letters act

    @property
    def zone_info(self) -> ZoneInfo:
        """Their time zone."""
        return ZoneInfo(self.zone)

    @property
    def text(self) -> str:
        """What the cookie holds."""
        chosen = {
            "theme": self.theme,
            "compact": "1" if self.compact else "",
            "zone": self.zone,
            "exact": "1" if self.exact_times else "",
            "keys": "" if self.keys else "off",
        }
        return urlencode({name: value for name, value in chosen.items() if value})

    def keep(self, request: Request, response: Response) -> None:
        """Have the browser keep it."""
        keep(request, response, COOKIE, self.text, _KEPT_SECONDS)

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return what the request's cookie says."""
        text = read(request.scope, COOKIE)
        try:
            # What has `=` in it is quoted in a cookie. Source: RFC 6265, section 4.1.1.
            given = dict(parse_qsl(text[:_LONGEST].strip('"'), max_num_fields=8))
        except ValueError:  # more fields than we ever wrote
            given = {}
        return cls.of_fields(given)

    @classmethod
    def of_fields(cls, given: Mapping[str, str]) -> Self:
        """Return what was chosen; what can't be read of it is as usual."""
        theme = given.get("theme", "")
        return cls(
            theme=cast("Theme", theme) if theme in {"light", "dark"} else "",
            compact=given.get("compact") == "1",
            zone=known_zone(given.get("zone", "")) or "UTC",
            exact_times=given.get("exact") == "1",
            keys=given.get("keys") != "off",
        )


def known_zone(name: str) -> str:
    """Return ``name``; empty where there is no such time zone."""
    try:
        return ZoneInfo(name).key if name else ""
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ""
