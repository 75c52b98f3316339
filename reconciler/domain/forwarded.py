"""For whom a proxy asks, from the headers that it adds."""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Of a longer chain only what the nearest proxies added is looked at.
MOST_HOPS = 20
_HOST = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9.-]{0,251}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from."""

    client: str  #: address of who asks
    scheme: str = ""  #: ``http`` or ``https`` as the proxy was asked; empty: nobody says
    host: str = ""  #: that the proxy was asked for; empty: nobody says


def parse_address(text: str) -> Address | None:
    """Return the address that ``text`` is, IPv4 where an IPv6 one only stands for it."""
    try:
        ip = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (ip.ipv4_mapped or ip) if isinstance(ip, ipaddress.IPv6Address) else ip


def is_among(text: str, networks: Sequence[Network]) -> bool:
    """Tell whether ``text`` is an address of one of ``networks``."""
    ip = parse_address(text)
    return ip is not None and any(ip in network for network in networks)


def origin_of(
    peer: str, headers: Mapping[str, str], proxies: Sequence[Network], kind: str
) -> Origin:
    """Return for whom ``peer``, one of ``proxies``, asks.

    The chain is followed from its end, which the peer wrote, to the first address that is no
    proxy's: what stands before it anybody may have written. It also ends at what is no address.

    Args:
        peer: address at the other end of the connection.
        headers: each by its name in lower case, several of a name joined by commas.
        proxies: whom to believe.
        kind: ``Forwarded``, or ``X-Forwarded-For`` with its siblings; the other is not looked at.
    """
    hops = _forwarded(headers) if kind == "Forwarded" else _x_forwarded(headers)
    found = Origin(peer, _scheme(hops[-1].scheme), _host(hops[-1].host))
    for hop in hops[: -MOST_HOPS - 1 : -1]:
        address = parse_address(_without_port(hop.client))
        if address is None:
            break
        scheme, host = _scheme(hop.scheme), _host(hop.host)
        found = Origin(str(address), scheme or found.scheme, host or found.host)
        if not is_among(found.client, proxies):
            break
    return found


def _x_forwarded(headers: Mapping[str, str]) -> list[Origin]:
    """Return the hops; scheme and host are those that the nearest proxy was asked with."""
    addresses = headers.get("x-forwarded-for", "").split(",")
    scheme, host = (
        headers.get(f"x-forwarded-{what}", "").rpartition(",")[2].strip()
        for what in ("proto", "host")
    )
    return [Origin(text.strip(), scheme, host) for text in addresses]


def _forwarded(headers: Mapping[str, str]) -> list[Origin]:
    """Return the hops that RFC 7239's header lists.

    It is cut at every comma, quoted or not: so nothing that a client begins with a quote reaches
    into what a proxy adds behind it.
    """
    hops = []
    for element in headers.get("forwarded", "").split(","):
        pairs = {
            name.strip().lower(): value.strip().strip('"')
            for name, _, value in (pair.partition("=") for pair in element.split(";"))
        }
        hops.append(Origin(*(pairs.get(name, "") for name in ("for", "proto", "host"))))
    return hops


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _scheme(text: str) -> str:
    return text.lower() if text.lower() in {"http", "https"} else ""


def _host(text: str) -> str:
    return text.lower() if _HOST.fullmatch(text) else ""
