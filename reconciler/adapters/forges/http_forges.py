"""``Forges`` over HTTP: whichever family it is, one conversation a call."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from reconciler.adapters.deadline import Deadline
from reconciler.adapters.forges import gitea, github, gitlab
from reconciler.adapters.forges.conversation import Caller, Conversation
from reconciler.adapters.forges.hooks import Family, put_hook
from reconciler.adapters.forges.statuses import DIALECTS, put_status
from reconciler.adapters.timed_connections import timed_pool
from reconciler.domain.commit_status import CommitStatus
from reconciler.domain.errors import ForgeRepositoryMissing
from reconciler.domain.forge import ForgeRepository
from reconciler.domain.secret import Secret
from reconciler.domain.webhook import Provider
from reconciler.log import Redactor
from reconciler.ports import Clock, ForgeHook, PutHook

LIMIT = timedelta(seconds=15)

_FAMILIES: Mapping[Provider, Family] = {
    Provider.GITEA: gitea.GITEA,
    Provider.FORGEJO: gitea.FORGEJO,
    Provider.GOGS: gitea.GOGS,
    Provider.GITHUB: github.GITHUB,
    Provider.GITLAB: gitlab.GITLAB,
}


class HttpForges:
    """Asks any of them. Threads may share it; nothing is kept between two calls."""

    def __init__(
        self, clock: Clock, *, ca_file: Path | None = None, limit: timedelta = LIMIT
    ) -> None:
        """Take ``ca_file`` instead of the system's authorities; a call has ``limit`` in all."""
        self._clock = clock
        self._ca_file = ca_file
        self._limit = limit

    def put_hook(self, repository: ForgeRepository, token: Secret, hook: ForgeHook) -> PutHook:
        """See ``Forges.put_hook``."""
        with self._talk(repository, token, hook.secret) as talk:
            return put_hook(talk, _FAMILIES[repository.provider], hook)

    def test_hook(self, repository: ForgeRepository, token: Secret, hook_id: str) -> bool:
        """See ``Forges.test_hook``."""
        path = _FAMILIES[repository.provider].path_of(repository)
        test = _FAMILIES[repository.provider].test
        try:
            with self._talk(repository, token) as talk:
                talk.ask("POST", f"{path}/{hook_id}/{test}")
        except ForgeRepositoryMissing:  # an API without a test, as Gogs and old GitLabs have
            return False
        return True

    def remove_hook(self, repository: ForgeRepository, token: Secret, hook_id: str) -> None:
        """See ``Forges.remove_hook``."""
        path = _FAMILIES[repository.provider].path_of(repository)
        with self._talk(repository, token) as talk:
            try:
                talk.ask("DELETE", f"{path}/{hook_id}")
            except ForgeRepositoryMissing:
                # It is gone, as it should be; or the token may not even see the repository.
                talk.ask("GET", path)

    def put_status(self, repository: ForgeRepository, token: Secret, status: CommitStatus) -> None:
        """See ``Forges.put_status``."""
        dialect = DIALECTS[repository.provider]
        with self._talk(repository, token, scope=dialect.scope) as talk:
            put_status(talk, dialect, status)

    @contextmanager
    def _talk(
        self, repository: ForgeRepository, token: Secret, *hidden: Secret, scope: str = ""
    ) -> Iterator[Conversation]:
        family = _FAMILIES[repository.provider]
        redactor = Redactor()
        redactor.register(token, *hidden)
        caller = Caller(family.headers(token), scope or family.scope, redactor)
        deadline = Deadline.after(self._limit)
        # Made anew: calls are few, and the system's authorities take memory.
        pool = timed_pool(ca_file=self._ca_file, hosts=1, per_host=1)
        try:
            yield Conversation(pool, repository, caller, deadline, self._clock)
        finally:
            pool.clear()
