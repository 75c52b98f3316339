"""Signing in with an OpenID Connect provider: what binds its answer to the browser that began."""

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

#: In which a person signs in at the provider.
LASTS = timedelta(minutes=10)
_COOKIE = re.compile(r"([0-9]{1,12})\.([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class Flow:
    """One way to the provider and back. The browser alone keeps its secret, in a cookie.

    ``state``, ``nonce`` and ``verifier`` follow from it: none of them tells another one.
    """

    began: int  #: seconds since 1970
    secret: str = field(repr=False)

    @classmethod
    def begin(cls, now: datetime) -> "Flow":
        """Return a new one."""
        return cls(int(now.timestamp()), secrets.token_urlsafe(32))

    @classmethod
    def of_cookie(cls, text: str, now: datetime) -> "Flow | None":
        """Return the one that the browser began, unless that is too long ago."""
        match = _COOKIE.fullmatch(text)
        if match is None:
            return None
        age = now - datetime.fromtimestamp(min(int(match[1]), 1 << 36), UTC)
        flow = cls(int(match[1]), match[2])
        return flow if timedelta(0) - timedelta(minutes=1) <= age <= LASTS else None

    @property
    def cookie(self) -> str:
        """What the browser keeps."""
        return f"{self.began}.{self.secret}"

    @property
    def state(self) -> str:
        """What comes back through the browser."""
        return self._derived("state")

    @property
    def nonce(self) -> str:
        """What the provider signs."""
        return self._derived("nonce")

    @property
    def verifier(self) -> str:
        """What we show the provider for the code. Source: RFC 7636, section 4.1."""
        return self._derived("verifier")

    def is_ours(self, state: str) -> bool:
        """Tell whether ``state`` came back to the browser that began."""
        return hmac.compare_digest(state.encode(), self.state.encode())

    def _derived(self, what: str) -> str:
        digest = hmac.new(self.secret.encode(), f"{what}|{self.began}".encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest.digest()).decode().rstrip("=")
