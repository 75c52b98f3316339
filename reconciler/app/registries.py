"""How image registries are asked, and what each is shown."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from reconciler.adapters.registry.credentials import (
    CredentialChain,
    CredentialHelpers,
    configured_credentials,
)
from reconciler.adapters.registry.docker_config import DockerConfigFile
from reconciler.adapters.registry.oras_registry import OrasRegistry
from reconciler.config import Config
from reconciler.domain.errors import ReconcilerError
from reconciler.domain.failure import Failure
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import ProjectName
from reconciler.domain.state import RegistryTrouble
from reconciler.log import Redactor, fields
from reconciler.ports import Clock, CommandRunner, RegistryCredentials, Store
from reconciler.triggers.registry_probe import RegistryProbe

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RegistryParts:
    """What registries are asked with."""

    config: Config
    store: Store
    runner: CommandRunner
    clock: Clock
    redactor: Redactor


class Registries:
    """The client of all registries, and the credentials for each."""

    def __init__(self, parts: RegistryParts) -> None:
        config = parts.config
        self._redactor = parts.redactor
        self._store, self._clock = parts.store, parts.clock
        self._credentials = _credentials(parts)
        self.client = OrasRegistry(
            parts.clock,
            self.find_credentials,
            insecure_hosts=config.insecure_registries,
            approved_realms=config.allowed_realms,
            ca_bundle=config.registry_ca_file,
            time_limit=config.poll_timeout,
            on_cooling=self._remember,
        )
        for trouble in parts.store.list_registry_troubles():
            if trouble.until and trouble.goes_on(parts.clock.now()):
                self.client.recall(trouble)
        self.probe = RegistryProbe(
            self.client, config.registry_address, on_change=self._remember_probe
        )

    def find_credentials(
        self, host: str, project: ProjectName | None
    ) -> RegistryCredentials | None:
        """Return what a registry is shown, which no log then shows."""
        found = self._credentials.find(host, project)
        if found:
            self._redactor.register(found.password)
        return found

    def _remember(self, trouble: RegistryTrouble) -> None:
        """Record it, so that `why` can tell, after a restart as well. Raises nothing."""
        try:
            self._store.put_registry_trouble(trouble)
        except ReconcilerError as error:  # the look-up has an answer of its own to give
            _log.warning(
                "what %s said is not recorded: %s",
                trouble.host,
                error.message,
                extra=fields(code=error.code),
            )

    def _remember_probe(self, failure: Failure | None) -> None:
        """Record it. Raises ``StoreError``: the next probe tells again."""
        host, code = self.probe.host, ReasonCode.REGISTRY_UNREACHABLE
        if failure is not None:
            trouble = RegistryTrouble(host, code, failure.message, self._clock.now())
            self._store.put_registry_trouble(trouble)
        else:
            self._store.drop_registry_trouble(host, code)


def _credentials(parts: RegistryParts) -> CredentialChain:
    config = parts.config
    home = os.environ.get("HOME", "")
    folder = os.environ.get("DOCKER_CONFIG") or f"{home}/.docker"
    return CredentialChain(
        parts.store.registry_credentials,
        configured_credentials(
            config.registry_address, config.registry_user, config.registry_password
        ),
        DockerConfigFile(Path(folder) / "config.json"),
        CredentialHelpers(parts.runner, parts.clock, {"HOME": home}),
    )
