"""Telling a forge how commits fare: what is sent, when it is given up, and who never waits."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from reconciler.adapters.forges.http_forges import HttpForges
from reconciler.domain.errors import CommandFailed
from reconciler.domain.forge import WebAddress
from reconciler.domain.project import ExternalSource
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import BranchName, GitUrl
from reconciler.domain.secret import Secret
from reconciler.domain.webhook import Provider
from reconciler.pipeline.commit_statuses import CommitStatuses
from reconciler.pipeline.declaring.secrets import SecretDraft, put_secret
from reconciler.ports import Message
from tests.parts.forge import REPOSITORY, TOKEN, Forge
from tests.parts.http_server import Answer, Request
from tests.parts.waiting import eventually
from tests.unit.pipeline.conftest import WEB, A, B, World
from tests.unit.pipeline.states import declare, explain, fails, rolls_back

HOUR = timedelta(hours=1)
CONTEXT = "reconciler/web"


@pytest.fixture
def forge() -> Iterator[Forge]:
    with Forge(Provider.FORGEJO) as running:
        yield running


@pytest.fixture
def statuses(world: World, forge: Forge) -> CommitStatuses:
    """The project tells the forge, with a token that it knows."""
    source = ExternalSource(GitUrl.parse(f"https://git.example/{REPOSITORY}.git"), BranchName("m"))
    url = WebAddress.parse(forge.url)
    declare(world, source=source, commit_statuses=True, forge=Provider.FORGEJO, forge_url=url)
    put_secret(world.store, WEB, SecretDraft("forge-token", Secret.of(TOKEN)), world.clock.now())
    own = WebAddress.parse("https://deploy.example")
    forges = HttpForges(world.clock, limit=timedelta(seconds=5))
    return CommitStatuses(world.store, world.clock, forges, "me", own, lambda: 0.5)


def last(world: World) -> Message:
    found = world.store.last_status(WEB)
    assert found
    return found


def seen(forge: Forge) -> list[str]:
    return [one.state for one in forge.statuses]


def test_each_step_is_told_once(world: World, forge: Forge, statuses: CommitStatuses) -> None:
    """With a link to the deployment, whatever is asked for in between."""
    world.trigger(A)
    statuses.send()
    claim = world.claim()
    for _ in range(3):
        statuses.send()
    world.roll_out(claim)
    statuses.send()
    assert seen(forge) == ["pending", "pending", "success"]
    assert len(forge.requests) == 3
    newest = forge.newest_status(A.text, CONTEXT)
    assert newest
    assert newest.url == "https://deploy.example/deployments/1"
    assert newest.description == "Deployment 1 runs, and is verified"


def test_without_an_address_of_ours_there_is_no_link(
    world: World, forge: Forge, statuses: CommitStatuses
) -> None:
    statuses.public_url = None
    world.trigger(A)
    statuses.send()
    assert forge.statuses[0].url is None


def test_a_way_back_is_a_failure(world: World, forge: Forge, statuses: CommitStatuses) -> None:
    """Of the commit that failed; the one that runs again is as good as it was."""
    rolls_back(world)
    statuses.send()
    good, bad = (forge.newest_status(commit.text, CONTEXT) for commit in (A, B))
    assert good
    assert bad
    assert (good.state, bad.state) == ("success", "failure")
    assert "was rolled back" in bad.description


def test_what_went_wrong_is_no_business_of_the_forge(
    world: World, forge: Forge, statuses: CommitStatuses
) -> None:
    """Its readers are not ours: the code is told, and no message."""
    fails(world, CommandFailed("/srv/shop/.env has no PASSWORD=hunter2", host="10.0.0.7"))
    statuses.send()
    sent = forge.requests[-1].body.decode()
    assert "command-failed" in sent
    assert not [word for word in ("srv", "hunter2", "10.0.0.7") if word in sent]


def test_a_forge_that_is_down_for_an_hour_hears_the_end_alone(
    world: World, forge: Forge, statuses: CommitStatuses
) -> None:
    """It is asked ever more rarely meanwhile, and `why` says what is the matter."""
    forge.instead = Answer(502)
    world.trigger(A)
    statuses.send()
    world.roll_out()
    for _ in range(60):
        statuses.send()
        world.clock.advance(HOUR / 60)
    assert 10 <= len(forge.requests) <= 20
    (untold,) = [one for one in explain(world) if one.code == ReasonCode.STATUS_UNTOLD]
    assert "HTTP 502" in untold.text
    assert "waits for another try" in untold.text
    forge.instead = None
    world.clock.advance(timedelta(minutes=6))
    statuses.send()
    assert seen(forge) == ["success"]
    assert ReasonCode.STATUS_UNTOLD not in {one.code for one in explain(world)}


def test_a_forge_that_wants_rest_is_left_alone(
    world: World, forge: Forge, statuses: CommitStatuses
) -> None:
    """By what comes later, too: for as long as it said."""
    forge.instead = Answer(429, {"Retry-After": "3000"})
    world.trigger(A)
    statuses.send()
    forge.instead = None
    world.roll_out()
    world.clock.advance(timedelta(seconds=2000))
    statuses.send()
    assert len(forge.requests) == 1
    world.clock.advance(timedelta(seconds=2000))
    statuses.send()
    assert seen(forge) == ["success"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(Answer(401), "does not accept the token", id="401"),
        pytest.param(Answer(403), "does not let this token", id="403"),
        pytest.param(Answer(404), "has no repository", id="404"),
        pytest.param(
            Answer(422, body=b'{"message": "no such commit"}'), "no such commit", id="422"
        ),
        pytest.param(Answer(307, {"Location": "/elsewhere"}), "sends us elsewhere", id="307"),
    ],
)
def test_what_time_does_not_mend_is_given_up(
    world: World, forge: Forge, statuses: CommitStatuses, answer: Answer, words: str
) -> None:
    """At once, and why it was is told; the next status is tried again."""
    forge.instead = answer
    world.trigger(A)
    statuses.send()
    world.clock.advance(HOUR)
    statuses.send()
    assert len(forge.requests) == 1
    assert last(world).settled_at
    assert words in last(world).error
    assert TOKEN not in last(world).error
    (untold,) = [one for one in explain(world) if one.code == ReasonCode.STATUS_UNTOLD]
    assert words in untold.text
    assert untold.evidence["commit"] == A.text
    forge.instead = None
    world.roll_out()
    statuses.send()
    assert seen(forge) == ["success"]


def test_a_bug_is_given_up_too(world: World, forge: Forge, statuses: CommitStatuses) -> None:
    """Else it would come back for ever, and end the pass for those behind it."""
    forge.instead = Answer(502)
    statuses.spread = lambda: 1 / 0
    world.trigger(A)
    statuses.send()
    assert last(world).settled_at
    assert last(world).error == "unexpected: ZeroDivisionError"


def test_a_day_is_enough(world: World, forge: Forge, statuses: CommitStatuses) -> None:
    forge.instead = Answer(502)
    world.trigger(A)
    statuses.send()
    world.clock.advance(HOUR * 25)
    statuses.send()
    assert last(world).settled_at


def test_the_token_goes_to_its_forge_alone(
    world: World, forge: Forge, statuses: CommitStatuses
) -> None:
    """Who points the project elsewhere loses it, and is told what is missing."""
    with Forge(Provider.FORGEJO) as other:
        declare(world, forge_url=WebAddress.parse(other.url))
        assert world.store.list_secrets(WEB) == []
        world.trigger(A)
        statuses.send()
        assert other.requests == forge.requests == []
    assert f"`reconciler secret set {WEB} forge-token`" in last(world).error


def test_switched_off_it_tells_nothing_more(
    world: World, forge: Forge, statuses: CommitStatuses
) -> None:
    """Also not what waits already."""
    world.trigger(A)
    declare(world, commit_statuses=False)
    statuses.send()
    assert forge.requests == []
    assert last(world).settled_at


def test_a_project_that_is_gone_is_no_trouble(
    world: World, forge: Forge, statuses: CommitStatuses
) -> None:
    world.trigger(A)
    world.store.remove_project(WEB)
    statuses.send()
    assert forge.requests == []
    assert statuses.store.claim_status("me", lease=HOUR) is None


def test_a_deployment_never_waits_for_the_forge(
    world: World, forge: Forge, statuses: CommitStatuses
) -> None:
    """While the forge holds on to a request, the deployment goes to its end."""
    asked, answer = threading.Event(), threading.Event()

    def hold(request: Request) -> Answer:
        asked.set()
        answer.wait(10)
        return usual(request)

    usual = forge._http.answer
    forge._http.answer = hold
    world.trigger(A)
    sender = threading.Thread(target=statuses.send)
    sender.start()
    try:
        assert asked.wait(5)
        assert world.roll_out().status.final
        assert sender.is_alive()
    finally:
        answer.set()
        sender.join(10)
    assert seen(forge) == ["pending", "success"]
    eventually(lambda: last(world).settled_at, what="both were told")


def test_with_gitlab_the_words_differ(world: World, statuses: CommitStatuses) -> None:
    """What its machine of states refuses, for it says nothing new, is no trouble."""
    with Forge(Provider.GITLAB) as gitlab:
        url = WebAddress.parse(gitlab.url)
        declare(world, forge=Provider.GITLAB, forge_url=url)
        put_secret(
            world.store, WEB, SecretDraft("forge-token", Secret.of(TOKEN)), world.clock.now()
        )
        for _ in range(2):
            world.trigger(A, force=True)
            statuses.send()
            claim = world.claim()
            statuses.send()
            world.roll_out(claim)
            statuses.send()
        assert seen(gitlab) == ["pending", "running", "success"] * 2
    assert not last(world).error
