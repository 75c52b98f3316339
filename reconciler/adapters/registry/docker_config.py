"""Docker's own ``config.json``: passwords, identity tokens, and which helper keeps which.

Source: docker/cli, ``cli/config/configfile`` and "docker login", "Credential stores".
"""

import base64
import binascii
import json
import logging
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.domain.references import DOCKER_HUB
from reconciler.domain.secret import Secret
from reconciler.ports import RegistryCredentials

_log = logging.getLogger(__name__)

#: Docker Hub's key in config.json and its name for credential helpers.
DOCKER_HUB_KEY = "https://index.docker.io/v1/"
_LARGEST_FILE_BYTES = 1 << 20
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_KEY = re.compile(r"(?:https?://)?(?P<host>[^/]+)(?:/|/v1/?|/v2/?)?")
_HUB_NAMES = frozenset({DOCKER_HUB, "index.docker.io", "registry-1.docker.io"})


@dataclass(frozen=True, slots=True)
class DockerConfig:
    """What the file says, by registry host as image references name it."""

    passwords: Mapping[str, RegistryCredentials] = field(default_factory=dict)
    helpers: Mapping[str, str] = field(default_factory=dict)
    store: str = ""  #: the helper for all other hosts; empty: none

    def helper(self, host: str) -> str:
        """Return the name of the helper that keeps the credentials of ``host``; empty: none."""
        return self.helpers.get(host, self.store)


class DockerConfigFile:
    """The file as it is now: read again whenever it changed. Threads may share it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._seen: object = None
        self._config = DockerConfig()

    def read(self) -> DockerConfig:
        """Return what it says; what can't be used of it is logged once, and left out."""
        with self._lock:
            try:
                facts = self._path.stat()
                seen: object = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
            except OSError as error:
                seen = type(error)
            if seen != self._seen:
                self._seen, self._config = seen, self._load()
            return self._config

    def _load(self) -> DockerConfig:
        try:
            with self._path.open("rb") as file:
                content = file.read(_LARGEST_FILE_BYTES + 1)
        except FileNotFoundError:
            return DockerConfig()
        except OSError as error:
            return self._without(f"can't be read: {error.strerror}")
        if len(content) > _LARGEST_FILE_BYTES:
            return self._without(f"is larger than {_LARGEST_FILE_BYTES} bytes")
        try:
            said = json.loads(content)
        except (ValueError, RecursionError):
            # The parser's own message could quote a password.
            return self._without("is not JSON")
        if not isinstance(said, dict):
            return self._without("is not a JSON object")
        return DockerConfig(self._passwords(said), self._helpers(said), self._store(said))

    def _passwords(self, said: Mapping[str, object]) -> dict[str, RegistryCredentials]:
        found: dict[str, RegistryCredentials] = {}
        for key, entry in self._table(said, "auths").items():
            host = find_registry_host(key)
            if host is None or not isinstance(entry, dict):
                self._warn(f"auths: {key[:80]!r} is not a registry and its credentials")
                continue
            try:
                credentials = _credentials(host, entry)
            except ValueError:
                self._warn(f"auths: {key[:80]!r}: `auth` is not base64 of user:password")
                continue
            # The plain name is what Docker itself looks for first.
            if credentials is not None and (host not in found or key == host):
                found[host] = credentials
        return found

    def _helpers(self, said: Mapping[str, object]) -> dict[str, str]:
        found: dict[str, str] = {}
        for key, name in self._table(said, "credHelpers").items():
            host = find_registry_host(key)
            if host is None or not isinstance(name, str) or not _HELPER.fullmatch(name):
                self._warn(f"credHelpers: {key[:80]!r} does not name a helper")
                continue
            found[host] = name
        return found

    def _store(self, said: Mapping[str, object]) -> str:
        name = said.get("credsStore") or ""
        if not isinstance(name, str) or (name and not _HELPER.fullmatch(name)):
            self._warn("credsStore does not name a helper")
            return ""
        return name

    def _table(self, said: Mapping[str, object], key: str) -> Mapping[str, object]:
        table = said.get(key) or {}
        if isinstance(table, dict):
            return table
        self._warn(f"{key} is not an object")
        return {}

    def _without(self, problem: str) -> DockerConfig:
        self._warn(f"{problem}; its credentials are not used")
        return DockerConfig()

    def _warn(self, problem: str) -> None:
        _log.warning("%s: %s", self._path, problem)


def find_registry_host(text: str) -> str | None:
    """Return the host of a registry as image references name it; None if ``text`` names none.

    Takes what config.json and operators write: ``host``, ``https://host``, ``https://host/v2/``.
    """
    match = _KEY.fullmatch(text.strip())
    if match is None:
        return None
    host = match["host"].lower()
    return DOCKER_HUB if host in _HUB_NAMES else host


def _credentials(host: str, entry: Mapping[str, object]) -> RegistryCredentials | None:
    """Return what an entry holds; None where a helper keeps it.

    Raises:
        ValueError: its ``auth`` can't be read.
    """
    username, password = _decoded(entry)
    token = entry.get("identitytoken")
    if isinstance(token, str) and token:
        return RegistryCredentials(host, username, Secret.of(token), identity_token=True)
    if not (username and password):
        return None
    return RegistryCredentials(host, username, Secret.of(password))


def _decoded(entry: Mapping[str, object]) -> tuple[str, str]:
    auth = entry.get("auth")
    if not auth:
        username, password = entry.get("username"), entry.get("password")
        both = isinstance(username, str) and isinstance(password, str)
        return (str(username), str(password)) if both else ("", "")
    try:
        text = base64.b64decode(str(auth), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise ValueError("not base64") from None
    username, colon, password = text.partition(":")
    if not colon:
        raise ValueError("no colon")
    # Docker itself strips the NUL bytes that old versions padded with.
    return username, password.strip("\0")
