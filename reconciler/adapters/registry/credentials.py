"""Whom to be at a registry: credentials are chosen per host, and stay with it."""

import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from reconciler.adapters.registry.docker_config import (
    DOCKER_HUB_KEY,
    DockerConfigFile,
    find_registry_host,
)
from reconciler.domain.errors import ReconcilerError
from reconciler.domain.references import DOCKER_HUB, ProjectName
from reconciler.domain.secret import Secret
from reconciler.ports import Clock, Command, CommandRunner, RegistryCredentials

_log = logging.getLogger(__name__)

_HELPER_TIMEOUT = timedelta(seconds=10)
_KEPT_FOR = timedelta(minutes=5)
_FAILURE_KEPT_FOR = timedelta(minutes=1)
_LARGEST_ANSWER_BYTES = 65536
#: What a helper prints when it has nothing (docker-credential-helpers, ``credentials/error.go``).
_NOTHING = "credentials not found"
#: The user name by which a helper says that its secret is an identity token.
_IDENTITY_TOKEN = "<token>"  # noqa: S105  a marker, not a token

#: Takes a registry host and a project; returns what is stored for them, if anything.
StoredCredentials = Callable[[str, ProjectName | None], RegistryCredentials | None]


def configured_credentials(
    address: str, username: str, password: Secret
) -> RegistryCredentials | None:
    """Return ``REGISTRY_ADDR`` with its user; None if it names no registry or no user."""
    host = find_registry_host(address)
    if not host or not username:
        return None
    return RegistryCredentials(host, username, password)


class CredentialChain:
    """Chooses credentials: stored ones, configured ones, Docker's helpers and file, or none.

    Threads may share it. Nothing is sent anywhere here.
    """

    def __init__(
        self,
        stored: StoredCredentials,
        configured: RegistryCredentials | None = None,
        docker_config: DockerConfigFile | None = None,
        helpers: "CredentialHelpers | None" = None,
    ) -> None:
        self._stored = stored
        self._configured = configured
        self._docker_config = docker_config
        self._helpers = helpers

    def find(self, host: str, project: ProjectName | None = None) -> RegistryCredentials | None:
        """Return whom to be at ``host``; None for nobody in particular.

        Args:
            host: as image references name it.
            project: whose stored credentials come first.
        """
        if stored := self._stored(host, project):
            return _bound(stored, host)
        if self._configured is not None and self._configured.host == host:
            return self._configured
        if self._docker_config is None:
            return None
        config = self._docker_config.read()
        name = config.helper(host)
        if name and self._helpers is not None and (found := self._helpers.find(name, host)):
            return found
        return config.passwords.get(host)


def _bound(stored: RegistryCredentials, host: str) -> RegistryCredentials | None:
    """Return ``stored`` if it belongs to ``host``, under whichever of its names."""
    return replace(stored, host=host) if find_registry_host(stored.host) == host else None


@dataclass(slots=True)
class _Kept:
    lock: threading.Lock = field(default_factory=threading.Lock)
    until: float = 0.0  #: monotonic seconds
    credentials: RegistryCredentials | None = None


class CredentialHelpers:
    """Runs ``docker-credential-NAME get``, and keeps what it said for a few minutes.

    Args:
        runner: runs them; their ``PATH`` is the runner's.
        clock: time.
        environment: what helpers see, e.g. ``HOME``; they often keep their own settings there.

    Source: docker-credential-helpers, README, "Development".
    """

    def __init__(
        self, runner: CommandRunner, clock: Clock, environment: Mapping[str, str] | None = None
    ) -> None:
        self._runner = runner
        self._clock = clock
        self._environment = dict(environment or {})
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], _Kept] = {}

    def find(self, name: str, host: str) -> RegistryCredentials | None:
        """Return what helper ``name`` has for ``host``; None if nothing, or it failed (logged)."""
        with self._lock:
            kept = self._kept.setdefault((name, host), _Kept())
        with kept.lock:
            if self._clock.monotonic() >= kept.until:
                kept.credentials, keep_for = self._ask(name, host)
                kept.until = self._clock.monotonic() + keep_for.total_seconds()
            return kept.credentials

    def _ask(self, name: str, host: str) -> tuple[RegistryCredentials | None, timedelta]:
        program = f"docker-credential-{name}"
        command = Command(
            (program, "get"),
            env=self._environment,
            stdin=Secret.of(DOCKER_HUB_KEY if host == DOCKER_HUB else host),
            timeout=_HELPER_TIMEOUT,
            output_limit_bytes=_LARGEST_ANSWER_BYTES,
        )
        try:
            result = self._runner.run(command)
        except ReconcilerError as error:
            return self._failed(program, host, error.message)
        if result.ok:
            found = _parse_answer(host, result.stdout)
            return (found, _KEPT_FOR) if found else self._failed(program, host, "it gave none")
        if _NOTHING in result.stdout.lower():
            return None, _KEPT_FOR
        if result.timed_out:
            return self._failed(program, host, "it did not answer in time")
        # Never its output: that may hold the secret.
        return self._failed(program, host, f"it ended with exit status {result.exit_status}")

    @staticmethod
    def _failed(program: str, host: str, problem: str) -> tuple[None, timedelta]:
        _log.warning("%s: no credentials for %s: %s", program, host, problem)
        return None, _FAILURE_KEPT_FOR


def _parse_answer(host: str, text: str) -> RegistryCredentials | None:
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(answer, dict):
        return None
    username, secret = answer.get("Username"), answer.get("Secret")
    if not isinstance(username, str) or not isinstance(secret, str) or not secret:
        return None
    if username == _IDENTITY_TOKEN:
        return RegistryCredentials(host, "", Secret.of(secret), identity_token=True)
    return RegistryCredentials(host, username, Secret.of(secret))
