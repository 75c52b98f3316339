"""What is pulled, and nothing else."""

import json
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.adapters.compose_file import RuamelComposeReader
from reconciler.domain.deployment import DeploymentId, Pin, PlannedService, PreparedTarget
from reconciler.domain.host import HostPath
from reconciler.domain.project import Project, ProjectKind
from reconciler.domain.references import Digest, ImageReference, ProjectName, ServiceName
from reconciler.domain.revision import ImageDigests, Revision
from reconciler.domain.stack import ComposeContainer
from reconciler.domain.target import Target
from reconciler.ports import Image, Work
from reconciler.strategies.compose.as_it_runs import pins_as_it_runs, with_pins
from reconciler.strategies.compose.checkout import Examined
from reconciler.strategies.compose.pinning import Pinning, pull_text
from reconciler.strategies.compose.rendering import RenderedService, Rendering, parse_rendering
from reconciler.testing import digest_of

DIGEST = Digest("sha256:" + "a" * 64)
WEB = {
    "image": "acme/web:1",
    "platform": "linux/arm64",
    "environment": {"TOKEN": "secret"},
    "volumes": [{"type": "bind", "source": "/etc", "target": "/x"}],
}


def rendered() -> Rendering:
    file = RuamelComposeReader().read(b"services: {web: {image: 'acme/web:1'}, db: {image: db}}")
    names = tuple(service.name for service in file.services)
    document = {"services": {"web": WEB, "db": {"image": "db", "pull_policy": "never"}}}
    return parse_rendering(json.dumps(document), Examined(file, {}, names, ()))


def test_what_is_pulled_by_says_nothing_but_what_to_pull() -> None:
    """No variable and no mount: it goes to a host before anything else does."""
    missing = {
        "web": replace(ImageReference.parse("acme/web:1"), digest=DIGEST),
        "db": ImageReference.parse("db"),
    }
    assert json.loads(pull_text(rendered(), missing)) == {
        "services": {
            "web": {"image": f"docker.io/acme/web:1@{DIGEST}", "platform": "linux/arm64"},
            "db": {"image": "docker.io/library/db:latest", "pull_policy": "never"},
        }
    }


def test_what_was_built_and_pushed_elsewhere_is_pulled_all_the_same() -> None:
    """Compose would skip it for its policy."""
    body = {"image": "acme/web:1", "build": {"context": "/x"}, "pull_policy": "build"}
    file = RuamelComposeReader().read(b"services: {web: {image: 'acme/web:1', build: .}}")
    document = {"services": {"web": body}}
    found = parse_rendering(json.dumps(document), Examined(file, {}, ("web",), ()))
    image = replace(ImageReference.parse("acme/web:1"), digest=DIGEST)
    assert json.loads(pull_text(found, {"web": image})) == {
        "services": {"web": {"image": f"docker.io/acme/web:1@{DIGEST}"}}
    }


# ── What a label leaves alone ─────────────────────────────────────────────────────────────────

APP = ImageReference.parse("acme/app:1")


class TagsMoved:
    """A registry in which something else is behind each tag by now."""

    def digest(self, image: ImageReference, project: ProjectName | None = None) -> Digest:
        return digest_of(f"newest {image}")


def service(name: str, image: ImageReference = APP, *, left: bool = False) -> RenderedService:
    labels = {"com.centurylinklabs.watchtower.monitor-only": "true"} if left else {}
    return RenderedService(ServiceName(name), image, labels, replicas=1, finishes=False)


def ready(*names: str) -> PreparedTarget:
    """Return what was made ready earlier: each service with a digest of its own."""
    return PreparedTarget(
        Revision(None),
        tuple(PlannedService(ServiceName(one), Pin(APP, digest_of(one)), 1) for one in names),
    )


def pinning(
    earlier: PreparedTarget | None,
    seen: ImageDigests | None = None,
    elsewhere: PreparedTarget | None = None,
) -> Pinning:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    work = Work(
        deployment=DeploymentId(2),
        project=Project(ProjectName("app"), ProjectKind.COMPOSE, at, at),
        target=Target(ProjectName("app")),
        revision=Revision(None, seen or {}),
        variables={},
        credentials=None,
        log=lambda _: None,
        cancel=threading.Event(),
        earlier=earlier,
        elsewhere=elsewhere,
    )
    return Pinning(work, TagsMoved())  # type: ignore[arg-type]  # nothing else is asked for


def digest_for(pinning: Pinning, wanted: RenderedService) -> Digest:
    pin = pinning.plan(wanted, {}).pin
    assert isinstance(pin, Pin)
    return pin.digest


@pytest.mark.parametrize("seen", [{}, {str(APP): digest_of("asked")}], ids=["commit", "digest"])
def test_what_a_label_leaves_alone_keeps_what_it_runs(seen: ImageDigests) -> None:
    """Whoever asks for the deployment; the revision tells what is kept."""
    pins = pinning(ready("web"), seen)
    assert digest_for(pins, service("web", left=True)) == digest_of("web")
    assert pins.followed == {str(APP): digest_of("web")}


@pytest.mark.parametrize("others_first", [True, False])
def test_another_service_follows_the_same_image(others_first: bool) -> None:
    """The revision has one digest of an image: that of who follows it."""
    pins, moved = pinning(ready("web", "worker")), digest_of(f"newest {APP}")
    both = [service("web"), service("worker", left=True)]
    found = {one.name: digest_for(pins, one) for one in (both if others_first else reversed(both))}
    assert found == {"web": moved, "worker": digest_of("worker")}
    assert pins.followed == {str(APP): moved}


def test_what_is_new_is_pinned_like_any_other() -> None:
    """On its first deployment, and when the files name another tag; as a host before was."""
    newest, other = digest_of(f"newest {APP}"), ImageReference.parse("acme/app:2")
    left = service("web", left=True)
    assert digest_for(pinning(None), left) == newest
    assert digest_for(pinning(ready("other")), left) == newest
    assert digest_for(pinning(None, {str(APP): digest_of("asked")}), left) == digest_of("asked")
    of_other = digest_for(pinning(ready("web")), service("web", other, left=True))
    assert of_other == digest_of(f"newest {other}")
    assert digest_for(pinning(None, elsewhere=ready("web")), left) == digest_of("web")


# ── What an adopted project runs first ────────────────────────────────────────────────────────


@dataclass
class Ran:
    """An engine that runs services of a project, each of an image of its own digest."""

    services: tuple[str, ...]

    def compose_containers(self) -> list[ComposeContainer]:
        return [
            ComposeContainer(one, str(APP), digest_of(one), is_running=True, labels=labels_of(one))
            for one in self.services
        ]

    def find_image(self, name: str) -> Image:
        return Image(Digest(name), {}, (), frozenset({Digest(name)}), "linux/amd64")

    def has_image(self, image: ImageReference) -> bool:
        return True


def labels_of(service: str) -> dict[str, str]:
    return {"com.docker.compose.project": "app", "com.docker.compose.service": service}


def test_an_adopted_project_begins_with_one_digest_of_each_image() -> None:
    """So a plan shows what a deployment does, also where services run several, or one is new."""
    work = pinning(None).work
    work = replace(work, target=replace(work.target, base=HostPath("/srv/apps/app")))
    wanted = Rendering((service("web"), service("worker"), service("new")), {})
    engine: Any = Ran(("worker", "web"))
    pins = pins_as_it_runs(work, engine, wanted)
    assert pins == {
        ServiceName(one): Pin(APP, digest_of("web")) for one in ("web", "worker", "new")
    }
    first = Pinning(with_pins(work, pins), TagsMoved())  # type: ignore[arg-type]
    assert {one.name: first.plan(one, {}).pin for one in wanted.services} == pins
