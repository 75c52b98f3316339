"""Which addresses may be connected to: names resolve to what their owners like."""

import ipaddress

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
#: Metadata services that are not link-local: of AWS over IPv6, Alibaba, Oracle and Azure.
_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in ("fd00:ec2::254", "100.100.100.200", "192.0.0.192", "168.63.129.16")
)


def may_be_server(address: str) -> bool:
    """Tell whether a server of somebody's may be at ``address``, this machine and network included.

    Not so: metadata services of clouds, other link-local addresses, multicast, and "any".
    """
    ip = _parse(address)
    return not (ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip in _METADATA)


def is_public(address: str) -> bool:
    """Tell whether ``address`` is one of the public internet."""
    ip = _parse(address)
    return ip.is_global and not ip.is_multicast and ip not in _METADATA


def _parse(address: str) -> _Address:
    """Return the address, or the IPv4 address that an IPv6 one stands for."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip
