"""Challenges are read as they are meant, and a password goes only where it belongs."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.adapters.registry.tokens import (
    Challenge,
    RealmPolicy,
    parse_challenges,
    parse_token,
)
from reconciler.domain.errors import SourceProtocolError


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param(
            'Bearer realm="https://auth.example/token",service="r",'
            'scope="repository:a/b:pull,push"',
            [
                Challenge(
                    "bearer",
                    {
                        "realm": "https://auth.example/token",
                        "service": "r",
                        "scope": "repository:a/b:pull,push",
                    },
                )
            ],
            id="comma-within-quotes",
        ),
        pytest.param(
            'Basic realm="x", Bearer realm="https://a/b"',
            [Challenge("basic", {"realm": "x"}), Challenge("bearer", {"realm": "https://a/b"})],
            id="two-challenges",
        ),
        pytest.param("bearer REALM=https://a/b", [Challenge("bearer", {"realm": "https://a/b"})],
                     id="unquoted"),
        pytest.param(r'Basic realm="say \"hi\""', [Challenge("basic", {"realm": 'say "hi"'})],
                     id="escaped-quotes"),
        pytest.param('Bearer realm="a",realm="b"', [Challenge("bearer", {"realm": "a"})],
                     id="first-of-two-realms"),
        pytest.param("Negotiate", [Challenge("negotiate")], id="bare-scheme"),
        pytest.param("", [], id="empty"),
        pytest.param(", = ,", [], id="no-scheme"),
    ],
)  # fmt: skip
def test_challenges_are_read_in_their_order(header: str, expected: list[Challenge]) -> None:
    """Quoted commas, several challenges and odd spellings are read as RFC 9110 means them."""
    assert list(parse_challenges(header)) == expected


@given(st.text(max_size=200))
def test_no_header_breaks_the_reader(header: str) -> None:
    """Whatever a server sends, the result is a list of challenges."""
    assert all(challenge.scheme for challenge in parse_challenges(header))


@pytest.mark.parametrize("piece", ['a="', 'a="\\', "a= ", "a ", ",", "1"], ids=repr)
def test_a_hostile_header_takes_no_time(piece: str) -> None:
    """A header ten times as long costs no more: the reader looks at its beginning only."""

    def seconds(pieces: int) -> float:
        header = "Bearer " + piece * pieces
        started = time.process_time()
        for _ in range(20):
            parse_challenges(header)
        return time.process_time() - started

    short, long = (min(seconds(pieces) for _ in range(5)) for pieces in (20_000, 200_000))
    assert long < 5 * short


@pytest.mark.parametrize(
    ("registry", "realm"),
    [
        ("registry.example", "https://registry.example/token"),
        ("registry.example:5000", "https://registry.example:5001/auth?account=x"),
        ("docker.io", "https://auth.docker.io/token"),
        ("ghcr.io", "https://ghcr.io/token"),
        ("lscr.io", "https://ghcr.io/token"),
        ("quay.io", "https://quay.io/v2/auth"),
        ("registry.gitlab.com", "https://gitlab.com/jwt/auth"),
        ("public.ecr.aws", "https://public.ecr.aws/token/"),
        ("10.0.0.5:5000", "https://10.0.0.5:5000/token"),
        ("registry.example", "https://sso.example/token"),
        ("registry.example", "https://sso.example:8443/token"),
        ("localhost:5000", "https://127.0.0.1:5001/token"),
    ],
)
def test_realms_that_belong_to_their_registry_are_asked(registry: str, realm: str) -> None:
    """The registry's own host, the pairs that are known, and those that the operator approved."""
    policy = RealmPolicy(
        frozenset({("registry.example", "sso.example"), ("registry.example", "sso.example:8443")})
    )
    assert policy.problem(registry, realm, plain_http=False) is None


@pytest.mark.parametrize(
    ("registry", "realm", "problem"),
    [
        ("registry.example", "https://evil.example/token", "is on another host"),
        ("registry.example", "https://registry.example.evil.example/", "is on another host"),
        ("registry.example", "https://evilregistry.example/", "is on another host"),
        ("registry.example", "http://registry.example/token", "is not https"),
        ("registry.example", "https://169.254.169.254/latest/meta-data/", "is on another host"),
        ("registry.example", "https://10.0.0.1/token", "is on another host"),
        ("registry.example", "https://127.0.0.1/token", "is on another host"),
        ("registry.example", "https://localhost/token", "is on another host"),
        ("registry.example", "https://[::1]/token", "is on another host"),
        ("registry.example", "https://[::ffff:169.254.169.254]/", "is on another host"),
        ("registry.example", "https://registry.example@evil.example/", "is not a plain URL"),
        ("registry.example", "https://user:pw@registry.example/", "is not a plain URL"),
        ("registry.example", "https://registry.example\\@evil.example/", "is not a plain URL"),
        ("registry.example", "https://registry.example/#x", "is not a plain URL"),
        ("registry.example", "file:///etc/passwd", "is not a URL"),
        ("registry.example", "ftp://registry.example/", "is not https"),
        ("registry.example", "//registry.example/token", "is not https"),
        ("registry.example", "https://registry.example:99999/", "is not a URL"),
        ("registry.example", "https://[::1/", "is not a URL"),
        ("registry.example", "https://registry.example/\n", "is not a URL"),
        ("registry.example", "https://régistry.example/", "is not a URL"),
        ("registry.example", "https://registry.example/" + "a" * 3000, "is not a URL"),
        ("registry.example", "", "is not a URL"),
        ("docker.io", "https://auth.docker.io:8443/token", "is on another host"),
        ("docker.io", "https://ghcr.io/token", "is on another host"),
        ("docker.io", "http://auth.docker.io/token", "is not https"),
    ],
)
def test_realms_elsewhere_are_not(registry: str, realm: str, problem: str) -> None:
    """A registry can't have its password sent to others, nor have us call an address inside."""
    assert RealmPolicy().problem(registry, realm, plain_http=False) == problem


@pytest.mark.parametrize(
    ("registry", "realm", "problem"),
    [
        ("registry.lan:5000", "http://registry.lan:5000/token", None),
        ("registry.lan:5000", "http://registry.lan:5001/token", "is on another port, without TLS"),
        ("registry.lan:5000", "http://other.lan:5000/token", "is on another host"),
        ("localhost:5000", "http://127.0.0.1:5001/token", None),
        ("localhost:5000", "http://169.254.169.254/", "is on another host"),
        ("localhost:5000", "http://10.0.0.1/token", "is on another host"),
    ],
)
def test_without_tls_the_port_counts_too(registry: str, realm: str, problem: str | None) -> None:
    """Only a registry that is itself spoken to in the clear may name such a realm: its own."""
    assert RealmPolicy().problem(registry, realm, plain_http=True) == problem


@pytest.mark.parametrize(
    ("answer", "text", "seconds"),
    [
        ({"token": "abc", "expires_in": 100}, "abc", 90),
        ({"access_token": "abc"}, "abc", 54),
        ({"token": "abc", "access_token": "other", "expires_in": 300}, "abc", 270),
        ({"token": "abc", "expires_in": 10**9}, "abc", 3240),
        ({"token": "abc", "expires_in": 0}, "abc", 54),
        ({"token": "abc", "expires_in": -1}, "abc", 54),
        ({"token": "abc", "expires_in": "300"}, "abc", 54),
        ({"token": "abc", "expires_in": float("nan")}, "abc", 54),
        ({"token": "abc", "expires_in": True}, "abc", 54),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_token_is_used_a_little_shorter_than_it_lives(
    answer: object, text: str, seconds: float
) -> None:
    """Nine tenths of what was said, of a minute where nothing sensible was, an hour at most."""
    token = parse_token("r.example", json.dumps(answer).encode())
    assert token.text == text
    assert token.lifetime_seconds == pytest.approx(seconds)
    assert text not in repr(token)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>sign in</html>",
        b"[]",
        b"{}",
        b'{"token": ""}',
        b'{"token": 7}',
        b'{"token": "a\\r\\nX-Evil: 1"}',
        b'{"token": "with space"}',
        b"[" * 100_000,
        b"\xff\xfe",
        json.dumps({"token": "t" * 70_000}).encode(),
    ],
    ids=lambda body: repr(body[:20]),
)
def test_an_answer_without_a_token_is_a_protocol_error(body: bytes) -> None:
    """Nothing that could not stand in a header is taken for a token."""
    with pytest.raises(SourceProtocolError, match=r"r\.example"):
        parse_token("r.example", body)
