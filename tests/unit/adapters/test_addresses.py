"""Addresses that no server of ours, realm or redirect may be at."""

import pytest

from reconciler.adapters.addresses import is_public, may_be_server

NEVER = [
    "169.254.169.254",
    "169.254.0.1",
    "fe80::1",
    "fe80::1%eth0",
    "224.0.0.1",
    "ff02::1",
    "0.0.0.0",
    "::",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "fd00:ec2::254",
    "100.100.100.200",
    "::ffff:192.0.0.192",
    "168.63.129.16",
]
INSIDE = ["127.0.0.1", "::1", "10.1.2.3", "192.168.1.1", "172.16.0.1", "fd00::1", "::ffff:10.0.0.1"]
OUTSIDE = ["8.8.8.8", "2606:4700::1111"]


@pytest.mark.parametrize("address", NEVER)
def test_metadata_services_and_their_kin_are_never_asked(address: str) -> None:
    """Link-local, multicast and unspecified addresses, also where IPv6 wraps them."""
    assert not may_be_server(address)
    assert not is_public(address)


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_inside_are_for_servers_and_not_for_strangers(address: str) -> None:
    """People run registries and forges at home; a stranger's redirect does not lead there."""
    assert may_be_server(address)
    assert not is_public(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_public_addresses_are_asked(address: str) -> None:
    """The internet is where most servers are."""
    assert may_be_server(address)
    assert is_public(address)
