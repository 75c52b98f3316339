"""Forges whose API we call."""

from reconciler.domain.errors.base import Recovery
from reconciler.domain.errors.sources import SourceError, SourceThrottled


class ForgeError(SourceError):
    """A forge's API did not do what it was asked."""

    code = "forge-error"


class ForgeUnreachable(ForgeError):
    """No answer in time, a refused connection, no trusted TLS, or a 5xx answer."""

    code = "forge-unreachable"
    remedy = "look at the address of the forge (`--forge-url`), and try again"


class ForgeDenied(ForgeError):
    """The access token was refused, or is not enough."""

    code = "forge-denied"
    recovery = Recovery.OPERATOR

    def __init__(self, message: str, remedy: str, **evidence: str) -> None:
        super().__init__(message, **evidence)
        self.remedy = remedy


class ForgeRepositoryMissing(ForgeError):
    """There is no such repository, or the token may not see it."""

    code = "forge-repository-missing"
    recovery = Recovery.OPERATOR

    def __init__(self, message: str, remedy: str, **evidence: str) -> None:
        super().__init__(message, **evidence)
        self.remedy = remedy


class ForgeRefused(ForgeError):
    """The forge does not take it, e.g. a webhook's address; the message has its own words."""

    code = "forge-refused"
    recovery = Recovery.OPERATOR


class ForgeThrottled(SourceThrottled, ForgeError):
    """The forge asks to be left alone for ``retry_after``."""

    code = "forge-throttled"


class ForgeProtocolError(ForgeError):
    """An answer that is none of a forge's API: HTML, too large, a redirect."""

    code = "forge-protocol-error"
    recovery = Recovery.OPERATOR
    remedy = "look at the address of the forge (`--forge-url`) and which one it is (`--provider`)"
