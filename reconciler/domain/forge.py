"""A repository at a forge: where its API is asked, and by which address the forge reaches us."""

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlsplit

from reconciler.domain.errors import InvalidInput
from reconciler.domain.references import CommitSha, GitScheme, GitUrl
from reconciler.domain.secret import Secret
from reconciler.domain.webhook import Provider

#: Forges whose API we know.
REGISTRABLE = (
    Provider.GITEA,
    Provider.FORGEJO,
    Provider.GOGS,
    Provider.GITHUB,
    Provider.GITLAB,
)
#: Host of a service on the internet → which forge it is, and where its API is.
_SERVICES = {
    "github.com": (Provider.GITHUB, "https://api.github.com"),
    "gitlab.com": (Provider.GITLAB, "https://gitlab.com/api/v4"),
}
#: Sources: the API references of Gitea, Forgejo, Gogs, GitHub Enterprise Server and GitLab.
_API_PATHS = {
    Provider.GITEA: "/api/v1",
    Provider.FORGEJO: "/api/v1",
    Provider.GOGS: "/api/v1",
    Provider.GITHUB: "/api/v3",
    Provider.GITLAB: "/api/v4",
}

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_PATH = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")
_REPOSITORY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)+")
_TOKEN = re.compile(r"[\x21-\x7e]{1,512}")
#: Names that only a local network knows.
_LOCAL_ENDINGS = (".local", ".internal", ".localdomain", ".lan", ".home.arpa")


@dataclass(frozen=True, slots=True)
class ForgeRepository:
    """A repository as its forge's API names it."""

    provider: Provider
    api: str  #: address of the API, without a slash at its end
    path: str  #: e.g. ``team/app``

    @property
    def origin(self) -> str:
        """Scheme, host and port of the API: whom a token is shown."""
        parts = urlsplit(self.api)
        return f"{parts.scheme}://{parts.netloc}"

    def __str__(self) -> str:
        return f"{self.path} at {self.api}"


@dataclass(frozen=True, slots=True)
class Registration:
    """That a forge was told of a webhook."""

    repository: ForgeRepository
    hook: str  #: the forge's own id of it
    url: str  #: where the forge sends to
    at: datetime


@dataclass(frozen=True, slots=True)
class WebAddress:
    """Scheme, host, port and path of a server, as people write it."""

    scheme: str
    host: str  #: without brackets
    port: int | None
    path: str  #: without a slash at its end

    @classmethod
    def parse(cls, text: str, field: str = "url") -> "WebAddress":
        """Return the address that ``text`` is.

        Raises:
            InvalidInput: not a plain ``http://`` or ``https://`` URL.
        """
        problem = "is not a plain URL like https://deploy.example.com"
        try:
            parts = urlsplit(text)
            port, host = parts.port, parts.hostname or ""
        except ValueError:
            raise InvalidInput(field, text, problem) from None
        if parts.username is not None or parts.password is not None:
            raise InvalidInput(field, None, "must hold no user name and no password")
        plain = parts.scheme in {"http", "https"} and not parts.query and not parts.fragment
        path = parts.path.rstrip("/")
        if not plain or port == 0 or not _PATH.fullmatch(path) or not _is_host(host):
            raise InvalidInput(field, text, problem)
        return cls(parts.scheme, host.lower(), port, path)

    @property
    def loopback(self) -> bool:
        """Whether it means the very machine or container that uses it."""
        ip = _ip(self.host)
        return ip.is_loopback if ip else self.host == "localhost"

    @property
    def local(self) -> bool:
        """Whether it means something in a local network only, as far as one can see."""
        ip = _ip(self.host)
        if ip is not None:
            return not ip.is_global
        return self.loopback or "." not in self.host or self.host.endswith(_LOCAL_ENDINGS)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}{f':{self.port}' if self.port else ''}{self.path}"


def find_repository(
    source: GitUrl, provider: str | None, forge_url: str | None, *, field: str = "provider"
) -> ForgeRepository:
    """Return what the forge's API calls the repository that is cloned from ``source``.

    Args:
        source: where it is cloned from.
        provider: which forge that is; None: as the host tells.
        forge_url: address of the forge, where it is not the source's own over https.
        field: what the caller calls ``provider``.

    Raises:
        InvalidInput: it can't be told, the API is not known, or it would be asked in clear text.
    """
    known = _known_provider(source, provider, field)
    root = WebAddress.parse(forge_url, "forge_url") if forge_url else _root_of(source)
    service = _SERVICES.get(root.host.removeprefix("api."))
    if service and service[0] is not known:
        raise InvalidInput(field, str(known), f"is not what {root.host} is: {service[0]}")
    api = service[1] if service else f"{root}{_API_PATHS[known]}"
    return ForgeRepository(known, api, _path_within(source, root.path, known))


def page_of_commit(
    source: GitUrl, provider: str | None, forge_url: str | None, commit: CommitSha
) -> str:
    """Return the address at which people look at a commit; empty where it can't be told."""
    try:
        repository = find_repository(source, provider, forge_url)
        root = WebAddress.parse(forge_url, "forge_url") if forge_url else _root_of(source)
    except InvalidInput:
        return ""
    root = replace(root, host=root.host.removeprefix("api.")) if _is_service(root) else root
    between = "-/commit" if repository.provider is Provider.GITLAB else "commit"
    return f"{root}/{repository.path}/{between}/{commit}"


def _is_service(root: "WebAddress") -> bool:
    return root.host.removeprefix("api.") in _SERVICES


def parse_forge_token(text: str, field: str = "token") -> Secret:
    """Return an access token of a forge. Raises ``InvalidInput``, which never shows it."""
    if not _TOKEN.fullmatch(text):
        raise InvalidInput(field, None, "must be 1 to 512 printable ASCII characters, no spaces")
    return Secret.of(text)


def check_own_address(own: WebAddress, repository: ForgeRepository) -> None:
    """Make sure that a forge could use the address by which it is to reach us.

    Raises:
        InvalidInput: it can't be.
    """
    ip = _ip(own.host)
    if ip is not None and (ip.is_unspecified or ip.is_multicast or ip.is_link_local):
        problem = "is no address that anything is reached by; name the one that the forge can use"
        raise InvalidInput("url", str(own), problem)
    if is_on_the_internet(repository) and own.local:
        host = urlsplit(repository.api).hostname
        problem = (
            f"is in a local network, and {host} is on the internet: it needs an address that the "
            "internet reaches, e.g. a proxy's"
        )
        raise InvalidInput("url", str(own), problem)


def is_on_the_internet(repository: ForgeRepository) -> bool:
    """Tell whether it is at one of the public services."""
    return repository.api in {api for _, api in _SERVICES.values()}


def remarks_on_address(own: WebAddress, host_names: Sequence[str]) -> Iterator[str]:
    """Yield what is allowed, and often not what was meant.

    Args:
        own: by which the forge is to reach us.
        host_names: those that the daemon answers for; "any" address among them stands for all.
    """
    if own.loopback:
        yield (
            f"{own} is reached from this machine alone: a forge in a container means itself by "
            "it, one elsewhere its own machine"
        )
    elif own.local:
        yield f"{own} is in a local network: the forge has to be in it, and allowed to call it"
    elif own.scheme == "http":
        yield f"{own} is not encrypted: who is on the way reads what is delivered"
    if not own.loopback and not _answers_for(own.host, host_names):
        yield (
            f"the daemon does not answer for {own.host}: name it in host_names, unless the proxy "
            "before it changes the Host header"
        )


def reasons_for_silence(own: WebAddress, provider: Provider) -> Iterator[str]:
    """Yield why a delivery to ``own`` may not arrive, the likeliest first."""
    if own.loopback:
        yield (
            f"{own.host} is the forge's own container or machine; from a container, the host is "
            "host.docker.internal or the bridge's address, and the daemon has to listen there"
        )
    if own.local and (allowed := _ALLOWED_HOSTS.get(provider)):
        yield allowed
    yield f"{own} leads somewhere else: see public_url, or give --url"
    if not own.loopback:
        yield f"a firewall or a router between the forge and {own.host} lets nothing through"
        yield f"the daemon answered 421: {own.host} is missing in host_names"


_ACTS_ON_LIST = "does not call local addresses unless its app.ini says so: [webhook] "
_ALLOWED_HOSTS = {
    Provider.GITEA: f"Gitea {_ACTS_ON_LIST}ALLOWED_HOST_LIST = private,loopback",
    Provider.FORGEJO: f"Forgejo {_ACTS_ON_LIST}ALLOWED_HOST_LIST = private,loopback",
    Provider.GOGS: "Gogs does not call local addresses unless its app.ini says so: [security] "
    "LOCAL_NETWORK_ALLOWLIST",
    Provider.GITLAB: "GitLab does not call local addresses: Admin → Settings → Network → Outbound "
    'requests, "Allow requests to the local network from webhooks"',
}


def parse_forge(text: str, field: str = "provider") -> Provider:
    """Return the forge that ``text`` names. Raises ``InvalidInput``: its API is not known."""
    if text not in REGISTRABLE:
        problem = f"is no forge whose API we know; these are: {', '.join(REGISTRABLE)}"
        raise InvalidInput(field, text, problem)
    return Provider(text)


def _known_provider(source: GitUrl, provider: str | None, field: str) -> Provider:
    if provider is not None:
        return parse_forge(provider, field)
    if source.host in _SERVICES:
        return _SERVICES[source.host][0]
    problem = f"which forge {source.host} is can't be told from its name; give one of "
    raise InvalidInput(field, None, problem + ", ".join(REGISTRABLE))


def _root_of(source: GitUrl) -> WebAddress:
    """Return where the forge of ``source`` serves its API, unless somebody says otherwise."""
    if source.scheme is GitScheme.SSH:
        return WebAddress("https", source.host, None, "")
    root = WebAddress(source.scheme, source.host, source.port, "")
    if root.scheme == "http" and not root.loopback:
        problem = (
            f"{source} is not encrypted, and a token is not sent there unasked; give "
            f"https://{source.host}, or {root} if it really is to travel in clear text"
        )
        raise InvalidInput("forge_url", None, problem)
    return root


def _path_within(source: GitUrl, below: str, provider: Provider) -> str:
    """Return the repository's path, without that of the forge itself."""
    path = f"/{source.path.removesuffix('.git')}"
    if below and path.startswith(f"{below}/"):
        path = path.removeprefix(below)
    path = path.lstrip("/")
    parts = path.count("/") + 1
    if not _REPOSITORY.fullmatch(path) or (parts > 2 and provider is not Provider.GITLAB):
        problem = (
            f"{source} does not end in OWNER/REPOSITORY; of a forge below a path of its host, "
            "give that: https://host/path"
        )
        raise InvalidInput("forge_url", None, problem)
    return path


def _answers_for(host: str, host_names: Sequence[str]) -> bool:
    any_address = _ip(host) and any((ip := _ip(name)) and ip.is_unspecified for name in host_names)
    return host in host_names or bool(any_address)


def _is_host(text: str) -> bool:
    return bool(_HOST.fullmatch(text)) or (":" in text and _ip(text) is not None)


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
