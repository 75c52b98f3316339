"""How image registries are asked, and what each is shown."""

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
from reconciler.domain.references import ProjectName
from reconciler.log import Redactor
from reconciler.ports import Clock, CommandRunner, RegistryCredentials, SecretStore
from reconciler.triggers.registry_probe import RegistryProbe


@dataclass(frozen=True, slots=True)
class RegistryParts:
    """What registries are asked with."""

    config: Config
    store: SecretStore
    runner: CommandRunner
    clock: Clock
    redactor: Redactor


class Registries:
    """The client of all registries, and the credentials for each."""

    def __init__(self, parts: RegistryParts) -> None:
        config = parts.config
        self._redactor = parts.redactor
        self._credentials = _credentials(parts)
        self.client = OrasRegistry(
            parts.clock,
            self.find_credentials,
            insecure_hosts=config.insecure_registries,
            approved_realms=config.allowed_realms,
            ca_bundle=config.registry_ca_file,
            time_limit=config.poll_timeout,
        )
        self.probe = RegistryProbe(self.client, config.registry_address)

    def find_credentials(
        self, host: str, project: ProjectName | None
    ) -> RegistryCredentials | None:
        """Return what a registry is shown, which no log then shows."""
        found = self._credentials.find(host, project)
        if found:
            self._redactor.register(found.password)
        return found


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
