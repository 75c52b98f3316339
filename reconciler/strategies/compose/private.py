"""Secrets on their way to compose: files in a folder that only we may enter, gone afterwards."""

import base64
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from reconciler.domain.references import DOCKER_HUB, ProjectName
from reconciler.domain.secret import Secret
from reconciler.ports import RegistryCredentials

#: Registry host and project → what the engine shows that registry when it pulls.
CredentialsFor = Callable[[str, ProjectName], RegistryCredentials | None]

_HUB_KEY = "https://index.docker.io/v1/"


class Private(Protocol):
    """A private folder on the machine where compose runs."""

    @property
    def folder(self) -> Path:
        """Where it is there."""
        ...

    def write(self, name: str, content: Secret) -> Path:
        """Write one new file that only we may read; return where it is."""
        ...


@dataclass(frozen=True, slots=True)
class PrivateHere:
    """``Private`` on this machine."""

    folder: Path

    def write(self, name: str, content: Secret) -> Path:
        """Write one new file; see ``Private``."""
        path = self.folder / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(content.reveal())
        return path


@contextmanager
def private_folder(parent: Path) -> Iterator[PrivateHere]:
    """Make a folder that only we may enter, and delete it with all it holds at the end.

    What a killed daemon left in ``parent`` is deleted first: nobody else uses it.
    """
    shutil.rmtree(parent, ignore_errors=True)
    parent.mkdir(parents=True, mode=0o700)
    try:
        yield PrivateHere(Path(tempfile.mkdtemp(dir=parent)))
    finally:
        shutil.rmtree(parent, ignore_errors=True)


def write_variables(private: Private, variables: Mapping[str, Secret]) -> Path:
    """Write the project's variables as an environment file that compose reads back unchanged."""
    lines = [f"{name}={_quoted(secret.reveal())}\n" for name, secret in variables.items()]
    return private.write("variables.env", Secret.of("".join(lines)))


def write_text(private: Private, name: str, text: str) -> Path:
    """Write what is no secret itself beside those that are."""
    return private.write(name, Secret.of(text))


def _quoted(value: str) -> str:
    escapes = {"\\": "\\\\", '"': '\\"', "$": "\\$", "\n": "\\n", "\r": "\\r"}
    return '"' + "".join(escapes.get(letter, letter) for letter in value) + '"'


def write_docker_config(private: Private, credentials: Iterable[RegistryCredentials]) -> Path:
    """Write the client configuration with each registry's own credentials; return its folder."""
    entries: dict[str, dict[str, str]] = {}
    for known in credentials:
        password = known.password.reveal()
        key = _HUB_KEY if known.host == DOCKER_HUB else known.host
        user = known.username or "<token>"
        if known.identity_token:
            entries[key] = {"auth": _base64(f"{user}:"), "identitytoken": password}
        else:
            entries[key] = {"auth": _base64(f"{user}:{password}")}
    return private.write("docker/config.json", Secret.of(json.dumps({"auths": entries}))).parent


def docker_config(
    private: Private, registries: Iterable[str], project: ProjectName, known: CredentialsFor
) -> Path:
    """Return the folder of a client configuration that lets ``project`` into ``registries``."""
    found = [known(host, project) for host in dict.fromkeys(registries)]
    shown = [one for one in found if one]
    return write_docker_config(private, shown) if shown else private.folder


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
