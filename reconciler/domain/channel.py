"""Channels: whom to tell, of what, and by which address."""

import ipaddress
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NewType
from urllib.parse import SplitResult, unquote, urlsplit

from reconciler.domain.errors import InvalidInput
from reconciler.domain.notice import NoticeEvent, Wants
from reconciler.domain.references import ProjectName
from reconciler.domain.secret import Secret

ChannelName = NewType("ChannelName", str)

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SCHEME = re.compile(r"[a-z0-9]{1,20}")
_LONGEST_URL = 2000
LONGEST_TEMPLATE = 4000
#: Shorter parts of a URL are words like ``hooks``, which stand in any text.
_SHORTEST_SECRET = 8
_REMINDERS = range(600, 366 * 86400)
#: Schemes of our own signed webhook.
WEBHOOKS = frozenset({"https", "http"})

#: Services that are reached at their own addresses on the internet.
_HOSTED = frozenset(
    [
        "46elks",
        "brevo",
        "bulksms",
        "clickatell",
        "clicksend",
        "cliq",
        "discord",
        "flock",
        "gchat",
        "groupme",
        "ifttt",
        "ilert",
        "incidentio",
        "jira",
        "lark",
        "line",
        "mailgun",
        "nexmo",
        "notifiarr",
        "o365",
        "onesignal",
        "opsgenie",
        "pagerduty",
        "pagertree",
        "pbul",
        "plivo",
        "postmark",
        "pover",
        "prowl",
        "push",
        "pushed",
        "pushme",
        "pushy",
        "revolt",
        "schan",
        "sendgrid",
        "signl4",
        "simplepush",
        "slack",
        "ses",
        "smtp2go",
        "sparkpost",
        "splunk",
        "spush",
        "squadcast",
        "tgram",
        "twilio",
        "twist",
        "victorops",
        "vonage",
        "webex",
        "whatsapp",
        "wecombot",
        "wxpusher",
        "wxteams",
        "zulip",
        "zoom",
        "betterstack",
    ]
)
#: Services that people run themselves, at the host that the URL names.
_SELF_HOSTED = frozenset(
    [
        "apprise",
        "apprises",
        "bark",
        "barks",
        "gotify",
        "gotifys",
        "gorush",
        "gorushs",
        "hassio",
        "hassios",
        "humhub",
        "humhubs",
        "mailto",
        "mailtos",
        "mastodon",
        "mastodons",
        "toot",
        "toots",
        "matrix",
        "matrixs",
        "misskey",
        "misskeys",
        "mmost",
        "mmosts",
        "nctalk",
        "nctalks",
        "ncloud",
        "nclouds",
        "ntfy",
        "ntfys",
        "notica",
        "noticas",
        "pushdeer",
        "pushdeers",
        "rocket",
        "rockets",
        "signal",
        "signals",
        "synology",
        "synologys",
        "workflow",
        "workflows",
    ]
)
SERVICES = _HOSTED | _SELF_HOSTED | WEBHOOKS

#: Of these, why not.
_REFUSED: Mapping[str, str] = {
    **dict.fromkeys(
        ("json", "jsons", "xml", "xmls", "form", "forms"),
        "reaches any server without a signature; give the address itself (https://…), which is "
        "our own signed webhook",
    ),
    **dict.fromkeys(
        ("file", "config", "notify", "include"), "reads files of the daemon's own machine"
    ),
    **dict.fromkeys(
        ("dbus", "qt", "kde", "glib", "gio", "gnome", "windows", "macosx", "syslog", "blink1"),
        "tells the daemon's own machine, where nobody looks",
    ),
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where messages go. All of it is secret."""

    url: Secret
    key: Secret | None = None  #: that our own webhook is signed with

    @property
    def service(self) -> str:
        """Its scheme, which may be shown."""
        return urlsplit(self.url.reveal()).scheme.lower()


@dataclass(frozen=True, slots=True)
class Channel:
    """A way to tell people, as it was declared; its address is kept apart."""

    name: ChannelName
    created_at: datetime
    project: ProjectName | None = None  #: None: of all
    wants: Wants = field(default_factory=Wants)
    template: str = ""  #: empty: the usual one
    created_by: str = ""


def parse_channel_name(text: str) -> ChannelName:
    """Return ``text`` as the name of a channel. Raises ``InvalidInput``."""
    if not _NAME.fullmatch(text):
        problem = "must be 1 to 63 of a-z, 0-9 and '-', starting with a letter or digit"
        raise InvalidInput("name", text, problem)
    return ChannelName(text)


def parse_events(texts: Collection[str]) -> frozenset[NoticeEvent]:
    """Return the events that are named. Raises ``InvalidInput``."""
    known = {str(event): event for event in NoticeEvent}
    for text in texts:
        if text not in known:
            raise InvalidInput("events", text, f"is none of {', '.join(known)}")
    if not texts:
        raise InvalidInput("events", None, f"name at least one of {', '.join(known)}")
    return frozenset(known[text] for text in texts)


def parse_reminder(seconds: int) -> timedelta:
    """Return after how long a trouble is told again; zero: never. Raises ``InvalidInput``."""
    if seconds != 0 and seconds not in _REMINDERS:
        problem = f"must be 0 (never), or from {_REMINDERS.start} s to a year"
        raise InvalidInput("remind_after_seconds", seconds, problem)
    return timedelta(seconds=seconds)


def parse_url(url: Secret) -> Address:
    """Return the address that ``url`` is, without a key.

    Raises:
        InvalidInput: not a URL, or of a service that is not used; never shows it.
    """
    text = url.reveal().strip()
    if not text.isprintable() or " " in text or len(text) > _LONGEST_URL:
        problem = f"must be one printable URL of at most {_LONGEST_URL} characters, without spaces"
        raise InvalidInput("url", None, problem)
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    if not separator or not rest or not _SCHEME.fullmatch(scheme):
        problem = "must be a URL such as ntfys://TOPIC, slack://… or https://HOST/PATH"
        raise InvalidInput("url", None, problem)
    if (problem := _REFUSED.get(scheme, "")) or scheme not in SERVICES:
        problem = problem or "is no service that is known here; docs/notifications.md lists them"
        raise InvalidInput("url", f"{scheme}://…", problem)
    parts = _split(f"{scheme}://{rest}")
    if scheme in WEBHOOKS:
        _check_webhook(parts)
    return Address(Secret.of(parts.geturl()))


def secrets_of(address: Address) -> list[Secret]:
    """Return each text of an address that must not be seen anywhere."""
    parts = urlsplit(address.url.reveal())
    # Without a path the host is none: `ntfys://TOPIC`, `matrix://TOKEN`.
    names_host = parts.scheme in WEBHOOKS | _SELF_HOSTED and parts.path.strip("/")
    host = "" if names_host else parts.netloc.rpartition("@")[2]
    pieces = [parts.username, parts.password, host, parts.path, *parts.path.split("/")]
    pieces += [value for pair in parts.query.split("&") if (value := pair.partition("=")[2])]
    texts = {form for piece in pieces if piece for form in (piece, unquote(piece))}
    whole = [address.url, *([address.key] if address.key else [])]
    return [*whole, *(Secret.of(text) for text in texts if len(text) >= _SHORTEST_SECRET)]


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        if parts.scheme in WEBHOOKS:  # others have tokens where a port would be
            _ = parts.port
    except ValueError:
        raise InvalidInput("url", None, "has a host or port that is none") from None
    return parts


def _check_webhook(parts: SplitResult) -> None:
    if not parts.hostname:
        raise InvalidInput("url", None, "names no host")
    if parts.username is not None or parts.password is not None:
        problem = "takes no name and password: messages are signed instead"
        raise InvalidInput("url", None, problem)
    if parts.fragment:
        raise InvalidInput("url", None, "has a fragment, which is never sent")
    if parts.scheme == "http" and _is_public_ip(parts.hostname):
        raise InvalidInput("url", "http://…", "is for this machine and network alone; use https://")


def _is_public_ip(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return False  # a name: it is looked up when something is sent
