"""``Engine``: what the real one says, and what becomes of one that misbehaves."""

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from reconciler.adapters.engine import DockerEngine
from reconciler.domain.errors import PreconditionFailed, TargetUnreachable
from reconciler.domain.failure import Failure
from reconciler.domain.references import Digest, ImageReference, ProjectName
from reconciler.domain.stack import ComposeContainer
from reconciler.domain.verification import Health, RunState, Sample
from reconciler.ports import Engine
from reconciler.testing import digest_of
from tests.parts.docker_engine import RUN_LABEL
from tests.parts.docker_engine import DockerEngine as RealEngine
from tests.parts.registry import Registry
from tests.parts.waiting import eventually

PROJECT = ProjectName("app")


@pytest.fixture
def subject(engine: RealEngine) -> Iterator[Engine]:
    made = DockerEngine(f"unix://{engine.socket}")
    yield made
    made.close()


def start(engine: RealEngine, project: str, service: str, *command: str, options: str = "") -> str:
    """Start a container as compose labels it."""
    labels = {
        RUN_LABEL: engine.run_id,
        "com.docker.compose.project": project,
        "com.docker.compose.service": service,
        "com.docker.compose.oneoff": "False",
    }
    flags = [flag for key, value in labels.items() for flag in ("--label", f"{key}={value}")]
    return engine.run(engine.busybox_image(), *command, options=[*flags, *options.split()])


@pytest.mark.needs_docker
def test_ping_gives_the_engines_version(engine: RealEngine, subject: Engine) -> None:
    """The version that the client sees too."""
    assert subject.ping() == engine.docker("version", "--format", "{{.Server.Version}}")


@pytest.mark.needs_docker
def test_containers_are_seen_in_every_state(engine: RealEngine, subject: Engine) -> None:
    """Running, ended, restarting and unhealthy ones, each with what tells it apart."""
    project = ProjectName(engine.unique("states"))
    start(engine, project, "runs")
    start(engine, project, "fails", "sh", "-c", "exit 3")
    start(engine, project, "loops", "false", options="--restart=always")
    start(
        engine,
        project,
        "sick",
        options="--health-cmd=false --health-interval=1s --health-retries=1",
    )
    start(engine, "another-project", "stranger")

    def settled() -> dict[str, Sample] | None:
        seen = {sample.service: sample for sample in subject.containers(project)}
        done = (
            seen["fails"].state is RunState.EXITED
            and seen["loops"].restarts > 0
            and seen["sick"].health is Health.UNHEALTHY
        )
        return seen if done else None

    seen = eventually(settled, within=20, what="the containers have reached their states")
    assert seen is not None
    assert list(seen) == ["fails", "loops", "runs", "sick"]
    assert (seen["fails"].exit_status, seen["runs"].exit_status) == (3, None)
    assert (seen["runs"].state, seen["runs"].health) == (RunState.RUNNING, Health.NONE)
    assert seen["runs"].started_at


@pytest.mark.needs_docker
def test_a_container_that_never_started_has_no_exit_status(
    engine: RealEngine, subject: Engine
) -> None:
    """Created is not ended."""
    project = ProjectName(engine.unique("created"))
    labels = f"com.docker.compose.project={project}", "com.docker.compose.oneoff=False"
    flags = [
        flag for label in (*labels, f"{RUN_LABEL}={engine.run_id}") for flag in ("--label", label)
    ]
    engine.docker("create", *flags, engine.busybox_image())
    (sample,) = subject.containers(project)
    assert subject.find_one_off(project, sample.id) is None, "it is a service's"
    flags[1::2] = [flag.replace("oneoff=False", "oneoff=True") for flag in flags[1::2]]
    one_off = engine.docker("create", *flags, engine.busybox_image())
    found = subject.find_one_off(project, one_off)
    assert found
    assert (found.id, found.state) == (one_off, RunState.CREATED)
    assert subject.find_one_off(ProjectName("stranger"), one_off) is None
    assert subject.find_one_off(project, f"{project}-absent") is None
    assert (sample.state, sample.exit_status, sample.started_at) == (
        RunState.CREATED,
        None,
        "",
    )


@pytest.mark.needs_docker
def test_what_compose_made_is_seen_with_its_labels(engine: RealEngine, subject: Engine) -> None:
    """Of every project, stopped ones too; not what it ran once, and not what others started."""
    project = engine.unique("found")
    labels = f"--label=com.docker.compose.project.working_dir=/srv/{project}"
    options = f"{labels} -p 127.0.0.1::81 -p 127.0.0.1::80 -v {project}:/kept -v /tmp:/host:ro"
    web = start(engine, project, "web", options=options)
    ended = start(engine, project, "ended", "true")
    stranger = engine.run(engine.busybox_image())
    once = engine.run(
        engine.busybox_image(),
        options=[
            *("--label", f"com.docker.compose.project={project}"),
            *("--label", "com.docker.compose.oneoff=True"),
        ],
    )

    def settled() -> dict[str, ComposeContainer] | None:
        found = {one.id: one for one in subject.compose_containers()}
        return found if not found[ended].is_running else None

    found = eventually(settled, within=20, what="the container has ended")
    assert found
    assert not {stranger, once} & set(found)
    one = found[web]
    assert (one.service, one.label("project"), one.is_running) == ("web", project, True)
    assert one.label("project.working_dir") == f"/srv/{project}"
    assert one.label("project.config_files") == ""
    assert (one.published, found[ended].published) == ((80, 81), ())
    assert (one.image, str(one.image_id)) == (engine.busybox_image(), engine.inspect(web)["Image"])
    assert one.mounts == {"/kept": project, "/host": "/tmp"}
    engine.docker("rm", "--force", web)
    engine.docker("volume", "rm", project)
    assert f"/srv/{project}" not in repr(one), "labels may hold secrets"


@pytest.mark.needs_docker
def test_a_container_whose_tag_moved_is_of_the_image_that_it_was_made_of(
    engine: RealEngine, subject: Engine
) -> None:
    """The tag would say another one by now."""
    tag, project = f"{engine.run_id}/moves:1", engine.unique("moves")
    made = engine.build_image(tag)
    label = f"--label=com.docker.compose.project={project}"
    run = engine.run(tag, options=[label, "--label=com.docker.compose.oneoff=False"])
    assert _of(subject, run).image == tag
    engine.build_image(tag, files={"moved": "yes"})
    assert _of(subject, run).image == str(_of(subject, run).image_id) == made


def _of(subject: Engine, container: str) -> ComposeContainer:
    return next(one for one in subject.compose_containers() if one.id == container)


@pytest.mark.needs_docker
def test_a_container_says_where_it_is_asked_and_what_it_is_labelled_with(
    engine: RealEngine, subject: Engine
) -> None:
    """Its own address on its network, or the host's; the label of its image is its own, too."""
    project = ProjectName(engine.unique("address"))
    commit = "1" * 40
    label = f"--label=org.opencontainers.image.revision={commit}"
    start(engine, project, "bridged", options=label)
    start(engine, project, "hosted", options="--network=host")
    start(engine, project, "lonely", options="--network=none")
    seen = {sample.service: sample for sample in subject.containers(project)}
    (network,) = engine.inspect(seen["bridged"].id)["NetworkSettings"]["Networks"].values()
    assert seen["bridged"].address == network["IPAddress"] != ""
    assert (seen["hosted"].address, seen["lonely"].address) == ("127.0.0.1", "")
    assert (seen["bridged"].revision, seen["hosted"].revision) == (commit, "")


@pytest.mark.needs_docker
@pytest.mark.needs_registry
def test_digests_are_those_that_registries_know_the_image_by(
    engine: RealEngine, registry: Registry, subject: Engine
) -> None:
    """An image made here has but its own id; once pushed it is known by the manifest's too."""
    project = ProjectName(engine.unique("digests"))
    tag = f"{engine.run_id}/digests:1"
    own = Digest(engine.build_image(tag, files={"a": project}))
    labels = f"com.docker.compose.project={project}", "com.docker.compose.oneoff=False"
    engine.run(tag, options=[flag for label in labels for flag in ("--label", label)])
    assert subject.containers(project)[0].digests == {own}
    digest = Digest(engine.push(tag, registry.host, repository="digests:1"))
    assert subject.containers(project)[0].digests == {own, digest}

    name = f"{registry.host}/digests"
    assert subject.has_image(ImageReference.parse(f"{name}:1"))
    assert subject.has_image(ImageReference.parse(f"{name}:1@{digest}"))
    assert not subject.has_image(ImageReference.parse(f"{name}:2"))
    assert not subject.has_image(ImageReference.parse(f"{name}:1@sha256:{'0' * 64}"))


@pytest.mark.needs_docker
@pytest.mark.parametrize("options", ["", "--tty"], ids=["frames", "terminal"])
def test_the_last_lines_are_the_newest_of_both_streams(
    engine: RealEngine, subject: Engine, options: str
) -> None:
    """Oldest first, as many as asked for, without the engine's framing."""
    script = "for i in 1 2 3 4 5; do echo line $i; done"
    container = start(engine, engine.unique("logs"), "web", "sh", "-c", script, options=options)
    engine.docker("wait", container)
    assert list(subject.last_lines(container, 2)) == ["line 4", "line 5"]


@pytest.mark.needs_docker
def test_a_container_that_is_gone_has_no_lines(subject: Engine) -> None:
    """It may go between two looks."""
    assert subject.last_lines("f" * 64, 5) == ()


# ── Engines that misbehave ────────────────────────────────────────────────────────────────────

Answer = Callable[[str], tuple[int, bytes]]
VERSION = {"Version": "99.1", "ApiVersion": "1.55", "MinAPIVersion": "1.12"}


@contextmanager
def engine_that(folder: Path, answer: Answer) -> Iterator[tuple[DockerEngine, list[str]]]:
    """Give the client of a unix-socket server that answers so, and the paths that it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            status, body = answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def address_string(self) -> str:
            return "unix"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name
            """Say nothing."""

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """The client hangs up when it has had enough."""

    path = folder / "engine.sock"
    with Server(str(path), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        subject = DockerEngine(f"unix://{path}", timeout_seconds=0.5)
        try:
            yield subject, asked
        finally:
            subject.close()
            server.shutdown()


def speaking(version: object, rest: tuple[int, bytes] = (200, b"[]")) -> Answer:
    return lambda path: (200, json.dumps(version).encode()) if path == "/version" else rest


@pytest.mark.parametrize(
    ("version", "prefix"),
    [
        pytest.param(VERSION, "/v1.41/", id="current"),
        pytest.param({**VERSION, "MinAPIVersion": "1.44"}, "/v1.44/", id="without-old-versions"),
        pytest.param({**VERSION, "ApiVersion": "1.41"}, "/v1.41/", id="docker-20.10"),
    ],
)
def test_the_oldest_version_that_both_speak_is_used(
    tmp_path: Path, version: object, prefix: str
) -> None:
    """What was tested is asked for, unless the engine has dropped it."""
    with engine_that(tmp_path, speaking(version)) as (subject, asked):
        assert subject.containers(PROJECT) == []
        assert asked[0] == "/version"
        assert asked[1].startswith(prefix)


def test_an_engine_that_is_too_old_is_said_to_be(tmp_path: Path) -> None:
    """Docker before 20.10 needs a person."""
    with (
        engine_that(tmp_path, speaking({**VERSION, "ApiVersion": "1.40"})) as (subject, _),
        pytest.raises(PreconditionFailed, match=r"1\.40, needed is 1\.41"),
    ):
        subject.containers(PROJECT)


@pytest.mark.parametrize(
    ("rest", "problem"),
    [
        pytest.param((500, b'{"message":"boom"}'), "answered 500 to containers: .*boom", id="500"),
        pytest.param((200, b'[{"Name":"x"}]'), "in a way that we don't know", id="other-shape"),
        pytest.param(
            (200, b'[{"Id":"x","Image":"x","State":{"Status":"running"},"Config":{"Labels":[]}}]'),
            "in a way that we don't know",
            id="other-inside",
        ),
        pytest.param((200, b"<html>"), "something else than JSON", id="html"),
        pytest.param((200, b"[" + b" " * (9 << 20)), "more than 8388608 bytes", id="endless"),
    ],
)
def test_answers_that_are_none_are_errors(
    tmp_path: Path, rest: tuple[int, bytes], problem: str
) -> None:
    """Never an empty list: that would read as 'nothing runs'."""
    with (
        engine_that(tmp_path, speaking(VERSION, rest)) as (subject, _),
        pytest.raises(TargetUnreachable, match=problem),
    ):
        subject.containers(PROJECT)


def test_a_container_without_labels_is_nobody_s_one_off(tmp_path: Path) -> None:
    """Somebody else's may be in the way of a name: some engines say null of it."""
    found: dict[str, object] = {
        "Id": "x",
        "Image": digest_of("app").text,
        "RestartCount": 0,
        "RepoDigests": [],
    }
    found["State"] = {"Status": "exited", "ExitCode": 0}
    found["Config"] = {"Labels": None, "Image": "app"}
    rest = 200, json.dumps(found).encode()
    with engine_that(tmp_path, speaking(VERSION, rest)) as (subject, _):
        assert subject.find_one_off(PROJECT, "app") is None


def test_an_engine_that_is_silent_is_given_up(tmp_path: Path) -> None:
    """Within the time limit, as 'unreachable'."""
    hold = threading.Event()

    def answer(path: str) -> tuple[int, bytes]:
        hold.wait(5)
        return 200, b""

    with engine_that(tmp_path, answer) as (subject, _):
        with pytest.raises(TargetUnreachable, match="did not answer in time"):
            subject.containers(PROJECT)
        hold.set()


def test_an_engine_that_never_ends_its_answer_is_given_up(tmp_path: Path) -> None:
    """One byte now and then would keep a reader of each byte waiting for ever."""
    over = threading.Event()

    class Dripping(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.rfile.readline()
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            with suppress(OSError):
                while not over.wait(0.1):
                    self.wfile.write(b" ")

    path = str(tmp_path / "engine.sock")
    with socketserver.ThreadingUnixStreamServer(path, Dripping) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        subject = DockerEngine(f"unix://{path}", timeout_seconds=0.3)
        with pytest.raises(TargetUnreachable, match="did not end its answer in time"):
            subject.containers(PROJECT)
        subject.close()
        over.set()
        server.shutdown()


def test_ping_says_why_there_is_no_engine(tmp_path: Path) -> None:
    """A socket that is not there, and one that nobody listens on."""
    absent = DockerEngine(f"unix://{tmp_path}/none.sock")
    found = absent.ping()
    assert isinstance(found, Failure)
    assert "is Docker installed and started?" in found.message
    assert found.code == "target-unreachable"
    absent.close()


def test_ping_says_what_else_is_wrong(tmp_path: Path) -> None:
    """An answer that is no engine's."""
    with engine_that(tmp_path, lambda path: (200, b"hello")) as (subject, _):
        found = subject.ping()
    assert isinstance(found, Failure)
    assert "hello" in found.message


@pytest.mark.parametrize("host", ["tcp://127.0.0.1:2375", "ssh://host", "unix://relative", "x"])
def test_hosts_that_are_no_unix_socket_are_refused(host: str) -> None:
    """Elsewhere is another adapter's business."""
    with pytest.raises(PreconditionFailed, match="is not a unix socket"):
        DockerEngine(host)


@pytest.mark.parametrize("host", ["unix:///run/docker.sock", "/run/docker.sock"])
def test_both_spellings_of_a_socket_are_taken(host: str) -> None:
    """As DOCKER_HOST has it, and as a plain path."""
    DockerEngine(host).close()


@pytest.mark.needs_docker
def test_an_image_is_told_by_its_names_its_id_and_its_labels(
    engine: RealEngine, subject: Engine
) -> None:
    """And the platform that it is for, which here is the engine's own."""
    name, label = f"{engine.run_id}/told:1", {"a": engine.unique("label")}
    own = Digest(engine.build_image(name, labels=label))
    image = subject.find_image(name)
    assert image is not None
    assert (image.id, image.tags, image.digests) == (own, (name,), frozenset())
    assert image.labels == {**label, RUN_LABEL: engine.run_id}
    assert image.platform == subject.platform() != "None/None"
    assert subject.find_image(own.text) == image
    assert subject.images(label) == [image]
    assert subject.images({**label, "b": "c"}) == []
    assert subject.find_image(f"{engine.run_id}/told:2") is None
    assert subject.address() == engine.environment["DOCKER_HOST"]


@pytest.mark.needs_docker
def test_names_are_given_moved_and_dropped(engine: RealEngine, subject: Engine) -> None:
    """Each is safe to repeat; what a container needs stays."""
    one, two = (
        Digest(engine.build_image(f"{engine.run_id}/named-{n}:1", files={"n": n})) for n in "12"
    )
    name = f"{engine.run_id}/given:1"
    for image in (one, two, two):
        subject.give_name(image, name)
        found = subject.find_image(name)
        assert found is not None
        assert found.id == image
    subject.drop_name(name)
    subject.drop_name(name)
    assert subject.find_image(name) is None
    assert subject.find_image(two.text) is not None
    with pytest.raises(TargetUnreachable, match="No such image"):
        subject.give_name(Digest("sha256:" + "0" * 64), name)
    engine.run(f"{engine.run_id}/named-1:1")
    subject.drop_name(f"{engine.run_id}/named-1:1")
    assert subject.find_image(one.text) is not None
