"""What an API server's refusal means for us."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

from reconciler.adapters.kubernetes.connection import Reply
from reconciler.domain.errors import (
    ChangedMeanwhile,
    CommandFailed,
    HostRefused,
    PreconditionFailed,
    ReconcilerError,
    TargetUnreachable,
)
from reconciler.domain.host import HostName
from reconciler.log import Redactor, plain, shorten

_LONGEST_SAID = 500
#: What passes: asked anew, it may be answered. A list's next page may be gone (410) meanwhile.
_PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.GONE, HTTPStatus.TOO_MANY_REQUESTS})


@dataclass(frozen=True, slots=True)
class Deed:
    """What is asked of a cluster, in the words of its access rules."""

    verb: str
    resource: str  #: e.g. ``deployments.apps``, ``pods/log``
    namespace: str
    name: str = ""

    def __str__(self) -> str:
        named = f" {self.name}" if self.name else ""
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.verb} {self.resource}{named}{where}"


@dataclass(frozen=True, slots=True)
class Refusals:
    """Turns what one cluster refuses into our errors."""

    cluster: HostName
    redactor: Redactor

    def error_of(self, deed: Deed, status: int, said: str) -> ReconcilerError:
        """Return what ``status`` means.

        Args:
            deed: what was asked.
            status: of HTTP, not a success.
            said: the message of the server's ``Status`` object, or what it answered instead.
        """
        said = self.shown(said)
        who, evidence = f"cluster {self.cluster}", self._evidence(deed, status, said)
        if status == HTTPStatus.UNAUTHORIZED:
            return self._not_let_in(evidence)
        if status == HTTPStatus.FORBIDDEN and _is_access_rule(said):
            error = HostRefused(f"{who} does not let us {deed}: {said}", **evidence)
            error.remedy = "grant it: packaging/kubernetes/rbac.yaml has the role that is needed"
            return error
        if status == HTTPStatus.NOT_FOUND:
            return PreconditionFailed(f"{who} can't {deed}: {said or 'not found'}", **evidence)
        if status == HTTPStatus.CONFLICT:
            return ChangedMeanwhile()
        if status < 400 or status in _PASSING or status >= 500:
            elsewhere = ", and would send us elsewhere" if status < 400 else ""
            problem = f"{who} can't {deed} now: answered {status}{elsewhere}"
            return TargetUnreachable(f"{problem}: {said}" if said else problem, **evidence)
        return CommandFailed(f"{who} refused to {deed}: {said or status}", **evidence)

    def no_answer(self, deed: Deed) -> TargetUnreachable:
        """Return the error of an answer that can't be read."""
        message = f"cluster {self.cluster} does not answer as an API server does ({deed})"
        return TargetUnreachable(message, **self._evidence(deed, 200, ""))

    def check(self, deed: Deed, reply: Reply) -> None:
        """Raise what an answer other than a success means."""
        if not 200 <= reply.status < 300:
            raise self.error_of(deed, reply.status, message_in(reply.body))

    @contextmanager
    def named(self, deed: Deed) -> Iterator[None]:
        """Say what lightkube's exceptions mean."""
        import httpx2
        from lightkube import ApiError

        try:
            yield
        except ApiError as error:
            raise self.error_of(
                deed, error.status.code or 500, error.status.message or ""
            ) from None
        except httpx2.HTTPStatusError as error:
            body = error.response.content
            raise self.error_of(deed, error.response.status_code, message_in(body)) from None
        except (httpx2.HTTPError, ValueError, TypeError, AttributeError, RecursionError):
            raise self.no_answer(deed) from None

    def shown(self, said: str) -> str:
        """Return what the server said, as it may stand in an error."""
        text = " ".join(plain(said[: 8 << 10]).split())
        return shorten(self.redactor.redact(text), _LONGEST_SAID)

    def _not_let_in(self, evidence: dict[str, str]) -> HostRefused:
        message = f"cluster {self.cluster} does not let us in: what we show is expired, or unknown"
        error = HostRefused(message, **evidence)
        error.remedy = f"give it another kubeconfig: `reconciler cluster kubeconfig {self.cluster}`"
        return error

    def _evidence(self, deed: Deed, status: int, said: str) -> dict[str, str]:
        return {
            "host": self.cluster,
            "verb": deed.verb,
            "resource": deed.resource,
            "namespace": deed.namespace,
            "status": str(status),
            "answer": said,
        }


def message_in(body: bytes) -> str:
    """Return the message of a ``Status`` object; the beginning of what is none."""
    try:
        status = json.loads(body)
    except (ValueError, RecursionError):
        return body[:300].decode(errors="replace")
    message = status.get("message") if isinstance(status, dict) else None
    return message if isinstance(message, str) else ""


def _is_access_rule(said: str) -> bool:
    """Tell RBAC's 403 from those of admission: only that one names the user and the verb."""
    return " cannot " in said and " resource " in said and "User " in said
