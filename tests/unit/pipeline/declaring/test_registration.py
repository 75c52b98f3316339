"""A webhook here and at its forge: made once, mended by asking again, the token kept nowhere."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from reconciler.adapters.forges.http_forges import HttpForges
from reconciler.domain.errors import (
    Conflict,
    ForgeDenied,
    ForgeUnreachable,
    InvalidInput,
    NotFound,
    ReconcilerError,
)
from reconciler.domain.forge import WebAddress
from reconciler.domain.project import HostedSource
from reconciler.domain.references import BranchName, ProjectName
from reconciler.domain.secret import Secret
from reconciler.domain.webhook import Provider, Webhook, WebhookName
from reconciler.domain.webhook_signature import Verdict
from reconciler.pipeline.declaring.registration import RegistrationDraft, Registrations
from reconciler.ports import Delivery
from tests.parts.forge import TOKEN, Forge
from tests.parts.http_server import Answer
from tests.parts.stores import project
from tests.unit.pipeline.conftest import World

APP = ProjectName("app")
HOOK = WebhookName("app")
PUBLIC = WebAddress.parse("https://deploy.example.com")


@dataclass
class Scene:
    """A project whose repository is at a forge."""

    world: World
    forge: Forge
    registrations: Registrations

    def draft(self, **changes: object) -> RegistrationDraft:
        made = RegistrationDraft(TOKEN, provider="gitea", forge_url=self.forge.url)
        return replace(made, **changes)  # type: ignore[arg-type]

    def secret(self) -> str:
        found = self.world.store.find_webhook_secrets(HOOK)
        assert found is not None
        return found[1][0].reveal()


@pytest.fixture
def scene(world: World) -> Iterator[Scene]:
    world.store.create_project(project("app"))
    forges = HttpForges(world.clock)
    with Forge(Provider.GITEA, delivers=False) as forge:
        names = [PUBLIC.host]
        made = Registrations(world.store, world.clock, forges, PUBLIC, names)
        yield Scene(world, forge, made)


def test_it_is_declared_and_registered(scene: Scene) -> None:
    """Bound to the project and named like it, with a secret that was made here."""
    made = scene.registrations.register(APP, scene.draft())
    assert (made.declared, made.created, made.tested, made.remarks) == (True, True, "sent", ())
    webhook = made.record.webhook
    assert (webhook.name, webhook.provider, webhook.project) == ("app", Provider.GITEA, APP)
    (there,) = scene.forge.hooks.values()
    assert (there.url, there.secret) == ("https://deploy.example.com/webhook/app", scene.secret())
    known = made.record.registration
    assert known is not None
    assert (known.repository, known.hook, known.url, known.at) == (
        *(scene.forge.repository, str(there.id), there.url),
        scene.world.clock.now(),
    )


def test_again_is_the_same(scene: Scene) -> None:
    """One webhook, one secret; what somebody changed at the forge is put right."""
    scene.registrations.register(APP, scene.draft())
    secret = scene.secret()
    (there,) = scene.forge.hooks.values()
    there.secret = "of somebody else"
    made = scene.registrations.register(APP, scene.draft(test=False))
    assert (made.declared, made.created, made.tested) == (False, False, "not-asked")
    (there,) = scene.forge.hooks.values()
    assert there.secret == scene.secret() == secret


def test_what_a_kill_left_is_mended(scene: Scene) -> None:
    """Whichever step it came after: declared here alone, or not yet recorded here."""
    scene.forge.instead = Answer(503)
    with pytest.raises(ForgeUnreachable):
        scene.registrations.register(APP, scene.draft())
    secret = scene.secret()
    scene.forge.instead = None
    scene.registrations.register(APP, scene.draft())
    scene.world.store.record_registration(HOOK, None)
    made = scene.registrations.register(APP, scene.draft())
    assert made.record.registration is not None
    assert scene.secret() == secret
    assert len(scene.forge.hooks) == 1


def test_another_address_of_ours_moves_it(scene: Scene) -> None:
    """No second one stays behind."""
    scene.registrations.register(APP, scene.draft())
    scene.registrations.register(APP, scene.draft(url="https://new.example.com/proxy"))
    (there,) = scene.forge.hooks.values()
    assert there.url == "https://new.example.com/proxy/webhook/app"


def test_what_stays_at_another_forge_is_said(scene: Scene) -> None:
    """The project moved there; its webhook at the forge before is not ours to see any more."""
    first = scene.registrations.register(APP, scene.draft())
    with Forge(Provider.GITEA, delivers=False) as other:
        made = scene.registrations.register(APP, scene.draft(forge_url=other.url))
        assert first.remarks == ()
        assert str(scene.forge.repository) in made.remarks[0]
        assert (len(scene.forge.hooks), len(other.hooks)) == (1, 1)


def test_what_came_before_is_no_answer_to_the_test(scene: Scene) -> None:
    """The number after which the forge's own delivery is looked for is taken first."""
    scene.registrations.register(APP, scene.draft())
    one = Delivery(HOOK, scene.world.clock.now(), "10.0.0.7", Verdict.VERIFIED)
    (number,) = scene.world.store.record_deliveries([one], {})
    assert scene.registrations.register(APP, scene.draft()).after == number


def test_a_test_that_the_forge_can_not_send_is_no_failure(scene: Scene) -> None:
    """It is registered all the same, and what the forge said is passed on."""
    for provider, tested in ((Provider.GOGS, "not-possible"), (Provider.GITLAB, "failed")):
        with Forge(provider, delivers=False) as forge:
            draft = scene.draft(provider=str(provider), forge_url=forge.url, name=str(provider))
            made = scene.registrations.register(APP, draft)
            assert (made.tested, made.created, len(forge.hooks)) == (tested, True, 1)
            assert made.test_problem


def test_what_can_not_be_registered(scene: Scene) -> None:
    """Is told with its field or its name; the forge is asked for nothing."""
    store, now = scene.world.store, scene.world.clock.now()
    local = HostedSource(APP, BranchName("main"))
    store.create_project(replace(project("kept"), source=local))
    store.create_project(replace(project("none"), source=None))
    taken = Webhook(WebhookName("taken"), Provider.GITEA, now)
    store.create_webhook(taken, Secret.of("a-secret-of-another"))
    nobody = replace(scene.registrations, public_url=None)
    attempts: list[tuple[Registrations, str, dict[str, object], type[Exception], str]] = [
        (scene.registrations, "kept", {}, InvalidInput, "is kept here"),
        (scene.registrations, "none", {}, InvalidInput, "follows no repository"),
        (scene.registrations, "gone", {}, NotFound, "gone"),
        (scene.registrations, "app", {"name": "A/b"}, InvalidInput, "name"),
        (scene.registrations, "app", {"name": "taken"}, Conflict, "--name app-gitea"),
        (scene.registrations, "app", {"url": "http://0.0.0.0"}, InvalidInput, "url"),
        (scene.registrations, "app", {"token": "two words"}, InvalidInput, "token"),
        (nobody, "app", {}, InvalidInput, "public_url"),
    ]
    for registrations, name, changes, error, words in attempts:
        with pytest.raises(error, match=words):
            registrations.register(ProjectName(name), scene.draft(**changes))
    assert scene.forge.requests == []


def test_the_token_is_in_no_error_no_log_and_no_store(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever the forge makes of it."""
    draft = scene.draft(token="wrong-token-canary")
    echo = Answer(403, body=b'{"message": "wrong-token-canary is not enough"}')
    told = [repr(draft)]
    with caplog.at_level(logging.DEBUG):
        for scene.forge.instead in (None, echo, Answer(500, body=b"wrong-token-canary")):
            with pytest.raises(ReconcilerError) as raised:
                scene.registrations.register(APP, draft)
            error = raised.value
            told += [error.message, error.remedy, repr(error.evidence)]
    kept = scene.world.store.get_webhook(HOOK)
    assert "canary" not in " ".join([*told, caplog.text, repr(kept)])


def test_it_is_removed_at_the_forge(scene: Scene) -> None:
    """Once; it stays declared here. What was entered there by hand is not ours to remove."""
    scene.registrations.register(APP, scene.draft())
    with pytest.raises(ForgeDenied):
        scene.registrations.deregister(HOOK, "another-token")
    assert len(scene.forge.hooks) == 1
    scene.registrations.deregister(HOOK, TOKEN)
    assert scene.forge.hooks == {}
    assert scene.world.store.get_webhook(HOOK).registration is None
    with pytest.raises(Conflict, match="remove it there"):
        scene.registrations.deregister(HOOK, TOKEN)
