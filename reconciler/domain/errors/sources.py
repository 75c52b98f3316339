"""Where revisions come from."""

from datetime import timedelta

from reconciler.domain.errors.base import ReconcilerError, Recovery


class SourceError(ReconcilerError):
    """A git server or registry did not give what was asked."""

    code = "source-error"
    recovery = Recovery.RETRY


class SourceUnreachable(SourceError):
    """No answer in time, a refused connection, or a 5xx answer."""

    code = "source-unreachable"


class SourceThrottled(SourceError):
    """The server asks to be left alone for ``retry_after``."""

    code = "source-throttled"

    def __init__(self, message: str, retry_after: timedelta, **evidence: str) -> None:
        super().__init__(message, **evidence)
        self.retry_after = retry_after


class SourceDenied(SourceError):
    """Our credentials were refused, or some are needed and there are none."""

    code = "source-denied"
    recovery = Recovery.OPERATOR
    remedy = "store credentials that may read it: `reconciler secret set`"


class SourceProtocolError(SourceError):
    """An answer that is not one: HTML, cut short, too large, another content type."""

    code = "source-protocol-error"


class SourceRedirected(SourceError):
    """The server sends us to another host, where our credentials do not belong."""

    code = "source-redirected"
    recovery = Recovery.OPERATOR
    remedy = "if the repository moved, give the project its new URL"


class HostKeyMismatch(SourceError):
    """The SSH host key is not the pinned one."""

    code = "host-key-changed"
    recovery = Recovery.OPERATOR
    remedy = "find out why it changed before you pin the new one"


class RevisionNotFound(SourceError):
    """The branch, commit, file or image does not exist there."""

    code = "revision-not-found"
    recovery = Recovery.STALL


class CommitNotFound(RevisionNotFound):
    """The source does not have that very commit, or not any more."""

    remedy = "push it, or name one that the source has; without one, the branch's tip is deployed"
