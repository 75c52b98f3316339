"""Channels that tell people: how each fares, a new one, a test, and taking one away."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Request
from starlette.responses import HTMLResponse, Response

from reconciler.domain.channel import ChannelName, parse_channel_name
from reconciler.domain.errors import NotFound, ReconcilerError
from reconciler.domain.notice import USUAL_EVENTS, NoticeEvent
from reconciler.ports import ChannelRecord
from reconciler.web.api_channels import create_channel, delete_channel, send_test_message
from reconciler.web.pages.admin.audit_words import AuditLine
from reconciler.web.pages.admin.done import Did, Of, done
from reconciler.web.pages.forms import Fields, go, status_of
from reconciler.web.pages.frame import Frame, Framed
from reconciler.web.pages.rendering import page
from reconciler.web.principal import Policy
from reconciler.web.routing import App, router_for
from reconciler.web.schemas.channels import ChannelMade, NewChannel
from reconciler.web.subjects import About

reading = router_for(Policy.READ, "pages", About.DAEMON)
changing = router_for(Policy.ADMIN, "pages", About.DAEMON)

_PATH = "/admin/notifications"
_ONE = f"{_PATH}/{{channel}}"
#: Event → what it tells.
_EVENTS: Mapping[NoticeEvent, str] = {
    NoticeEvent.FAILURE: "a deployment failed",
    NoticeEvent.ROLLBACK: "it failed, and what ran before runs again",
    NoticeEvent.NEEDS_PERSON: "nothing goes on until somebody acts",
    NoticeEvent.RECOVERY: "what was told before is over",
    NoticeEvent.SUCCESS: "a deployment went well",
}
#: What was done before → as the audit log names it.
_ACTIONS: Mapping[str, str] = {"added": "channel.create", "removed": "channel.remove"}


async def _channel_name(channel: Annotated[str, Path(max_length=63)]) -> ChannelName:
    return parse_channel_name(channel)


@dataclass(frozen=True, slots=True)
class Came:
    """What came of what was done before the page is shown."""

    made: ChannelMade | None = None
    error: ReconcilerError | None = None
    done: AuditLine | None = None
    tested: ChannelRecord | None = None


Named = Annotated[ChannelName, Depends(_channel_name)]


@reading.get(_PATH, include_in_schema=False)
def show_channels(frame: Framed, did: Did = "", of: Of = "") -> HTMLResponse:
    """All of them, with how the newest sending to each went."""
    store = frame.application.store
    told = done(store, _ACTIONS.get(did, ""), f"channel {of}")
    return _page(frame, Came(done=told, tested=_find(frame, of) if did == "tested" else None))


@changing.post(_PATH, include_in_schema=False)
def add(application: App, request: Request, frame: Framed, fields: Fields) -> Response:
    """Declare one; the key of a signed webhook is shown here and now, and at no address."""
    try:
        made = create_channel(application, _asked(fields), request)
    except ReconcilerError as error:
        return _page(frame, Came(error=error), fields)
    if made.signing_key:
        return _page(frame, Came(made=made))
    return go(f"{_PATH}?did=added&of={made.name}")


@changing.post(f"{_ONE}/test", include_in_schema=False)
def test(application: App, channel: Named, fields: Fields) -> Response:
    """Send a message now; the page says what the service answered, as it was recorded."""
    del fields  # looked at by what reads them
    send_test_message(application, channel)
    return go(f"{_PATH}?did=tested&of={channel}")


@changing.get(f"{_ONE}/remove", include_in_schema=False)
def ask_to_remove(frame: Framed, channel: Named) -> HTMLResponse:
    """Who would hear of nothing any more."""
    record = frame.application.store.get_channel(channel)
    return page(frame, "admin/channel_remove.html", one=record)


@changing.post(f"{_ONE}/remove", include_in_schema=False)
def remove(application: App, channel: Named, fields: Fields) -> Response:
    """With what waits to be sent to it."""
    del fields
    delete_channel(application, channel)
    return go(f"{_PATH}?did=removed&of={channel}")


def _asked(fields: Mapping[str, str]) -> NewChannel:
    return NewChannel(
        name=fields.get("name", "").strip(),
        url=fields.get("url", "").strip(),
        project=fields.get("project", "").strip() or None,
        events=[event for event in NoticeEvent if f"event-{event}" in fields],
    )


def _find(frame: Frame, name: str) -> ChannelRecord | None:
    try:
        return frame.application.store.get_channel(ChannelName(name))
    except NotFound:
        return None


def _page(frame: Frame, came: Came, typed: Mapping[str, str] | None = None) -> HTMLResponse:
    usual = {f"event-{event}": "on" for event in USUAL_EVENTS}
    return page(
        frame,
        "admin/notifications.html",
        201 if came.made else status_of(came.error),
        channels=frame.application.store.list_channels(),
        events=_EVENTS,
        projects=[one.project.name for one in frame.summaries],
        came=came,
        error=came.error,
        typed=usual if typed is None else typed,
    )
