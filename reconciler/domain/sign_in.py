"""How long who tries passwords has to wait."""

import ipaddress
from dataclasses import dataclass
from datetime import timedelta

#: After so long nothing is held against anybody.
FORGIVEN_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Patience:
    """How many failures cost nothing, and what each further one costs: twice the one before."""

    free: int
    first: timedelta
    longest: timedelta

    def wait_after(self, failures: int) -> timedelta:
        """Return how long nothing more is looked at."""
        if failures < self.free:
            return timedelta(0)
        doublings = min(failures - self.free, 32)
        return min(self.first * (1 << doublings), self.longest)


#: One person from one place. Five tries, then 2 s, 4 s, … between two.
FOR_ONE = Patience(5, timedelta(seconds=2), timedelta(minutes=15))
#: All names from one place and what surrounds it: guessing one password with many names is slowed,
#: too, and so is one name from many places.
FOR_A_PLACE = Patience(50, timedelta(seconds=1), timedelta(seconds=30))


def place_of(address: str) -> str:
    """Return the network that counts as one place: whoever has an address of it has many."""
    return _network_of(address, 24, 64)


def surroundings_of(address: str) -> str:
    """Return the network that may be one customer's whole: of IPv6 that has 65,536 places."""
    return _network_of(address, 24, 48)


def _network_of(address: str, ipv4_bits: int, ipv6_bits: int) -> str:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "elsewhere"
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    one = mapped or found
    bits = ipv4_bits if one.version == 4 else ipv6_bits
    return str(ipaddress.ip_network((one, bits), strict=False))
