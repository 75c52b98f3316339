"""C5, B7: only what runs as it should is a success, whatever compose, a cache or a proxy says."""

import json
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.deployment import Deployment, PreparedTarget, Stage, Status
from reconciler.domain.health_check import HealthCheck, ProbeKind
from reconciler.domain.target import implied_target
from reconciler.domain.verification import Judgement, Observation, Verdict, Window, judge
from reconciler.domain.version_check import VersionCheck
from reconciler.strategies.compose import ComposeStrategy
from tests.parts.compose_rig import ComposeRig, compose_file, open_rig
from tests.parts.docker_engine import DockerEngine
from tests.parts.http_server import Answer, HttpServer, Request
from tests.parts.pipeline_rig import WINDOW, PipelineRig, open_pipeline
from tests.parts.registry import Registry
from tests.parts.waiting import eventually

pytestmark = [
    pytest.mark.needs_docker,
    pytest.mark.needs_registry,
    pytest.mark.needs_git,
    pytest.mark.timeout(180),
]


@pytest.fixture
def rig(engine: DockerEngine, registry: Registry, tmp_path: Path) -> Iterator[ComposeRig]:
    with open_rig(engine, registry, tmp_path) as made:
        yield made


@pytest.fixture
def pipeline(rig: ComposeRig) -> Iterator[PipelineRig]:
    with open_pipeline(rig) as made:
        yield made


# ── What containers do ────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Case:
    """One service, and what must come of it."""

    text: str
    verdict: Verdict
    said: str = ""


def runs(script: str, restart: str = "no") -> str:
    return f'command: ["sh", "-c", {script!r}]\nrestart: "{restart}"'.replace("'", '"')


def checked(test: str, retries: int = 1) -> str:
    every = f"interval: 300ms, timeout: 5s, retries: {retries}"
    return f'healthcheck: {{test: ["CMD-SHELL", "{test}"], {every}}}'


def cases(unit: float) -> Mapping[str, Case]:
    """Return all cases; ``unit`` is what a second is with the real windows, in seconds."""
    good, bad = Verdict.GOOD, Verdict.BAD
    soon, late = f"{3 * unit:g}", f"{20 * unit:g}"
    up = "trap : TERM; sleep 600"
    third_time = "echo >> /n; test $(wc -l < /n) -gt 2 || exit 1; sleep 600"
    return {
        "web": Case("", good),
        "exits-at-once": Case(runs("exit 3", "on-failure:1"), bad, "exit status 3"),
        "exits-at-once-with-0": Case(runs("exit 0", "always"), bad, "restarting"),
        "exits-soon": Case(runs(f"sleep {soon}; exit 1", "on-failure:1"), bad, "exit status 1"),
        "exits-late": Case(runs(f"sleep {late}; exit 1"), bad, "exit status 1"),
        "ends-well-soon": Case(runs(f"sleep {soon}", "unless-stopped"), bad, ""),
        "crash-loop": Case(runs("exit 1", "always"), bad, "restarting"),
        "unhealthy": Case(checked("false"), bad, "unhealthy"),
        "healthy-once": Case(checked("test ! -e /s || exit 1; touch /s"), bad, "unhealthy"),
        "never-healthy": Case(checked("false", 1000), bad, "has not passed yet"),
        "one-shot-fails": Case(runs("sleep 0.3; exit 1"), bad, "exit status 1"),
        "no-health-check": Case(runs(up, "always"), good),
        "healthy": Case(checked("true"), good),
        "healthy-later": Case(checked("test -e /s && exit 0; touch /s; exit 1", 9), good),
        "third-time-lucky": Case(runs(third_time, "always"), good),
        "one-shot": Case(runs("exit 0"), good),
        "one-shot-takes-a-while": Case(runs(f"sleep {soon}"), good),
    }


def verdicts(rig: ComposeRig, prepared: PreparedTarget, window: Window) -> dict[str, Judgement]:
    """Judge each service by itself, all from the same looks."""
    alone = {one.name: replace(prepared, services=(one,)) for one in prepared.services}
    clock = SystemClock()
    began = clock.monotonic()
    seen: list[Observation] = []
    found: dict[str, Judgement] = {}

    def all_judged() -> bool:
        at = timedelta(seconds=clock.monotonic() - began)
        seen.append(Observation(at, tuple(rig.observe())))
        for name in alone.keys() - found:
            judgement = judge(alone[name], seen, window)
            if judgement.verdict is not Verdict.UNDECIDED:
                found[name] = judgement
        return len(found) == len(alone)

    eventually(all_judged, within=120, what="each service has a verdict")
    return found


@pytest.mark.parametrize(
    "unit",
    [pytest.param(0.15, id="scaled"), pytest.param(1, id="real-windows")],
)
@pytest.mark.slow
def test_what_comes_of_a_container(rig: ComposeRig, unit: float) -> None:
    """No false success and no false failure, for all of them at once."""
    usual = Window()
    window = Window(usual.healthy * unit, usual.unchecked * unit, timedelta(seconds=60) * unit)
    image, expected = rig.image(), cases(unit)
    services = {name: f"{image}\n{case.text}" for name, case in expected.items()}
    rig.commit(compose_file(rig.engine, **services))
    found = verdicts(rig, rig.deploy(), window)
    wrong = {
        name: found[name]
        for name, case in expected.items()
        if found[name].verdict is not case.verdict
        or case.said not in "; ".join(found[name].problems)
    }
    assert wrong == {}


# ── What compose does ─────────────────────────────────────────────────────────────────────────

#: Does something else once, where it should bring a project up; otherwise it is compose.
_LIAR = """\
#!/bin/sh
case " $* " in
*" up "*) if [ ! -e "$0.lied" ]; then : > "$0.lied"; {lie}; fi ;;
esac
exec docker compose "$@"
"""
LIES = {
    "does nothing": "exit 0",
    "loses the override": """set -- $(echo "$*" | sed 's/--file [^ ]*override[^ ]*//')""",
    "is killed half way": 'exec timeout -s KILL 1 docker compose "$@"',
}


def lying(rig: ComposeRig, number: int, lie: str) -> ComposeStrategy:
    program = rig.folder / f"compose-{number}"
    program.write_text(_LIAR.format(lie=lie))
    program.chmod(0o755)
    return replace(rig.strategy, options=replace(rig.strategy.options, program=(str(program),)))


def test_what_compose_did_not_do_is_no_success(pipeline: PipelineRig) -> None:
    """A no-op, an override that is lost, a compose that is killed half way: the old one stays."""
    rig = pipeline.rig
    pipeline.window = replace(WINDOW, unchecked=timedelta(0))  # one look, so that none is too many
    # Deaf to TERM, so that replacing it takes long enough to be killed half way.
    web = f"{rig.image()}\n{runs('trap : TERM; while :; do sleep 1; done')}\nstop_grace_period: 3s"
    deaf = compose_file(rig.engine, web=web).replace("stop_signal: KILL", "stop_signal: TERM")
    rig.commit(deaf)
    good = pipeline.deploy()
    assert good.status is Status.DEPLOYED, pipeline.output(good)
    before = rig.running("web")["image"]
    moved = rig.image(version="two")
    # The tag moved in the registry alone, as it does when somebody else pushes.
    rig.engine.docker("tag", before, moved)
    rig.commit(deaf, {"README": "two"})
    for number, (what, lie) in enumerate(LIES.items()):
        ended = pipeline.deploy(lying(rig, number, lie))
        assert ended.status is Status.ROLLED_BACK, (what, pipeline.output(ended))
        assert rig.running("web")["image"] == before, what
    ended = pipeline.deploy()
    assert ended.status is Status.DEPLOYED, pipeline.output(ended)
    assert rig.running("web")["image"] != before


@pytest.mark.slow
def test_what_is_left_as_it_was_is_not_watched_for_long(pipeline: PipelineRig) -> None:
    """The same again takes next to no time; what is changed by hand in between is seen in full."""
    rig = pipeline.rig
    rig.commit(compose_file(rig.engine, web=rig.image(), side=rig.image("side:1", version="side")))
    assert pipeline.deploy().status is Status.DEPLOYED
    before = rig.running("web")["id"]
    longer = timedelta(minutes=1)
    pipeline.window = replace(WINDOW, unchecked=timedelta(seconds=8), timeout=longer)
    again = pipeline.deploy()
    assert again.status is Status.DEPLOYED, pipeline.output(again)
    assert rig.running("web")["id"] == before
    assert watched(again) < pipeline.window.unchecked / 2

    pipeline.window = replace(WINDOW, unchecked=timedelta(seconds=3), timeout=longer)
    rig.engine.docker("restart", "--time", "0", rig.running("side")["id"])
    rig.engine.docker("rm", "--force", rig.running("web")["id"])
    mended = pipeline.deploy()
    assert mended.status is Status.DEPLOYED, pipeline.output(mended)
    assert watched(mended) >= pipeline.window.unchecked


def watched(deployment: Deployment) -> timedelta:
    (duration,) = (one.duration for one in deployment.stages if one.stage is Stage.VERIFY)
    assert duration is not None
    return duration


# ── What the app says ─────────────────────────────────────────────────────────────────────────

SERVES = ("httpd", "-f", "-p", "8080", "-h", "/")


class CachingProxy:
    """Answers for ever what it was told first, whatever it is asked not to."""

    def __init__(self, behind: str) -> None:
        self._behind = behind
        self._kept = b""

    def __call__(self, request: Request) -> Answer:
        if not self._kept:
            self._kept = fetch(self._behind + request.path)
        return Answer(200, {"Age": "1"}, self._kept)


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as answer:
        body: bytes = answer.read()
        return body


def commit_version(rig: ComposeRig, note: str, tells: str = "") -> str:
    """Commit a version whose image tells that commit, or ``tells``; return the commit."""
    text = compose_file(rig.engine, web=f"{rig.registry.host}/app:1")
    commit = rig.commit(text, {"README": note})
    rig.image(version=tells or commit, cmd=SERVES)
    return commit


def assert_receipt(pipeline: PipelineRig, deployed: Deployment, commit: str) -> None:
    """See that the receipt has what the engine and the app said, and what was rendered."""
    receipt = pipeline.store.get_receipt(deployed.id)
    (target,) = json.loads(receipt.text)["targets"]
    (service,) = target["services"]
    found = target["evidence"]["verify"]
    (running,) = found["running"]
    assert service["digest"] in running["digests"]
    assert running["id"] == pipeline.rig.running("web")["id"]
    assert {(one["status"], one["told"]) for one in found["versions"]} == {(200, commit)}
    assert found["versions"][0]["asked"].endswith(":8080/version")
    assert len(target["rendered_sha256"]) == 64
    assert pipeline.store.receipt_key().verifies(receipt.text, receipt.signature)


def test_the_containers_own_word_counts(pipeline: PipelineRig) -> None:
    """Not that of a cache in front, nor of an old container that still answers there."""
    rig = pipeline.rig
    pipeline.declare(version=VersionCheck(8080, "/version"))
    first = commit_version(rig, "one")
    deployed = pipeline.deploy()
    assert deployed.status is Status.DEPLOYED, pipeline.output(deployed)
    assert_receipt(pipeline, deployed, first)
    network = f"--network={rig.name}_default"
    old = rig.engine.run(rig.running("web")["image"], *SERVES, options=[network])
    (joined,) = rig.engine.inspect(old)["NetworkSettings"]["Networks"].values()
    with HttpServer(CachingProxy(f"http://{joined['IPAddress']}:8080")) as front:
        version = f"{front.url}/version"
        assert fetch(version).decode() == first

        second = commit_version(rig, "two")
        ended = pipeline.deploy()
        assert ended.status is Status.DEPLOYED, pipeline.output(ended)
        assert fetch(version).decode() == first
    rig.engine.docker("rm", "--force", old)

    running = rig.running("web")
    third = commit_version(rig, "three", tells=second)
    with HttpServer(lambda _: Answer(200, {}, f"{second} {third}".encode())) as front:
        # By the front alone it would be a success.
        check = HealthCheck(ProbeKind.HTTP, port=front.port, path="/version", text="{commit}")
        health = replace(check, start_period=timedelta(0))
        pipeline.declare(targets=(replace(implied_target(rig.name), health=health),))
        ended = pipeline.deploy()
    assert ended.status is Status.ROLLED_BACK, pipeline.output(ended)
    assert ended.error is not None
    assert f"/version tells '{second}', expected is commit {third}" in ended.error.message
    assert rig.running("web")["image"] == running["image"]
