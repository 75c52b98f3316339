"""What happens is told to each who follows, in order, once; who was away too long begins anew."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any

from reconciler.domain.errors import StoreError
from reconciler.web.feed import Feed
from reconciler.web.happenings import Happening, Scene, Thing

Event = tuple[str, str, Any]


class Sights:
    """What is to be seen: numbers, each of a project."""

    def __init__(self) -> None:
        self.numbers = {"shop": 0, "blog": 0}
        self.looks = 0
        self.broken = False

    def mark(self) -> str:
        if self.broken:
            raise StoreError("the database did not answer")
        return json.dumps(self.numbers)

    def look(self, before: Scene) -> Scene:
        self.looks += 1
        parts = {("daemon", ""): ("", "ready"), ("switch", ""): ("", "on")}
        parts |= {("project", name): (name, str(one)) for name, one in self.numbers.items()}
        return Scene(
            {
                place: Thing(text, Happening(place[0], project, json.dumps(text)))
                for place, (project, text) in parts.items()
            }
        )


def run(story: Coroutine[Any, Any, None]) -> None:
    """Run it in a thread of its own: a browser of other tests keeps a loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, story).result(50)


def parse(chunk: bytes) -> Event:
    found = dict(line.split(": ", 1) for line in chunk.decode().strip().split("\n"))
    return found.get("id", ""), found["event"], json.loads(found["data"])


async def following(feed: Feed, project: str = "", last_id: str = "") -> AsyncIterator[Event]:
    await feed.ready()
    async with aclosing(feed.follow({project} if project else None, last_id)) as chunks:  # type: ignore[type-var]
        async for chunk in chunks:
            if not chunk.startswith((b"retry", b":")):
                yield parse(chunk)


def test_a_snapshot_and_then_what_changes() -> None:
    """One look serves all; where nothing changed there is none."""

    async def story() -> None:
        sights = Sights()
        feed = Feed(sights, pause_seconds=0.01)
        first, second = following(feed), following(feed, "blog")
        (_, kind, all_of_it), (_, _, one) = await anext(first), await anext(second)
        assert kind == "snapshot"
        assert (all_of_it["projects"], one["projects"]) == (["0", "0"], ["0"])
        assert one["daemon"] == "ready"
        await asyncio.sleep(0.1)
        assert sights.looks == 1
        sights.numbers["shop"] = 1
        assert (await anext(first))[1:] == ("project", "1")
        del sights.numbers["blog"]
        assert (await anext(first))[1:] == ("project-removed", {"name": "blog"})
        assert (await anext(second))[1:] == ("project-removed", {"name": "blog"})
        feed.stop()
        assert [one async for one in first] == []

    run(story())


def test_what_the_clock_alone_changes_is_seen_too() -> None:
    """A window opens, a freeze ends: nothing is written then."""

    async def story() -> None:
        sights = Sights()
        feed = Feed(Unmarked(sights), pause_seconds=0.01, look_anyway_seconds=0.05)
        follower = following(feed)
        await anext(follower)
        sights.numbers["shop"] = 1
        assert (await anext(follower))[1:] == ("project", "1")
        feed.stop()

    run(story())


class Unmarked:
    """Where no mark tells that something changed."""

    def __init__(self, sights: Sights) -> None:
        self.look = sights.look

    def mark(self) -> str:
        return ""


def test_a_broken_stream_goes_on() -> None:
    """After its last event, with what came meanwhile; its own project's events alone."""

    async def story() -> None:
        sights = Sights()
        feed = Feed(sights, pause_seconds=0.01)
        stays = following(feed)
        last, _, _ = await anext(stays)
        for number in (1, 2, 3):
            sights.numbers["shop"] = number
            assert (await anext(stays))[2] == str(number)
        again = following(feed, last_id=last)
        missed = [await anext(again) for _ in range(3)]
        assert [data for _, _, data in missed] == ["1", "2", "3"]
        later = following(feed, "blog", last_id=missed[1][0])
        sights.numbers = {"shop": 4, "blog": 9}
        assert (await anext(later))[1:] == ("project", "9")
        assert (await anext(again))[1:] == ("project", "4")
        feed.stop()

    run(story())


def test_a_page_goes_on_from_the_moment_it_was_made_at() -> None:
    """Nothing that happens after that moment is missed, and there is no snapshot to read."""

    async def story() -> None:
        sights = Sights()
        feed = Feed(sights, pause_seconds=30)  # nobody looks meanwhile but who asks for now
        _, position = await feed.now()
        sights.numbers["shop"] = 1
        scene, later = await feed.now()
        assert scene.things["project", "shop"].fact == "1"
        assert sights.looks == 2
        page = aiter_changes(feed, position)
        assert (await anext(page))[1:] == ("project", "1")
        unknown = aiter_changes(feed, "0-1")
        assert await anext(unknown) == (later, "reset", {})
        feed.stop()

    run(story())


async def aiter_changes(feed: Feed, position: str) -> AsyncIterator[Event]:
    async for chunk in feed.follow(None, position, changes_only=True):
        if not chunk.startswith(b"retry"):
            yield parse(chunk)


def test_a_later_project_of_a_name_is_another() -> None:
    """Whoever follows it is told nothing of the earlier one but that it went."""

    async def story() -> None:
        sights = Sights()
        feed = Feed(sights, pause_seconds=0.01)
        stays = following(feed)
        last, _, _ = await anext(stays)
        for name, text in (("shop", "1"), ("blog", "2"), ("shop", "3")):
            sights.numbers[name] = int(text)
            assert (await anext(stays))[2] == text
        del sights.numbers["blog"]
        assert (await anext(stays))[1] == "project-removed"
        sights.numbers["blog"] = 4
        assert (await anext(stays))[2] == "4"
        again = following(feed, "blog", last_id=last)
        assert [(await anext(again))[1:] for _ in range(2)] == [
            ("project-removed", {"name": "blog"}),
            ("project", "4"),
        ]
        feed.stop()

    run(story())


def test_what_can_not_be_gone_on_with() -> None:
    """An id of an earlier life, from before what is kept, or none of ours: all is told anew."""

    async def story() -> None:
        sights = Sights()
        feed = Feed(sights, pause_seconds=0.001)
        stays = following(feed)
        first, _, _ = await anext(stays)
        life = first.partition("-")[0]
        for number in range(2001):
            feed._publish(Happening("project", "shop", str(number)))
            if number % 500 == 0:
                [await anext(stays) for _ in range(min(number, 500) or 1)]
        for unknown in (first, f"{life}-99999", f"{life}-", "0-1", "x", f"{life}-{'9' * 30}"):
            away = following(feed, last_id=unknown)
            assert (await anext(away))[1] == "reset"
            assert (await anext(away))[1] == "snapshot"
        feed.stop()

    run(story())


def test_who_reads_too_slowly_is_let_go() -> None:
    """What waits for one reader is bounded; the others get on."""

    async def story() -> None:
        feed = Feed(Sights(), pause_seconds=0.01)
        slow = following(feed)
        await anext(slow)
        for number in range(1500):
            feed._publish(Happening("project", "shop", str(number)))
        assert [one async for one in slow] == []
        assert not feed.full
        feed.stop()

    run(story())


def test_so_many_may_follow_and_no_more() -> None:
    """Whoever goes makes room."""

    async def story() -> None:
        feed = Feed(Sights(), pause_seconds=0.01)
        every = [following(feed) for _ in range(64)]
        for one in every:
            await anext(one)
        full = [feed.full]
        await every[0].aclose()  # type: ignore[attr-defined]  # a generator
        assert [*full, feed.full] == [True, False]
        feed.stop()

    run(story())


def test_a_store_that_fails_is_asked_again() -> None:
    """Who follows hears of the change once it can be read."""

    async def story() -> None:
        sights = Sights()
        feed = Feed(sights, pause_seconds=0.01)
        follows = following(feed)
        await anext(follows)
        sights.broken, sights.numbers["shop"] = True, 5
        await asyncio.sleep(0.05)
        sights.broken = False
        assert (await anext(follows))[2] == "5"
        feed.stop()

    run(story())
