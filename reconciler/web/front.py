"""For whom a request is, where a proxy stands between: settled before anything looks at it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders

from reconciler.config import Config
from reconciler.domain.forwarded import Network, Origin, is_among, origin_of, parse_address
from reconciler.web.auth import PEER, VOUCHED_FOR
from reconciler.web.limits import NOT_OURS, OwnHosts
from reconciler.web.problems import make_problem, respond

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: What whoever looks after us asks from a machine of their own, with nothing to keep secret.
PROBES = frozenset({"/api/healthz", "/api/ready", "/api/version"})
_READ = ("forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host")
#: One year. Source: RFC 6797, section 6.1.
_HSTS = "max-age=31536000"

_NOT_THROUGH_THE_PROXY = make_problem(
    403,
    "this daemon answers its proxy alone here: nothing would protect what you send on its way",
    remedy="ask the proxy; or name the address you come from in trusted_proxies, if it is one",
)


@dataclass(frozen=True, slots=True)
class Rules:
    """Who is believed, and who is answered at all."""

    proxies: Sequence[Network]
    proxy_header: str
    sign_in_header: str
    proxies_only: bool  #: other machines reach the listener, which does not speak TLS


def rules_of(config: Config) -> Rules:
    """Return what ``config`` says about it."""
    reachable = config.listen is not None and not config.listen.loopback
    return Rules(
        config.trusted_proxies,
        config.proxy_header,
        config.sign_in_header,
        proxies_only=reachable and config.tls_certificate is None,
    )


class Front:
    """Puts client, scheme and host into the scope as the proxy says, if there is one to believe.

    What anybody else says about them is gone from the headers afterwards.
    """

    def __init__(self, app: "ASGIApp", *, rules: Rules, hosts: OwnHosts) -> None:
        self._app = app
        self._rules = rules
        self._hosts = hosts

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Let the request through, or answer why not."""
        if scope["type"] != "http" or PEER in scope:
            await self._app(scope, receive, send)
            return
        peer = _normal(scope["client"][0]) if scope.get("client") else ""
        headers = Headers(scope=scope)
        is_proxy = is_among(peer, self._rules.proxies)
        strange = self._rules.proxies_only and not (is_proxy or _is_here(peer, scope))
        if strange and not _is_probe(scope):
            await respond(_NOT_THROUGH_THE_PROXY, connection="close")(scope, receive, send)
            return
        origin = self._origin(peer, headers) if is_proxy else Origin(peer)
        if origin.host and not self._hosts.include([origin.host]):
            await respond(NOT_OURS, connection="close")(scope, receive, send)
            return
        self._settle(scope, origin, headers, is_proxy=is_proxy)
        secure = scope["scheme"] == "https"
        await self._app(scope, receive, _promising_tls(send) if secure else send)

    def _origin(self, peer: str, headers: Headers) -> Origin:
        said = {name: ",".join(headers.getlist(name)) for name in _READ}
        return origin_of(peer, said, self._rules.proxies, self._rules.proxy_header)

    def _settle(self, scope: "Scope", origin: Origin, headers: Headers, *, is_proxy: bool) -> None:
        port = scope["client"][1] if scope.get("client") else 0
        scope["client"] = (origin.client, port)
        scope["scheme"] = origin.scheme or scope["scheme"]
        name = self._rules.sign_in_header
        vouched_for = headers.getlist(name) if name and is_proxy else []
        # Of two one cannot be the proxy's.
        if len(vouched_for) == 1 and vouched_for[0].strip():
            scope[VOUCHED_FOR] = vouched_for[0].strip()
        gone = {*_READ, *([name] if name else [])}
        kept = [pair for pair in scope["headers"] if pair[0].decode("latin-1").lower() not in gone]
        if origin.host:
            kept = [pair for pair in kept if pair[0].lower() != b"host"]
            kept.append((b"host", origin.host.encode()))
        scope["headers"] = kept


def _normal(address: str) -> str:
    return str(parse_address(address) or address)


def _is_here(peer: str, scope: "Scope") -> bool:
    """Tell whether it comes from this very machine: then nobody is on the way."""
    ip = parse_address(peer)
    server = scope.get("server") or ("", 0)
    return ip is not None and (ip.is_loopback or ip == parse_address(str(server[0])))


def _is_probe(scope: "Scope") -> bool:
    return scope["method"] == "GET" and scope["path"] in PROBES


def _promising_tls(send: "Send") -> "Send":
    """Have browsers come by TLS from now on."""

    async def send_promise(message: "Message") -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["strict-transport-security"] = _HSTS
        await send(message)

    return send_promise
