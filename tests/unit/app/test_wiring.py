"""What the wired daemon does before it starts: nothing of it talks to anybody."""

from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.app.wiring import build
from reconciler.config import load_config
from reconciler.domain.errors import SourceThrottled
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import ImageReference
from reconciler.domain.secret import Secret
from reconciler.domain.state import RegistryTrouble
from reconciler.domain.target import TargetStrategy
from reconciler.domain.webhook import Provider, Webhook, WebhookName
from reconciler.ports import DeliveryFilter
from reconciler.strategies.compose import ComposeStrategy
from reconciler.triggers.webhook_inbox import Knock


def environment(folder: Path) -> dict[str, str]:
    return {
        "HOME": str(folder),
        "RECONCILER_DATA_FOLDER": str(folder / "data"),
        "RECONCILER_DOCKER_SOCKET": str(folder / "no-engine.sock"),
    }


def test_what_a_killed_daemon_left_for_compose_is_gone_at_the_start(tmp_path: Path) -> None:
    """Secrets of a deployment that nobody takes up again do not stay on the disk."""
    left = tmp_path / "data" / "private" / "shop" / "x" / "variables.env"
    left.parent.mkdir(parents=True)
    left.write_text("TOKEN=secret\n")
    application = build(load_config(environment=environment(tmp_path)))
    with application.resources:
        application.daemon.on_start()
    assert not left.exists()


def test_projects_files_are_closed_to_others_in_a_folder_that_is_open(tmp_path: Path) -> None:
    """A data folder that was made by hand, or by systemd, may be entered by everybody."""
    (tmp_path / "data" / "projects").mkdir(parents=True, mode=0o755)
    with build(load_config(environment=environment(tmp_path))).resources:
        pass
    assert (tmp_path / "data" / "projects").stat().st_mode & 0o777 == 0o700


def test_an_installation_without_a_name_is_given_one(tmp_path: Path) -> None:
    """A power cut may leave the file empty; it would release every replica's work."""
    life = tmp_path / "data" / "life"
    for _ in range(2):
        with build(load_config(environment=environment(tmp_path))).resources:
            assert len(life.read_text()) == 16
        life.write_text("")


def test_what_was_received_last_is_taken_up_before_the_end(tmp_path: Path) -> None:
    """The forge was told that it was accepted, and may not send it again."""
    application = build(load_config(environment=environment(tmp_path)))
    with application.resources:
        store, receiver = application.store, application.receiver
        name, secret = WebhookName("forge"), Secret.of("a-secret-of-the-forge")
        store.create_webhook(Webhook(name, Provider.GITLAB, application.clock.now()), secret)
        headers = {"x-gitlab-token": [secret.reveal()], "x-gitlab-event": ["Issue Hook"]}
        door = receiver.doors.find(name)
        assert door
        receiver.receive(door, Knock(headers, "10.0.0.7", b"{}"))
        assert store.list_deliveries(DeliveryFilter(name), limit=1) == []
        application.daemon.on_end()
        assert len(store.list_deliveries(DeliveryFilter(name), limit=2)) == 1


def test_a_restart_leaves_a_registry_alone_that_asked_for_it(tmp_path: Path) -> None:
    """F1: `why` goes on telling so; one that does not answer is told, too."""
    given = {**environment(tmp_path), "REGISTRY_ADDR": "127.0.0.1:1"}
    application = build(load_config(environment=given))
    with application.resources:
        now, code = application.clock.now(), ReasonCode.REGISTRY_COOLED
        rest = RegistryTrouble("r.example", code, "429", now, now + timedelta(hours=1))
        application.store.put_registry_trouble(rest)
        application.probe.look()
    application = build(load_config(environment=given))
    with application.resources:
        told = {one.host: one.code for one in application.store.list_registry_troubles()}
        away = {"127.0.0.1:1": ReasonCode.REGISTRY_UNREACHABLE}
        assert told == {"r.example": ReasonCode.REGISTRY_COOLED, **away}
        with pytest.raises(SourceThrottled):
            application.registry.digest(ImageReference.parse("r.example/app:1"))


def test_one_limit_holds_for_each_stage_that_waits_for_commands(tmp_path: Path) -> None:
    """Pulling, building and bringing up alike: it is what `deployment_timeout_seconds` says."""
    given = {**environment(tmp_path), "RECONCILER_DEPLOYMENT_TIMEOUT_SECONDS": "120"}
    application = build(load_config(environment=given))
    with application.resources:
        compose = application.set_ups.strategies[TargetStrategy.COMPOSE]
        assert isinstance(compose, ComposeStrategy)
        options = compose.options
        limits = {options.pull_timeout, options.build_timeout, options.up_timeout}
        assert limits == {timedelta(minutes=2)}
