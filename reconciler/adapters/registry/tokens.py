"""Docker's token authentication: challenges, where a password may go, and what comes back.

Source: CNCF Distribution, "Token Authentication Specification"; RFC 9110, section 11.6.1.
"""

import ipaddress
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from reconciler.domain.errors import SourceProtocolError

_LONGEST_CHALLENGE = 8192
#: In time that grows with the header only: a registry writes it as it likes.
_CHALLENGE_PART = re.compile(
    r"""(?<![A-Za-z0-9_-])(?P<name>[A-Za-z0-9_-]++)\s*+=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^",\s]+))"""
    r"|(?P<scheme>[A-Za-z][A-Za-z0-9-]*)"
)
_TOKEN = re.compile(r"[\x21-\x7e]{1,65536}")
_DEFAULT_LIFETIME_SECONDS = 60.0
_LONGEST_LIFETIME_SECONDS = 3600.0
#: A token is renewed a little before its end, so that it doesn't end on its way.
_LIFETIME_SHARE = 0.9

#: Registry → the token servers that its operator runs under another name.
_KNOWN_REALMS: Mapping[str, frozenset[str]] = {
    "docker.io": frozenset({"auth.docker.io"}),
    "lscr.io": frozenset({"ghcr.io"}),
    "registry.gitlab.com": frozenset({"gitlab.com"}),
    "docker.elastic.co": frozenset({"docker-auth.elastic.co"}),
    "registry.digitalocean.com": frozenset({"api.digitalocean.com"}),
}


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way in that a 401 offers."""

    scheme: str  #: lower case: ``bearer``, ``basic``
    parameters: Mapping[str, str] = field(default_factory=dict)  #: names in lower case


@dataclass(frozen=True, slots=True)
class Token:
    """What a token server gave."""

    text: str = field(repr=False)
    lifetime_seconds: float  #: for which to use it; less than it was given for


def parse_challenges(header: str) -> Sequence[Challenge]:
    """Return the challenges of a ``WWW-Authenticate`` header, in its order; none if it is odd."""
    found: list[tuple[str, dict[str, str]]] = []
    for match in _CHALLENGE_PART.finditer(header[:_LONGEST_CHALLENGE]):
        if scheme := match["scheme"]:
            found.append((scheme.lower(), {}))
        elif found:
            value = match["bare"] or re.sub(r"\\(.)", r"\1", match["quoted"] or "")
            found[-1][1].setdefault(match["name"].lower(), value)
    return [Challenge(scheme, parameters) for scheme, parameters in found]


def parse_token(host: str, body: bytes) -> Token:
    """Return the token in a token server's answer.

    Raises:
        SourceProtocolError: there is none, or it could not stand in a header.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise SourceProtocolError(f"{host}: its token server's answer is not a JSON object")
    token = answer.get("token") or answer.get("access_token")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise SourceProtocolError(f"{host}: its token server's answer holds no token")
    return Token(token, _lifetime(answer.get("expires_in")) * _LIFETIME_SHARE)


def _lifetime(said: object) -> float:
    if isinstance(said, bool) or not isinstance(said, int | float) or not said > 0:
        return _DEFAULT_LIFETIME_SECONDS
    return float(min(said, _LONGEST_LIFETIME_SECONDS))


@dataclass(frozen=True, slots=True)
class RealmPolicy:
    """Where a registry may send us for a token: the realm is the registry's choice, not ours.

    A registry that names another host's realm would be given that password, or have us call a
    metadata service (CVE-2026-48978 and its kin).
    """

    approved: frozenset[tuple[str, str]] = (
        frozenset()
    )  #: (registry host, realm host), by the operator

    def problem(self, registry: str, realm: str, *, plain_http: bool) -> str | None:
        """Return why ``realm`` may not be asked for tokens of ``registry``; None if it may.

        Args:
            registry: ``host`` or ``host:port``, as image references name it.
            realm: the URL that the registry named.
            plain_http: whether the registry itself is spoken to without TLS.
        """
        try:
            parts = urlsplit(realm)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            return "is not a URL"
        if not (
            realm.isascii()
            and realm.isprintable()
            and " " not in realm
            and len(realm) <= 2048
            and host
        ):
            return "is not a URL"
        if parts.username is not None or parts.fragment or "\\" in realm:
            return "is not a plain URL"
        if parts.scheme != "https" and not (parts.scheme == "http" and plain_http):
            return "is not https"
        if self._is_known(registry, host, port):
            return None
        return self._difference(registry, host, port, plain_http=plain_http)

    def _is_known(self, registry: str, host: str, port: int | None) -> bool:
        if (
            not _is_address(host)
            and port in {None, 443}
            and host in _KNOWN_REALMS.get(registry, ())
        ):
            return True
        return bool({(registry, host), (registry, f"{host}:{port}")} & self.approved)

    @staticmethod
    def _difference(registry: str, host: str, port: int | None, *, plain_http: bool) -> str | None:
        own = urlsplit(f"//{registry}")
        if is_loopback(own.hostname or "") and is_loopback(host):
            return None
        if host != own.hostname:
            return "is on another host"
        # Over TLS the certificate says that it is the same host; a token server on a port of its
        # own is a common set-up. In the clear any port may be anybody's.
        if plain_http and port != own.port:
            return "is on another port, without TLS"
        return None


def is_loopback(host: str) -> bool:
    """Tell whether ``host``, without a port, is this machine by name or by address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
