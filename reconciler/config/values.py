"""How one value is read: from TOML with its type, from the environment as text."""

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

from reconciler.domain.access import Role
from reconciler.domain.errors import InvalidInput
from reconciler.domain.forge import WebAddress
from reconciler.domain.forwarded import Network
from reconciler.domain.references import (
    BranchName,
    GitUrl,
    ProjectName,
    RepositoryPath,
    parse_project_name,
    parse_repository_path,
)
from reconciler.domain.secret import Secret
from reconciler.domain.settings import Setting

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
_ADDRESS = re.compile(rf"(?P<host>{_HOST.pattern})(?::(?P<port>[0-9]{{1,5}}))?")
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_SWITCH_WORDS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


#: Headers that browsers, proxies or clients give a meaning of their own.
_TAKEN_HEADERS = frozenset({"authorization", "cookie", "host", "origin", "forwarded"})

Parsed = TypeVar("Parsed")


@dataclass(frozen=True, slots=True)
class Listen:
    """A TCP address to listen on."""

    host: str  #: without brackets, also for IPv6
    port: int  #: 0: any free one

    @property
    def loopback(self) -> bool:
        """Whether only this machine reaches it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of setting. Both functions raise ``ValueError`` with what is wrong."""

    read: Callable[[object], object]  #: TOML value → the value that ``Config`` has
    #: Environment text → TOML value.
    from_text: Callable[[str], object] = str
    unit: str = ""
    secret: bool = False  #: whether a message may not show the value


def _read_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text in quotes")  # noqa: TRY004 - what callers catch
    if re.search(r"[\x00-\x1f\x7f]", value):
        raise ValueError("must not hold control characters")
    return value


def _read_path(value: object) -> Path | None:
    text = _read_text(value)
    if text and not text.startswith(("/", "~/")):
        raise ValueError("must be an absolute path, or begin with ~/")
    return Path(text) if text else None


def _read_whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("must be a whole number")  # noqa: TRY004 - what callers catch
    return value


def _read_switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004 - what callers catch
    return value


def _read_listen(value: object) -> Listen | None:
    text = _read_text(value)
    if not text:
        return None
    match = _ADDRESS.fullmatch(text)
    if not match or match["port"] is None or int(match["port"]) > 65535:
        raise ValueError("must be an address and a port, e.g. 127.0.0.1:8484 or [::1]:8484")
    return Listen(match["host"].strip("[]"), int(match["port"]))


def _read_registry(value: object) -> str:
    text = _read_text(value)
    if text and not _ADDRESS.fullmatch(text):
        raise ValueError("must be a host, or host:port, without https:// and without a path")
    return text.lower()


def _read_list(value: object, read: Callable[[object], str]) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError('must be a list, e.g. ["one", "two"]')  # noqa: TRY004 - what callers catch
    return tuple(read(item) for item in value)


def _read_host(value: object) -> str:
    text = _read_text(value)
    if not _HOST.fullmatch(text):
        raise ValueError("must hold host names, without https:// and without ports")
    return text.lower()


def _read_realm(value: object) -> str:
    registry, found, realm = _read_text(value).partition("=")
    if not found or not _ADDRESS.fullmatch(registry) or not _ADDRESS.fullmatch(realm):
        raise ValueError("must hold pairs like registry.example.com=auth.example.com")
    return f"{registry}={realm}".lower()


def _read_networks(value: object) -> tuple[Network, ...]:
    if not isinstance(value, list):
        raise ValueError('must be a list, e.g. ["127.0.0.1"]')  # noqa: TRY004 - what callers catch
    return tuple(_read_network(item) for item in value)


def _read_network(value: object) -> Network:
    text = _read_text(value)
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        raise ValueError(
            "must hold addresses and networks, e.g. 127.0.0.1 or 172.18.0.0/16"
        ) from None
    if network.prefixlen == 0:
        raise ValueError("must not hold every address there is: anybody could say who they are")
    return network


def _read_header(value: object) -> str:
    text = _read_text(value)
    if text and not _HEADER.fullmatch(text):
        raise ValueError("must be the name of a header, e.g. Remote-User")
    if text.lower() in _TAKEN_HEADERS:
        raise ValueError("is a header with a meaning of its own; choose another")
    return text.lower()


def _read_role(value: object) -> Role | None:
    text = _read_text(value)
    if text and text not in set(Role):
        raise ValueError(f"must be one of {', '.join(Role)}, or empty")
    return Role(text) if text else None


def _read_issuer(value: object) -> str:
    """Return it as it stands: what a provider calls itself is compared letter by letter."""
    text = _read_text(value)
    if text:
        address = _checked(WebAddress.parse, text)
        if address.scheme != "https" and not address.loopback:
            raise ValueError("must begin with https://: who is on the way could be anybody")
    return text


def _switch_of_text(text: str) -> object:
    return _SWITCH_WORDS.get(text.strip().lower(), text)


def _whole_of_text(text: str) -> object:
    digits = text.strip()
    return int(digits) if re.fullmatch(r"-?[0-9]{1,18}", digits) else text


def _list_of_text(text: str) -> object:
    return [part.strip() for part in text.split(",") if part.strip()]


def _realms(value: object) -> tuple[tuple[str, str], ...]:
    pairs = (pair.partition("=") for pair in _read_list(value, _read_realm))
    return tuple((registry, realm) for registry, _, realm in pairs)


def _read_repository(value: object) -> GitUrl | ProjectName | None:
    text = _read_text(value)
    if not text:
        return None
    if ":" in text or "/" in text:
        parse = partial(GitUrl.parse, credentials="set fleet_user and fleet_token instead")
        return _checked(parse, text)
    return _checked(parse_project_name, text)


def _read_url(value: object) -> WebAddress | None:
    text = _read_text(value)
    return _checked(WebAddress.parse, text) if text else None


def _parse_path(text: str) -> RepositoryPath:
    return parse_repository_path(text, "path")


def _checked(parse: Callable[[str], Parsed], text: str) -> Parsed:
    try:
        return parse(text)
    except InvalidInput as error:
        raise ValueError(error.problem) from error


TEXT = Kind(_read_text)
SECRET = Kind(lambda value: Secret.of(_read_text(value)), secret=True)
PATH = Kind(_read_path)  #: None for an empty text
WHOLE = Kind(_read_whole, _whole_of_text)
SECONDS = Kind(lambda value: timedelta(seconds=_read_whole(value)), _whole_of_text, unit="seconds")
SWITCH = Kind(_read_switch, _switch_of_text)
LISTEN = Kind(_read_listen)  #: None for an empty text
REGISTRY = Kind(_read_registry)
URL = Kind(_read_url)  #: None for an empty text
REPOSITORY = Kind(_read_repository)  #: None for an empty text
BRANCH = Kind(lambda value: _checked(BranchName.parse, _read_text(value)))
REPOSITORY_PATH = Kind(lambda value: _checked(_parse_path, _read_text(value)))
HOSTS = Kind(lambda value: _read_list(value, _read_host), _list_of_text)
REGISTRIES = Kind(lambda value: _read_list(value, _read_registry), _list_of_text)
NETWORKS = Kind(_read_networks, _list_of_text)
HEADER = Kind(_read_header)  #: in lower case
ROLE = Kind(_read_role)  #: None for an empty text
ISSUER = Kind(_read_issuer)
REALMS = Kind(_realms, _list_of_text)  #: (registry, host of its token server), as given


def one_of(choices: Sequence[str]) -> Kind:
    """Return the kind that takes one of a few words."""

    def read(value: object) -> str:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return str(value)

    return Kind(read)


def live_setting(setting: Setting) -> Kind:
    """Return the kind that takes what ``setting`` allows."""

    def read(value: object) -> bool | int:
        try:
            return setting.parse(value)
        except InvalidInput as error:
            raise ValueError(error.problem) from error

    if isinstance(setting.default, bool):
        return Kind(read, _switch_of_text)
    return Kind(read, _whole_of_text, unit="seconds")
