"""Channels: who is told of what, and what they were told."""

from typing import Annotated

from fastapi import Depends, Path, Request, Response

from reconciler.domain.channel import ChannelName, parse_channel_name
from reconciler.ports import OutboxKind
from reconciler.web.pagination import NewestPaged, Paged
from reconciler.web.principal import Policy, actor_of
from reconciler.web.routing import WITH_BODY, App, errors, router_for
from reconciler.web.schemas.channels import (
    ChangedChannel,
    ChannelBody,
    ChannelList,
    ChannelMade,
    ChannelTrialBody,
    NewChannel,
    NoticeBody,
    NoticeList,
)
from reconciler.web.subjects import About

reading = router_for(Policy.READ, "channels", About.DAEMON)
changing = router_for(Policy.ADMIN, "channels", About.DAEMON)


async def _channel_name(
    channel: Annotated[
        str,
        Path(
            description="Name of a channel.",
            examples=["ops"],
            json_schema_extra={"pattern": "^[a-z0-9][a-z0-9-]{0,62}$"},
        ),
    ],
) -> ChannelName:
    return parse_channel_name(channel)


Named = Annotated[ChannelName, Depends(_channel_name)]


@reading.get("/channels", summary="List the channels, by name", responses=errors(422))
def list_channels(application: App, page: Paged) -> ChannelList:
    """With how the newest sending to each went; never their addresses."""
    records = application.store.list_channels()
    found, following = page.by_name(records, lambda one: one.channel.name)
    return ChannelList(items=[ChannelBody.of(one) for one in found], next=following)


@changing.post(
    "/channels",
    status_code=201,
    summary="Declare a channel",
    responses=errors(404, 409, *WITH_BODY),
)
def create_channel(application: App, body: NewChannel, request: Request) -> ChannelMade:
    """It is told from now on. The key of a signed webhook is shown this once."""
    draft, now = body.draft(body.url), application.clock.now()
    channels = application.channels
    made = channels.create(body.name, body.project, draft, actor_of(request), now)
    return ChannelMade.of_opened(made)


@reading.get("/channels/{channel}", summary="Show a channel", responses=errors(404, 422))
def show_channel(application: App, channel: Named) -> ChannelBody:
    """With how the newest sending went; never its address."""
    return ChannelBody.of(application.store.get_channel(channel))


@changing.patch(
    "/channels/{channel}",
    summary="Change a channel",
    responses=errors(404, *WITH_BODY),
)
def change_channel(application: App, channel: Named, body: ChangedChannel) -> ChannelMade:
    """What is left out, or null, stays. A new address of a signed webhook gets a new key."""
    return ChannelMade.of_opened(application.channels.change(channel, body.draft(body.url)))


@changing.delete(
    "/channels/{channel}",
    status_code=204,
    summary="Remove a channel",
    responses=errors(404, 422),
)
def delete_channel(application: App, channel: Named) -> Response:
    """With what waits to be sent to it."""
    application.store.remove_channel(channel)
    return Response(status_code=204)


@changing.post(
    "/channels/{channel}/test",
    summary="Send a channel a test message now",
    responses=errors(404, 422),
)
def send_test_message(application: App, channel: Named) -> ChannelTrialBody:
    """Answers once its service did, within 15 s; it is not tried again."""
    return ChannelTrialBody.of(application.notices.try_out(channel))


@reading.get(
    "/channels/{channel}/messages",
    summary="What a channel was told, newest first",
    responses=errors(404, 422),
)
def list_messages(application: App, channel: Named, page: NewestPaged) -> NoticeList:
    """With what became of each; the newest 500 of all channels are kept."""
    store = application.store
    store.get_channel(channel)
    found = store.list_messages(
        OutboxKind.NOTICE, address=channel, before=page.before(), limit=page.limit + 1
    )
    shown, following = page.cut(found, lambda one: one.id)
    return NoticeList(items=[NoticeBody.of(one) for one in shown], next=following)
