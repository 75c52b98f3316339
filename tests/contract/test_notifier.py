"""What every ``Notifier`` promises: our signed webhook, a service through apprise, the double."""

import hashlib
import hmac
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.adapters.notify.notifier import ServiceNotifier
from reconciler.adapters.process import LocalRunner
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.channel import Address, parse_url
from reconciler.domain.errors import (
    InvalidInput,
    NotifyError,
    NotifyRefused,
    NotifyThrottled,
    NotifyUnreachable,
)
from reconciler.domain.notice import NoticeEvent
from reconciler.domain.secret import Secret
from reconciler.log import Redactor
from reconciler.ports import Letter, Notifier
from reconciler.testing import RecordingNotifier
from tests.parts.child import free_port
from tests.parts.http_server import Answer, HttpServer, Request

TOPIC = "topic-canary-4711"
KEY = Secret.of("key-canary-0815")
LETTER = Letter(
    NoticeEvent.FAILURE,
    "shop: deployment 12 failed",
    "shop: deployment 12 failed\nError: ümläut & <b>",
    {"project": "shop", "deployment": 12, "error": "\ud800"},
    "notice-7",
    datetime(2026, 3, 1, 12, 0, tzinfo=UTC),
)


@dataclass
class Way:
    """One way to send, and what arrived by it."""

    notifier: Notifier
    address: Callable[[int], Address]  #: of a server on this port
    server: HttpServer

    def send(self) -> None:
        self.notifier.send(self.address(self.server.port), LETTER)


def webhook(port: int, path: str = TOPIC) -> Address:
    return Address(Secret.of(f"http://127.0.0.1:{port}/{path}"), KEY)


def ntfy(port: int) -> Address:
    return parse_url(Secret.of(f"ntfy://127.0.0.1:{port}/{TOPIC}"))


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with HttpServer(lambda _: Answer(200, {"Content-Type": "application/json"}, b"{}")) as running:
        yield running


@pytest.fixture
def redactor() -> Redactor:
    return Redactor()


@pytest.fixture
def notifier(redactor: Redactor) -> ServiceNotifier:
    limit = timedelta(seconds=15)
    return ServiceNotifier(LocalRunner("tests"), SystemClock(), redactor, limit=limit)


@pytest.fixture(params=["webhook", "ntfy"])
def way(request: pytest.FixtureRequest, server: HttpServer, notifier: ServiceNotifier) -> Way:
    return Way(notifier, {"webhook": webhook, "ntfy": ntfy}[request.param], server)


def test_a_message_arrives_once(way: Way) -> None:
    """With its title and its text as they are."""
    way.send()
    (request,) = way.server.requests
    assert request.method == "POST"
    body = json.loads(request.body)
    assert body["title"] == LETTER.title
    assert body.get("text", body.get("message")) == LETTER.text


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(Answer(403, body=TOPIC.encode()), NotifyRefused, id="refused"),
        pytest.param(
            Answer(429, {"Retry-After": "120"}), NotifyThrottled, id="asked-to-be-left-alone"
        ),
        pytest.param(Answer(302, {"Location": "/x"}), NotifyRefused, id="sent-elsewhere"),
    ],
)
def test_each_refusal_is_said_without_the_address(
    way: Way,
    answer: Answer,
    expected: type[NotifyError],
    redactor: Redactor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No redirect is followed: the secret is for one server alone."""
    way.server.answer = lambda _: answer
    with caplog.at_level(logging.DEBUG), pytest.raises(expected) as caught:
        way.send()
    assert len(way.server.requests) == 1
    assert str(answer.status) in caught.value.message
    assert "canary" not in caught.value.message + repr(caught.value.evidence)
    assert "canary" not in redactor.redact(caplog.text), "as logs are written"
    if expected is NotifyThrottled:
        assert caught.value.retry_after == timedelta(minutes=2)


def test_a_server_that_is_not_there_is_worth_another_try(way: Way) -> None:
    with pytest.raises(NotifyError) as caught:
        way.notifier.send(way.address(free_port()), LETTER)
    assert not isinstance(caught.value, NotifyRefused)
    assert "canary" not in caught.value.message


def test_nobody_is_waited_for_without_end(server: HttpServer) -> None:
    """Neither a webhook that says nothing, nor a plugin that hangs: its process is ended."""

    def hang(_: Request) -> Answer:
        server.closing.wait(20)
        return Answer(200)

    server.answer = hang
    limit = timedelta(seconds=0.7)
    hasty = ServiceNotifier(LocalRunner("tests"), SystemClock(), Redactor(), limit=limit)
    for address in (webhook(server.port), ntfy(server.port)):
        with pytest.raises(NotifyUnreachable, match=r"within 0\.7 s"):
            hasty.send(address, LETTER)


def test_a_webhook_is_signed(server: HttpServer, notifier: ServiceNotifier) -> None:
    """Over the instant and the body, so that nobody else's, or an old one, is taken for it."""
    notifier.send(webhook(server.port), LETTER)
    (request,) = server.requests
    timestamp = request.headers["x-reconciler-timestamp"]
    signed = f"{timestamp}.".encode() + request.body
    expected = hmac.new(KEY.reveal().encode(), signed, hashlib.sha256).hexdigest()
    assert request.headers["x-reconciler-signature"] == f"sha256={expected}"
    assert abs(SystemClock().now().timestamp() - int(timestamp)) < 60
    assert request.headers["x-reconciler-delivery"] == "notice-7"
    assert request.headers["x-reconciler-event"] == "failure"
    assert json.loads(request.body)["facts"] == {"project": "shop", "deployment": 12, "error": "?"}


def test_a_url_is_tried_before_it_is_kept(notifier: ServiceNotifier) -> None:
    """By what will send to it, without sending."""
    notifier.check(webhook(1))
    notifier.check(parse_url(Secret.of("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ")))
    with pytest.raises(InvalidInput, match="slack") as caught:
        notifier.check(parse_url(Secret.of("slack://canary")))
    assert "canary" not in caught.value.message


def test_the_double_keeps_the_promises() -> None:
    double = RecordingNotifier(failures={"ntfy": [NotifyError("away")]}, unusable={"slack"})
    double.check(ntfy(1))
    with pytest.raises(InvalidInput):
        double.check(parse_url(Secret.of("slack://canary")))
    with pytest.raises(NotifyError):
        double.send(ntfy(1), LETTER)
    double.send(ntfy(1), LETTER)
    assert double.sent == [(ntfy(1), LETTER)]
