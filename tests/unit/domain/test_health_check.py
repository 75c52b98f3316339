"""What an operator may write as a health check."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.domain.errors import InvalidInput, SeveralInvalid
from reconciler.domain.health_check import (
    HealthCheck,
    ProbeKind,
    ProbeOrigin,
    declaration_of,
    parse_health_check,
)

FIELDS = {
    *("port", "path", "status", "text", "command", "origin", "retries", "successes"),
    *("start_period_seconds", "interval_seconds", "timeout_seconds"),
}
HTTP = {"kind": "http", "port": 8080}
TCP = {"kind": "tcp", "port": 5432}
COMMAND = {"kind": "command", "command": ["pg_isready"]}


def test_all_of_it() -> None:
    """Every field arrives where it belongs."""
    declared = {
        "kind": "http",
        "port": 8080,
        "path": "/healthz?full=1",
        "status": "200-299",
        "text": "v {commit}",
        "origin": "daemon",
        "start_period_seconds": 0,
        "interval_seconds": 0.5,
        "timeout_seconds": 60,
        "retries": 1,
        "successes": 100,
    }
    assert parse_health_check(declared) == HealthCheck(
        ProbeKind.HTTP,
        port=8080,
        path="/healthz?full=1",
        status=(200, 299),
        text="v {commit}",
        origin=ProbeOrigin.DAEMON,
        start_period=timedelta(0),
        interval=timedelta(seconds=0.5),
        timeout=timedelta(minutes=1),
        retries=1,
        successes=100,
    )
    assert declaration_of(parse_health_check(declared)) == declared


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (HTTP, HealthCheck(ProbeKind.HTTP, port=8080)),
        (TCP, HealthCheck(ProbeKind.TCP, port=5432)),
        (COMMAND, HealthCheck(ProbeKind.COMMAND, command=("pg_isready",))),
        ({**TCP, "text": None, "retries": None}, HealthCheck(ProbeKind.TCP, port=5432)),
        ({**HTTP, "status": 204}, HealthCheck(ProbeKind.HTTP, port=8080, status=(204, 204))),
        (
            {"kind": "command", "command": "test -e '/run/a b'"},
            HealthCheck(ProbeKind.COMMAND, command=("test", "-e", "/run/a b")),
        ),
    ],
)
def test_defaults(declared: dict[str, object], expected: HealthCheck) -> None:
    """What is left out, or None, is as it usually is; a command may be one line."""
    assert parse_health_check(declared) == expected


@pytest.mark.parametrize(
    ("declared", "field"),
    [
        ({}, "health.kind"),
        ({"kind": "udp"}, "health.kind"),
        ({"kind": ["http"]}, "health.kind"),
        ({"kind": "http"}, "health.port"),
        ({"kind": "command"}, "health.command"),
        ({**HTTP, "prot": 1}, "health"),
        ({str(at): at for at in range(100)} | HTTP, "health"),
        ({**HTTP, "port": 0}, "health.port"),
        ({**HTTP, "port": 65536}, "health.port"),
        ({**HTTP, "port": "8080"}, "health.port"),
        ({**HTTP, "port": True}, "health.port"),
        ({**HTTP, "port": 80.0}, "health.port"),
        ({**HTTP, "path": "healthz"}, "health.path"),
        ({**HTTP, "path": "/a b"}, "health.path"),
        ({**HTTP, "path": "/a#b"}, "health.path"),
        ({**HTTP, "path": "/{a,b}"}, "health.path"),
        ({**HTTP, "path": "/a\r\nHost: b"}, "health.path"),
        ({**HTTP, "path": "/a/../b"}, "health.path"),
        ({**HTTP, "path": "/a/%2e%2E/b"}, "health.path"),
        ({**HTTP, "path": "/a%2F..%2Fb"}, "health.path"),
        ({**HTTP, "path": "/%zz"}, "health.path"),
        ({**HTTP, "path": "/" + "a" * 1000}, "health.path"),
        ({**HTTP, "path": 7}, "health.path"),
        ({**HTTP, "status": "99"}, "health.status"),
        ({**HTTP, "status": "600"}, "health.status"),
        ({**HTTP, "status": "299-200"}, "health.status"),
        ({**HTTP, "status": "2xx"}, "health.status"),
        ({**HTTP, "status": 20}, "health.status"),
        ({**HTTP, "status": [200, 299]}, "health.status"),
        ({**HTTP, "text": ""}, "health.text"),
        ({**HTTP, "text": "two\nlines"}, "health.text"),
        ({**HTTP, "text": "a" * 1001}, "health.text"),
        ({**HTTP, "text": 1}, "health.text"),
        ({**HTTP, "command": ["true"]}, "health.command"),
        ({**TCP, "path": "/"}, "health.path"),
        ({**TCP, "text": "hello"}, "health.text"),
        ({**COMMAND, "port": 80}, "health.port"),
        ({**COMMAND, "command": []}, "health.command"),
        ({**COMMAND, "command": ""}, "health.command"),
        ({**COMMAND, "command": [""]}, "health.command"),
        ({**COMMAND, "command": ["a", 1]}, "health.command"),
        ({**COMMAND, "command": {"a": "b"}}, "health.command"),
        ({**COMMAND, "command": ["a"] * 101}, "health.command"),
        ({**COMMAND, "command": ["a", "b" * 4097]}, "health.command.1"),
        ({**COMMAND, "command": ["a", "b\0c"]}, "health.command.1"),
        ({**COMMAND, "command": ["a", "\ud800"]}, "health.command.1"),
        ({**COMMAND, "command": "echo 'a"}, "health.command"),
        ({**COMMAND, "command": "cd /srv && ./check"}, "health.command"),
        ({**COMMAND, "command": "a; b"}, "health.command"),
        ({**COMMAND, "command": "a | b"}, "health.command"),
        ({**TCP, "origin": "moon"}, "health.origin"),
        ({**TCP, "origin": {}}, "health.origin"),
        ({**TCP, "start_period_seconds": -1}, "health.start_period_seconds"),
        ({**TCP, "start_period_seconds": 3601}, "health.start_period_seconds"),
        ({**TCP, "interval_seconds": 0}, "health.interval_seconds"),
        ({**TCP, "interval_seconds": "1"}, "health.interval_seconds"),
        ({**TCP, "timeout_seconds": float("nan")}, "health.timeout_seconds"),
        ({**TCP, "timeout_seconds": float("inf")}, "health.timeout_seconds"),
        ({**TCP, "timeout_seconds": True}, "health.timeout_seconds"),
        ({**TCP, "retries": 0}, "health.retries"),
        ({**TCP, "retries": 1.5}, "health.retries"),
        ({**TCP, "successes": 101}, "health.successes"),
    ],
)
def test_wrong_field(declared: dict[str, object], field: str) -> None:
    """What can't be meant is refused, naming the field."""
    with pytest.raises(InvalidInput) as refused:
        parse_health_check(declared)
    assert refused.value.field == field


def test_all_that_is_wrong_is_said() -> None:
    """Every wrong field is named at once, in the words of whoever asked."""
    wrong = {"kind": "tcp", "port": 0, "path": "/", "retires": 3, "successes": 0}
    with pytest.raises(SeveralInvalid) as several:
        parse_health_check(wrong, "targets.0.health")
    assert [problem.field for problem in several.value.problems] == [
        "targets.0.health.path",
        "targets.0.health",
        "targets.0.health.port",
        "targets.0.health.successes",
    ]
    assert "'retires' is no field of a health check" in several.value.message


CHECKS = st.builds(
    HealthCheck,
    kind=st.just(ProbeKind.HTTP),
    port=st.integers(1, 65535),
    path=st.text("abz09/._-?=&", max_size=20)
    .map(lambda text: f"/{text}")
    .filter(lambda path: not {".", ".."} & set(path.partition("?")[0].split("/"))),
    status=st.tuples(st.integers(100, 350), st.integers(350, 599)),
    text=st.text(st.characters(categories=("L", "N", "P")), max_size=30),
    origin=st.sampled_from(ProbeOrigin),
    start_period=st.integers(0, 3600000).map(lambda ms: timedelta(milliseconds=ms)),
    interval=st.integers(100, 300000).map(lambda ms: timedelta(milliseconds=ms)),
    retries=st.integers(1, 100),
    successes=st.integers(1, 100),
)


@given(check=CHECKS)
def test_there_and_back(check: HealthCheck) -> None:
    """A health check says the declaration that it can be made of again."""
    for one in (
        check,
        replace(HealthCheck(ProbeKind.TCP), port=check.port, retries=check.retries),
        replace(HealthCheck(ProbeKind.COMMAND), command=("test", check.path)),
    ):
        assert parse_health_check(declaration_of(one)) == one


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=5,
)


@given(
    kind=st.sampled_from(ProbeKind),
    rest=st.dictionaries(st.sampled_from(sorted(FIELDS)) | st.text(max_size=5), JSON, max_size=6),
)
def test_whatever_is_sent(kind: ProbeKind, rest: dict[str, object]) -> None:
    """It is a health check, which can be shown and read again, or it is refused; never a crash."""
    try:
        check = parse_health_check({"kind": kind.value, **rest})
    except (InvalidInput, SeveralInvalid):
        return
    assert parse_health_check(declaration_of(check)) == check
