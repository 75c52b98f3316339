"""What every ``Forges`` promises, for each forge.

Against the doubles, and against a real one that these variables name: ``FORGE_PROVIDER``,
``FORGE_API`` (https://git.example/api/v1), ``FORGE_REPOSITORY`` (team/app), ``FORGE_TOKEN``;
``FORGE_COMMIT``, one that is in it, for commit statuses.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.adapters.forges.http_forges import HttpForges
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.commit_status import CommitState, CommitStatus
from reconciler.domain.errors import (
    ForgeDenied,
    ForgeError,
    ForgeProtocolError,
    ForgeRefused,
    ForgeRepositoryMissing,
    ForgeThrottled,
    ForgeUnreachable,
)
from reconciler.domain.forge import REGISTRABLE, ForgeRepository
from reconciler.domain.references import CommitSha
from reconciler.domain.secret import Secret
from reconciler.domain.webhook import Provider
from reconciler.ports import ForgeHook, Forges
from tests.parts.certificates import CertificateAuthority
from tests.parts.child import free_port
from tests.parts.forge import TOKEN, Forge, Told, token
from tests.parts.http_server import Answer
from tests.parts.waiting import eventually

HOOK = ForgeHook("https://deploy.example/webhook/app", Secret.of("a-secret-canary-of-ours"))
_GIVEN = [
    os.environ.get(name)
    for name in ("FORGE_PROVIDER", "FORGE_API", "FORGE_REPOSITORY", "FORGE_TOKEN")
]


@dataclass
class Place:
    """A repository at a forge."""

    repository: ForgeRepository
    token: Secret
    double: Forge | None = None


@pytest.fixture(params=[*REGISTRABLE, *(["real"] if all(_GIVEN) else [])], ids=str)
def place(request: pytest.FixtureRequest, forges: Forges) -> Iterator[Place]:
    if request.param == "real":
        provider, api, path, secret = map(str, _GIVEN)
        real = Place(ForgeRepository(Provider(provider), api, path), Secret.of(secret))
        yield real
        forges.remove_hook(real.repository, real.token, put(forges, real))
        return
    with Forge(request.param, delivers=False) as running:
        yield Place(running.repository, token(), running)


@pytest.fixture
def forges() -> Forges:
    return HttpForges(SystemClock())


def put(forges: Forges, place: Place, hook: ForgeHook = HOOK) -> str:
    return forges.put_hook(place.repository, place.token, hook).id


def test_the_hook_is_made_once(forges: Forges, place: Place) -> None:
    """Asked again it is brought up to date: with its secret, and beside those of others."""
    if place.double:
        for number in range(5):  # more than fit on a page
            place.double.add_hook(f"https://other.example/{number}")
        place.double.add_hook(f"{HOOK.url}2")
    assert forges.put_hook(place.repository, place.token, HOOK).created
    again = forges.put_hook(place.repository, place.token, HOOK)
    assert not again.created
    if place.double:
        (ours,) = place.double.with_address(HOOK.url)
        assert (str(ours.id), ours.secret) == (again.id, HOOK.secret.reveal())
        assert len(place.double.hooks) == 7


def test_another_secret_reaches_the_forge(forges: Forges, place: Place) -> None:
    """Of those forges, too, that leave it as it was when a webhook is edited."""
    put(forges, place)
    changed = replace(HOOK, secret=Secret.of("another-secret-of-ours"))
    put(forges, place, changed)
    if place.double:
        (ours,) = place.double.with_address(HOOK.url)
        assert ours.secret == changed.secret.reveal()


def test_our_address_may_change(forges: Forges, place: Place) -> None:
    """The one that was registered before is brought along; no stranger's is touched."""
    before = put(forges, place)
    moved = replace(HOOK, url="https://new.example/webhook/app", known_as=before)
    put(forges, place, moved)
    if place.double:
        assert [hook.url for hook in place.double.hooks.values()] == [moved.url]
        foreign = place.double.add_hook("https://other.example/webhook/other")
        put(forges, place, replace(HOOK, known_as=str(foreign.id)))
        assert len(place.double.hooks) == 3


def test_of_several_that_are_ours_one_is_kept(forges: Forges, place: Place) -> None:
    """As two at once may have made them."""
    if place.double:
        for _ in range(3):
            place.double.add_hook(HOOK.url)
        put(forges, place)
        assert len(place.double.with_address(HOOK.url)) == 1


def test_it_is_removed_once(forges: Forges, place: Place) -> None:
    """And again without harm."""
    number = put(forges, place)
    for _ in range(2):
        forges.remove_hook(place.repository, place.token, number)
    elsewhere = replace(place.repository, path="team/no-such-thing")
    with pytest.raises(ForgeRepositoryMissing):
        forges.remove_hook(elsewhere, place.token, number)
    if place.double:
        assert place.double.hooks == {}


def test_who_may_not_is_told_what_is_needed(forges: Forges, place: Place) -> None:
    """In the forge's own words for it."""
    stranger = replace(place, token=Secret.of("no-such-token"))
    with pytest.raises(ForgeDenied) as denied:
        put(forges, stranger)
    words = {
        Provider.GITHUB: "admin:repo_hook",
        Provider.GITLAB: "Maintainer",
        Provider.GOGS: "administrator of the repository",
    }
    wanted = words.get(place.repository.provider, "write:repository")
    assert wanted in denied.value.remedy
    elsewhere = replace(place, repository=replace(place.repository, path="team/no-such-thing"))
    with pytest.raises(ForgeRepositoryMissing, match="team/no-such-thing") as missing:
        put(forges, elsewhere)
    assert wanted in missing.value.remedy


def test_it_sends_a_test(forges: Forges, place: Place) -> None:
    """Which only Gogs can't be asked for."""
    with Forge(Provider.GITEA) as receiver:  # whatever answers there
        number = put(forges, place, replace(HOOK, url=f"{receiver.url}/webhook/app"))
        if place.double:
            place.double.delivers = True
        sent = _try(forges, place, number)
        assert sent == (place.repository.provider is not Provider.GOGS)
        if place.double and sent:
            eventually(lambda: place.double and place.double.answered, what="it was delivered")


COMMIT = CommitSha(os.environ.get("FORGE_COMMIT", "a" * 40))
STATUS = CommitStatus(
    COMMIT, CommitState.WAITING, "Deployment 7 waits", "reconciler/web", "https://deploy.example/7"
)


def test_each_state_of_a_commit_is_told(forges: Forges, place: Place) -> None:
    """In the forge's own words, in any order that life brings, and once more."""
    if place.repository.provider is Provider.GOGS:  # which has no commit statuses
        return
    steps = [*CommitState, CommitState.WAITING, CommitState.UNDER_WAY, CommitState.WAITING]
    for state in [step for step in steps for _ in range(2)]:
        forges.put_status(place.repository, place.token, replace(STATUS, state=state))
    if place.double:
        told = [one.state for one in place.double.statuses]
        words = {"pending", "running", "success", "failed", "canceled"}
        if place.repository.provider is not Provider.GITLAB:
            words = {"pending", "success", "failure", "error"}
        assert set(told) == words


def test_a_status_says_what_it_is_of(forges: Forges, place: Place) -> None:
    """With a link where there is an address, and no longer than the forge takes."""
    if place.double is None or place.repository.provider is Provider.GOGS:
        return
    forges.put_status(place.repository, place.token, STATUS)
    forges.put_status(
        place.repository,
        place.token,
        replace(STATUS, state=CommitState.SUCCESS, url="", description="x" * 999),
    )
    first, last = place.double.statuses
    assert first == Told(
        COMMIT.text, "pending", "reconciler/web", "Deployment 7 waits", "https://deploy.example/7"
    )
    assert (last.url, last.description) == (None, "x" * 140)


def test_a_status_that_is_refused_tells_what_is_needed(forges: Forges, place: Place) -> None:
    """For a token that may do something else, or a commit that is not there."""
    if place.repository.provider is Provider.GOGS:
        return
    with pytest.raises(ForgeDenied) as denied:
        forges.put_status(place.repository, Secret.of("no-such-token"), STATUS)
    words = {Provider.GITHUB: "Commit statuses", Provider.GITLAB: "Developer"}
    assert words.get(place.repository.provider, "write:repository") in denied.value.remedy
    if place.double:
        place.double.instead = Answer(422, body=b'{"message": "No commit found for SHA"}')
        with pytest.raises(ForgeRefused, match="No commit found"):
            forges.put_status(place.repository, place.token, STATUS)


def _try(forges: Forges, place: Place, number: str) -> bool:
    try:
        return forges.test_hook(place.repository, place.token, number)
    except ForgeRefused:  # GitLab tells at once that nobody wanted it
        return True


# ── Forges that do not behave ─────────────────────────────────────────────────────────────────


@pytest.fixture
def faulty() -> Iterator[Forge]:
    with Forge(Provider.GITEA) as running:
        yield running


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        pytest.param(
            Answer(
                422,
                body=b'{"message": "Validation Failed", "errors": [{"resource": "Hook", '
                b'"message": "url is not supported: localhost"}]}',
            ),
            ForgeRefused,
            "Validation Failed url is not supported: localhost",
            id="github-local",
        ),
        pytest.param(
            Answer(422, body=b'{"message": {"url": ["is blocked: local network"]}}'),
            ForgeRefused,
            "url: is blocked: local network",
            id="gitlab-local",
        ),
        pytest.param(
            Answer(422, body=b'{"message": "\x1b]0;owned\x07no\\n such ' + b"x" * 9000 + b'"}'),
            ForgeRefused,
            "refuses it",
            id="loud",
        ),
        pytest.param(
            Answer(403, body=b'{"message": "Resource not accessible"}'),
            ForgeDenied,
            "Resource not accessible",
            id="scope",
        ),
        pytest.param(
            Answer(403, {"X-RateLimit-Remaining": "0"}), ForgeThrottled, "60 s", id="rate"
        ),
        pytest.param(Answer(429, {"Retry-After": "7"}), ForgeThrottled, "7 s", id="busy"),
        pytest.param(Answer(502), ForgeUnreachable, "HTTP 502", id="down"),
        pytest.param(Answer(200, body=b"<html>"), ForgeProtocolError, "API", id="page"),
        pytest.param(Answer(200, body=b"[" * 99999), ForgeProtocolError, "API", id="deep"),
        pytest.param(Answer(200, body=b"{}"), ForgeProtocolError, "no list", id="object"),
        pytest.param(Answer(200, body=b'[{"id": "x"}]'), ForgeProtocolError, "no id", id="no-id"),
        pytest.param(
            Answer(200, body=b'"' + b"x" * (1 << 20) + b'"'), ForgeProtocolError, "bytes", id="big"
        ),
        pytest.param(
            Answer(401, body=f'{{"message": "bad token {TOKEN}"}}'.encode()),
            ForgeDenied,
            "bad token",
            id="echo",
        ),
    ],
)
def test_each_refusal_has_its_own_error(
    forges: Forges, faulty: Forge, answer: Answer, error: type[ForgeError], words: str
) -> None:
    """With what the forge said, cleaned and bounded; never with the token."""
    faulty.instead = answer
    with pytest.raises(error, match=words.replace("(", r"\(")) as raised:
        forges.put_hook(faulty.repository, token(), HOOK)
    told = f"{raised.value.message} {raised.value.remedy} {raised.value.evidence}"
    assert TOKEN not in told
    assert HOOK.secret.reveal() not in told
    assert raised.value.message.isprintable()
    assert len(raised.value.message) < 600


def test_the_token_goes_nowhere_else(forges: Forges, faulty: Forge) -> None:
    """Not after a redirect either, whether to another host or to the same."""
    with Forge(Provider.GITEA) as other:
        for target in (other.repository.api, faulty.repository.api):
            faulty.instead = Answer(307, {"Location": f"{target}/repos/team/app/hooks"})
            before = len(faulty.requests)
            with pytest.raises(ForgeProtocolError, match="elsewhere"):
                forges.put_hook(faulty.repository, token(), HOOK)
            assert len(faulty.requests) == before + 1
        assert other.requests == []


def test_proxies_of_the_environment_are_not_used(
    forges: Forges, faulty: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token must not pass through what somebody set for another program."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert forges.put_hook(faulty.repository, token(), HOOK).created


def test_a_list_without_an_end_is_given_up(forges: Forges, faulty: Forge) -> None:
    """The forge may lie as long as it likes."""
    for number in range(60):
        faulty.add_hook(f"https://other.example/{number}")
    with pytest.raises(ForgeProtocolError, match="20 pages"):
        forges.put_hook(faulty.repository, token(), HOOK)
    assert len(faulty.requests) == 20


def test_a_forge_that_is_not_there_or_says_nothing(faulty: Forge) -> None:
    """Is no wait without an end."""
    forges = HttpForges(SystemClock(), limit=timedelta(seconds=0.5))

    def drip() -> Iterator[bytes]:
        while True:
            yield b" "
            faulty_closing.wait(0.05)

    faulty_closing = faulty._http.closing
    faulty.instead = Answer(200, body=drip())
    with pytest.raises(ForgeUnreachable, match=r"within 0\.5 s"):
        forges.put_hook(faulty.repository, token(), HOOK)
    nobody = replace(faulty.repository, api=f"http://127.0.0.1:{free_port()}/api/v1")
    with pytest.raises(ForgeUnreachable, match="refused"):
        forges.put_hook(nobody, token(), HOOK)


def test_a_certificate_has_to_be_trusted(tmp_path: Path) -> None:
    """By the system, or by the authority that the operator named."""
    authority = CertificateAuthority(tmp_path)
    with Forge(Provider.FORGEJO, tls=authority.issue()) as running:
        strict, knowing = (
            HttpForges(SystemClock(), ca_file=ca) for ca in (None, authority.ca_path)
        )
        with pytest.raises(ForgeUnreachable, match="no trusted TLS"):
            strict.put_hook(running.repository, token(), HOOK)
        assert running.requests == []
        assert knowing.put_hook(running.repository, token(), HOOK).created
