"""A, then B, then A again: the branch's word is followed each time, whatever ran before."""

import pytest

from tests.parts.shop import Shop
from tests.parts.waiting import eventually

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]


def _force(shop: Shop, commit: str) -> None:
    assert shop.push(None, f"+{commit}:refs/heads/main", force=True).ok


@pytest.mark.slow
def test_a_b_a_each_time_after_the_other_has_ended(shop: Shop) -> None:
    """Three deployments, the last of A, and A runs."""
    a = shop.push(shop.version("a")).commit
    shop.deployed(1, commit=a)
    b = shop.push(shop.version("b")).commit
    shop.deployed(2, commit=b)
    _force(shop, a)
    shop.deployed(3, commit=a)
    assert shop.running_version() == "a"
    assert shop.shown()["state"] == "in-sync"


def test_a_b_a_in_one_go(shop: Shop) -> None:
    """While A runs its course, B and then A again come: A is what runs in the end."""
    a = shop.push(shop.version("a")).commit
    shop.daemon.in_stage(shop.name, "verify")
    shop.push(shop.version("b"))
    _force(shop, a)
    eventually(lambda: shop.shown()["state"] == "in-sync", within=40, what="all is deployed")
    assert shop.running_version() == "a"
    assert shop.shown()["live"]["commit"] == a
    assert shop.all()[-1]["status"] in {"deployed", "superseded", "withdrawn"}
    shop.look()
    shop.settled()
    assert shop.running_version() == "a"


def test_a_person_goes_back_and_the_next_push_goes_on(shop: Shop) -> None:
    """A rollback stays until the branch moves: no trigger undoes what a person did."""
    shop.push(shop.version("a"))
    shop.deployed(1)
    b = shop.push(shop.version("b")).commit
    shop.deployed(2, commit=b)
    said = shop.daemon.cli("rollback", shop.name, "--wait")
    assert said.status == 0, said
    assert shop.running_version() == "a"
    shop.look()
    shop.look()
    assert len(shop.all()) == 3
    assert shop.running_version() == "a"
    c = shop.push(shop.version("c")).commit
    shop.deployed(4, commit=c)
    assert shop.running_version() == "c"
    assert_receipts(shop)


def assert_receipts(shop: Shop) -> None:
    """F8: each that ended has one, whole, and the newest is compared with what really runs."""
    # The daemon is shared: others' deployments have receipts before these.
    newest = shop.daemon.get("receipts")["items"][0]["number"]
    whole = shop.daemon.cli("receipt", "verify", "--all")
    expected = f"receipts: {newest}, all as they were signed"
    assert (whole.status, expected in whole.out) == (0, True), whole
    same = shop.daemon.cli("receipt", "verify", "--live", shop.name)
    assert (same.status, f"what runs is what receipt {newest} says" in same.out) == (0, True), same
    shop.engine.docker("rm", "--force", shop.running()["Id"])
    gone = shop.daemon.cli("receipt", "verify", "--live", shop.name)
    assert (gone.status, "0 of 1 are there" in gone.out) == (1, True), gone
