"""Tells forges how commits fare: from the outbox, and never in a deployment's way."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from reconciler.domain.commit_status import CommitState, CommitStatus, context_of, find_forge
from reconciler.domain.errors import (
    ForgeDenied,
    ForgeError,
    ForgeThrottled,
    ReconcilerError,
    Recovery,
)
from reconciler.domain.failure import Failure
from reconciler.domain.forge import WebAddress
from reconciler.domain.polling import time_until_next_attempt
from reconciler.domain.project import Project
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.log import fields
from reconciler.pipeline.reasons import with_remedy
from reconciler.ports import Clock, Forges, Message, Store

_log = logging.getLogger(__name__)

#: Far longer than any call of ``Forges`` takes: nobody sends what another may still be sending.
_LEASE = timedelta(minutes=2)
_LONGEST_WAIT = timedelta(minutes=5)
#: Nobody looks at what a commit was a day ago.
_PATIENCE = timedelta(days=1)
#: A daemon that ends waits for no more than those.
_MOST_IN_A_PASS = 20


@dataclass(frozen=True, slots=True)
class _Rest:
    """That a forge is left alone, whatever waits for it."""

    until: datetime
    because: str


@dataclass(slots=True)
class CommitStatuses:
    """Sends what waits. One pass runs at a time; several replicas may share the outbox."""

    store: Store
    clock: Clock
    forges: Forges
    owner: str
    public_url: WebAddress | None  #: of this daemon; None: statuses link to nothing
    spread: Callable[[], float]  #: a random number from 0 to 1
    _rests: dict[str, _Rest] = field(default_factory=dict)  #: by the address of the API

    def send(self) -> None:
        """Send what is due, one after another."""
        for _ in range(_MOST_IN_A_PASS):
            message = self.store.claim_status(self.owner, lease=_LEASE)
            if message is None:
                return
            try:
                self._tell(message)
            except ReconcilerError as error:
                self._leave(message, error)
            except Exception as bug:  # noqa: BLE001
                # It would come again and again, and end the pass for those behind it.
                _log.exception("commit status %d failed unexpectedly", message.id)
                self.store.settle_message(message, self.owner, f"unexpected: {type(bug).__name__}")
            else:
                self.store.settle_message(message, self.owner)

    def _tell(self, message: Message) -> None:
        project = self.store.get_project(ProjectName(message.project))
        if not project.commit_statuses:  # switched off meanwhile
            return
        repository = find_forge(project)
        now, rest = self.clock.now(), self._rests.get(repository.api)
        if rest and now < rest.until:
            raise ForgeThrottled(rest.because, rest.until - now)
        token = self.store.find_forge_token(project.name, repository.origin)
        if token is None:
            remedy = f"`reconciler secret set {project.name} forge-token` stores one"
            raise ForgeDenied(f"there is no token for {repository.origin}", remedy)
        try:
            self.forges.put_status(repository, token, self._status(project, message))
        except ForgeError as error:
            if error.recovery is Recovery.RETRY:
                until = self.clock.now() + self._wait(message, error)
                self._rests[repository.api] = _Rest(until, error.message)
            raise

    def _status(self, project: Project, message: Message) -> CommitStatus:
        link = f"{self.public_url}/deployments/{message.deployment}" if self.public_url else ""
        body = message.body
        return CommitStatus(
            commit=CommitSha(body["commit"]),
            state=CommitState(body["state"]),
            description=body["description"],
            context=context_of(project),
            url=link,
        )

    def _leave(self, message: Message, error: ReconcilerError) -> None:
        """Put it off where time helps, else give it up."""
        now = self.clock.now()
        failure = Failure.of(error, message.project)
        said = with_remedy(failure.message, failure)
        if error.recovery is Recovery.RETRY and now - message.created_at < _PATIENCE:
            not_before = now + self._wait(message, error)
            self.store.put_off_message(message, self.owner, not_before, said)
            return
        self.store.settle_message(message, self.owner, said)
        told = {"project": message.project, "deployment": message.deployment, "code": error.code}
        _log.warning("commit status given up: %s", said, extra=fields(**told))

    def _wait(self, message: Message, error: ReconcilerError) -> timedelta:
        if isinstance(error, ForgeThrottled):
            return error.retry_after
        return min(time_until_next_attempt(message.attempts + 1, self.spread()), _LONGEST_WAIT)
