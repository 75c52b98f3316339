"""For whom a proxy asks: the nearest address that is no proxy's, whatever a client wrote before."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.domain.forwarded import MOST_HOPS, Origin, is_among, origin_of

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
PEER = "10.0.0.1"
KINDS = st.sampled_from(["X-Forwarded-For", "Forwarded"])
#: What a client may write: nothing that ends the header, but all that could confuse a parser.
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60)
NASTY = st.lists(
    st.one_of(TEXT, st.sampled_from(['for="', "for=10.0.0.9", ",", ";", "[::1", "a\\", '"'])),
    max_size=6,
).map("".join)


def of(kind: str = "X-Forwarded-For", **headers: str) -> Origin:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return origin_of(PEER, named, PROXIES, kind)


@pytest.mark.parametrize(
    ("text", "client"),
    [
        ("", PEER),
        ("203.0.113.7", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7, 10.2.2.2", "203.0.113.7"),
        ("10.3.3.3, 10.2.2.2", "10.3.3.3"),
        ("203.0.113.7:4711", "203.0.113.7"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("6.6.6.6, unknown", PEER),
        ("6.6.6.6, unknown, 10.2.2.2", "10.2.2.2"),
        ("6.6.6.6,", PEER),
        ("203.0.113.7; DROP", PEER),
    ],
)
def test_the_chain_is_followed_from_its_end(text: str, client: str) -> None:
    """To the first that is no proxy; what is no address ends it."""
    assert of(x_forwarded_for=text).client == client


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("for=203.0.113.7;proto=https;host=d.example", ("203.0.113.7", "https", "d.example")),
        ('For="[2001:db8::7]:4711";Proto=HTTPS', ("2001:db8::7", "https", "")),
        ("for=6.6.6.6, for=203.0.113.7, for=10.2.2.2;proto=https", ("203.0.113.7", "https", "")),
        ("for=_hidden;proto=https", (PEER, "https", "")),
        ("for=203.0.113.7;proto=gopher;host=a/b", ("203.0.113.7", "", "")),
        ('for="6.6.6.6, for=203.0.113.7', ("203.0.113.7", "", "")),
    ],
)
def test_the_standard_header(text: str, origin: tuple[str, str, str]) -> None:
    """An open quote of a client's reaches into nothing that a proxy adds."""
    assert of("Forwarded", forwarded=text) == Origin(*origin)


def test_scheme_and_host_are_those_that_the_nearest_proxy_was_asked_with() -> None:
    """The last of several; not one that is no scheme, or no host."""
    said = {"x_forwarded_for": "203.0.113.7", "x_forwarded_host": "evil.example, D.example:443"}
    assert of(**said, x_forwarded_proto="http, https") == Origin(
        "203.0.113.7", "https", "d.example:443"
    )
    assert of(**said, x_forwarded_proto="https, javascript").scheme == ""
    assert of(x_forwarded_host="a b").host == ""


def test_the_other_header_is_not_looked_at() -> None:
    """A proxy passes on what it does not set itself."""
    both = {"forwarded": "for=6.6.6.6", "x_forwarded_for": "203.0.113.7"}
    assert of(**both).client == "203.0.113.7"
    assert of("Forwarded", **both).client == "6.6.6.6"


@given(kind=KINDS, written=NASTY)
def test_nothing_that_a_client_writes_gets_past_what_the_proxy_adds(
    kind: str, written: str
) -> None:
    """Whatever it is: the client is the address that the proxy saw."""
    added = "for=203.0.113.7" if kind == "Forwarded" else "203.0.113.7"
    text = f"{written}, {added}"
    assert of(kind, forwarded=text, x_forwarded_for=text).client == "203.0.113.7"


@given(kind=KINDS, text=NASTY, proto=TEXT, host=TEXT)
def test_anything_is_read_without_failing(kind: str, text: str, proto: str, host: str) -> None:
    """And gives an address, a scheme that there is, and a host without anything beside it."""
    found = origin_of(
        PEER,
        {
            "forwarded": text,
            "x-forwarded-for": text,
            "x-forwarded-proto": proto,
            "x-forwarded-host": host,
        },
        PROXIES,
        kind,
    )
    ip_address(found.client)
    assert found.scheme in {"", "http", "https"}
    assert not set(found.host) & set("/@ \t,;\"'<>\\")


def test_a_long_chain_is_not_followed_for_ever() -> None:
    """Only what the nearest proxies added counts."""
    chain = ["203.0.113.7", *["10.2.2.2"] * MOST_HOPS]
    assert of(x_forwarded_for=", ".join(chain)).client == "10.2.2.2"
    assert of(x_forwarded_for=", ".join(chain[:-1])).client == "203.0.113.7"


@pytest.mark.parametrize(
    ("address", "among"),
    [("10.9.9.9", True), ("::ffff:10.9.9.9", True), ("11.0.0.1", False), ("fd00::1%eth0", True)],
)
def test_who_is_a_proxy(address: str, among: bool) -> None:
    """Also as a listener for both families shows it."""
    assert is_among(address, PROXIES) is among
    assert not is_among("unix", PROXIES)
