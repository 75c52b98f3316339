"""What senders may cost before anybody knows who they are."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from reconciler.web.webhook_bounds import BodyBudget, Rate

PUT_OFF = (429, {"retry-after": "1", "connection": "close"})


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Slow:
    """A request whose body stops in the middle, until it is told to go on."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.go_on = asyncio.Event()

    async def stream(self) -> AsyncIterator[bytes]:
        yield b"x" * self.size
        await self.go_on.wait()


def take(rate: Rate, address: str) -> bool:
    try:
        rate.take(address)
    except HTTPException as refused:
        return (refused.status_code, dict(refused.headers or {})) != PUT_OFF
    return True


def test_one_address_can_not_knock_without_end() -> None:
    """A thousand a second are no trouble; many more are put off, and others' are not."""
    clock = Clock()
    rate = Rate(clock)
    for _ in range(10):
        assert all(take(rate, "10.0.0.7") for _ in range(1000))
        clock.seconds += 1
    assert sum(take(rate, "10.0.0.7") for _ in range(10_000)) < 5000
    assert not take(rate, "10.0.0.7")
    assert take(rate, "10.0.0.8")
    clock.seconds += 1
    assert take(rate, "10.0.0.7")


def test_many_addresses_take_no_more_room_than_a_few() -> None:
    """The longest unseen is forgotten."""
    rate = Rate(Clock())
    for number in range(5000):
        assert take(rate, f"10.0.{number >> 8}.{number & 255}")
    assert len(rate) <= 1024


def test_bodies_that_never_end_fill_no_memory() -> None:
    """What is over the bound of all together is put off; what ends makes room."""

    async def scenario() -> None:
        budget = BodyBudget()
        slow = [Slow(1 << 20) for _ in range(64)]
        reads = [asyncio.create_task(budget.read(cast("Request", one))) for one in slow]
        await asyncio.sleep(0)
        one_more = Slow(1)
        with pytest.raises(HTTPException) as refused:
            await budget.read(cast("Request", one_more))
        assert refused.value.status_code == 503
        for one in slow:
            one.go_on.set()
        assert {len(body) for body in await asyncio.gather(*reads)} == {1 << 20}
        one_more.go_on.set()
        assert await budget.read(cast("Request", one_more)) == b"x"

    # In a thread of its own: a browser of another test leaves a loop in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, scenario()).result(50)
