"""Who may come in."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from reconciler.domain.access import AccessToken


class TokenStore(Protocol):
    """Access tokens, of which only the SHA-256 is kept."""

    def add_token(self, token: AccessToken, digest: str) -> None:
        """Keep a token. Raises ``AlreadyExists`` for the name."""
        ...

    def find_token(self, digest: str, now: datetime) -> AccessToken | None:
        """Return the token with this SHA-256, unless it has expired; its use is noted."""
        ...

    def list_tokens(self) -> Sequence[AccessToken]:
        """Return all tokens, by name."""
        ...

    def remove_token(self, name: str) -> None:
        """Delete it, with what its requests were answered. Raises ``NotFound``."""
        ...
