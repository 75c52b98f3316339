"""Which addresses a channel may have, and what of them is secret."""

import pytest

from reconciler.domain.channel import (
    Address,
    parse_channel_name,
    parse_events,
    parse_reminder,
    parse_url,
    secrets_of,
)
from reconciler.domain.errors import InvalidInput
from reconciler.domain.secret import Secret


@pytest.mark.parametrize(
    ("url", "service"),
    [
        ("https://hook.example/path?x=1", "https"),
        ("http://10.0.0.7:8080/x", "http"),
        ("NTFYS://ntfy.example/topic", "ntfys"),
        ("  slack://T1/B2/c3\n", "slack"),
        ("mailtos://me:pass@mail.example?to=ops@example.org", "mailtos"),
        ("tgram://123456789:abcdefg/12315544/", "tgram"),
    ],
)
def test_addresses_of_services_that_people_use(url: str, service: str) -> None:
    assert parse_url(Secret.of(url)).service == service


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        pytest.param("json://host/x", "signed webhook", id="json"),
        pytest.param("forms://host/x", "signed webhook", id="form"),
        pytest.param("xml://host", "signed webhook", id="xml"),
        pytest.param("file:///etc/passwd", "reads files", id="file"),
        pytest.param("dbus://", "must be a URL", id="dbus-alone"),
        pytest.param("dbus://x", "own machine", id="dbus"),
        pytest.param("gnome://x", "own machine", id="gnome"),
        pytest.param("windows://x", "own machine", id="windows"),
        pytest.param("syslog://x", "own machine", id="syslog"),
        pytest.param("rsyslog://canary", "no service", id="rsyslog"),
        pytest.param("mqtt://canary", "no service", id="mqtt"),
        pytest.param("myhook://canary", "no service", id="plugin"),
        pytest.param("config://canary", "reads files", id="config"),
        pytest.param("canary", "must be a URL", id="no-url"),
        pytest.param("", "must be a URL", id="empty"),
        pytest.param("ntfy://a/b, json://canary/x", "without spaces", id="two"),
        pytest.param("ntfy://a/b\njson://canary/x", "printable", id="two-lines"),
        pytest.param("ntfy://" + "canary" * 400, "at most", id="long"),
        pytest.param("https://user:canary@hook.example/", "signed instead", id="credentials"),
        pytest.param("https:///canary", "no host", id="no-host"),
        pytest.param("https://hook.example/#canary", "fragment", id="fragment"),
        pytest.param("http://93.184.215.14/canary", "https", id="http-to-the-internet"),
        pytest.param("https://[canary", "none", id="brackets"),
        pytest.param("https://h:99999/canary", "none", id="port"),
    ],
)
def test_addresses_that_are_refused(url: str, problem: str) -> None:
    """With the reason, and without any of their secrets."""
    with pytest.raises(InvalidInput, match=problem) as caught:
        parse_url(Secret.of(url))
    assert "canary" not in caught.value.message


@pytest.mark.parametrize(
    ("url", "hidden", "shown"),
    [
        ("ntfys://ntfy.example/my-own-topic", {"my-own-topic"}, {"ntfy.example"}),
        ("ntfys://my-own-topic", {"my-own-topic"}, set()),
        ("slack://TJ1234567/BCDEFGHIJ/abcdefghij", {"TJ1234567", "BCDEFGHIJ"}, set()),
        ("mailtos://me:pass%2Fword@mail.example/x?smtp=a", {"pass/word"}, {"mail.example"}),
        ("https://hook.example/t0ken-t0ken?key=0123456789", {"0123456789"}, {"hook.example"}),
    ],
)
def test_what_of_an_address_is_secret(url: str, hidden: set[str], shown: set[str]) -> None:
    found = {secret.reveal() for secret in secrets_of(parse_url(Secret.of(url)))}
    assert hidden | {url} <= found
    assert not shown & found
    assert "key-of-ours" in {
        one.reveal() for one in secrets_of(Address(Secret.of(url), Secret.of("key-of-ours")))
    }


def test_names_events_and_reminders_are_checked() -> None:
    assert parse_channel_name("ops-1") == "ops-1"
    assert parse_events(["failure", "failure"]) == {"failure"}
    assert parse_reminder(0).total_seconds() == 0
    for attempt in (
        lambda: parse_channel_name("Ops"),
        lambda: parse_events(["failures"]),
        lambda: parse_events([]),
        lambda: parse_reminder(1),
        lambda: parse_reminder(-1),
        lambda: parse_reminder(10**12),
    ):
        with pytest.raises(InvalidInput):
            attempt()
