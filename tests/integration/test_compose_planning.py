"""F4: what deploying now would change, with the real compose, engine, registry and repository."""

import base64
import hashlib
import sqlite3
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.deployment import Status
from reconciler.domain.plan import Direction, ImageFate, Plan, Weight
from reconciler.domain.project import ProjectKind
from reconciler.domain.references import ImageReference
from reconciler.domain.secret import Secret
from reconciler.domain.target import TargetStrategy
from reconciler.pipeline.planning import PlanParts, Plans
from reconciler.pipeline.planning.verdict import NOTHING
from reconciler.pipeline.sources import Sources
from reconciler.strategies.compose import ComposePlanner
from tests.parts.compose_rig import ComposeRig, compose_file, open_rig, scratches_of
from tests.parts.docker_engine import RUN_LABEL, DockerEngine
from tests.parts.pipeline_rig import PipelineRig, open_pipeline
from tests.parts.registry import Registry

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]

CANARY = "canary-7f3e91d0-bird"
#: Of each of these nothing may be seen.
HIDDEN = {name: f"{CANARY}-{name}" for name in ("variable", "dotenv", "envfile", "kept")}


@dataclass
class Bench:
    """A project that is deployed by the pipeline, and plans of it."""

    rig: ComposeRig
    pipeline: PipelineRig
    plans: Plans

    def plan(self) -> Plan:
        return self.plans.plan(self.rig.name)

    def deploy(self) -> None:
        done = self.pipeline.deploy()
        assert done.status is Status.DEPLOYED, done.error

    def file(self, **services: str) -> str:
        return compose_file(self.rig.engine, **services)


@pytest.fixture
def bench(engine: DockerEngine, registry: Registry, tmp_path: Path) -> Iterator[Bench]:
    with open_rig(engine, registry, tmp_path) as rig, open_pipeline(rig) as pipeline:
        yield Bench(rig, pipeline, plans_of(rig, pipeline))


def plans_of(rig: ComposeRig, pipeline: PipelineRig) -> Plans:
    remote, hosted, scratches = scratches_of(rig)
    return Plans(
        PlanParts(
            store=pipeline.store,
            clock=SystemClock(),
            brakes=lambda switch: switch,
            sources=Sources(pipeline.store, remote, hosted),
            registry=rig.strategy.registry,
            open_scratch=scratches.open,
            planners={TargetStrategy.COMPOSE: ComposePlanner(rig.strategy)},
        )
    )


def texts(plan: Plan) -> str:
    return repr(replace(plan, basis=replace(plan.basis))) + "\n".join(plan.difference.lines)


def test_f4_a_plan_tells_commits_images_files_and_differences(bench: Bench) -> None:
    """F4: from what is live to what deploying now would take, also while it deploys."""
    rig = bench.rig
    image, other = rig.image("app:1"), rig.image("side:1", version="side")
    labels = f"{{{RUN_LABEL}: {rig.engine.run_id}, reconciler.stateful: 'true'}}"
    rig.commit(bench.file(web=image, side=other, db=f"{other}\nlabels: {labels}"))
    first = bench.plan()
    assert first.direction is Direction.FIRST
    assert first.changes
    assert {step.service: step.fate for step in first.images} == {
        "web": ImageFate.PINNED,
        "side": ImageFate.PINNED,
        "db": ImageFate.LEFT,
    }
    with ThreadPoolExecutor(2) as pool:  # neither is in the other's way
        besides = [pool.submit(bench.plan) for _ in range(2)]
        bench.deploy()
        assert {one.result().project for one in besides} == {rig.name}
    same = bench.plan()
    assert (same.verdict, same.changes, same.difference.lines) == (NOTHING, False, ())
    old = rig.digest(image)
    rig.image("app:1", version="two")
    rig.commit(bench.file(web=f"{image}\nread_only: true", new=image), {"note.txt": "x"})
    plan = bench.plan()
    assert plan.direction is Direction.FORWARD
    assert plan.history is not None
    assert [one.subject for one in plan.history.commits] == ["change"]
    web = next(step for step in plan.images if step.service == "web")
    assert web.before is not None
    assert web.after is not None
    assert (web.before.digest, web.after.digest) == (old, rig.digest(image))
    assert web.after.size_bytes
    assert web.after.created_at is not None
    assert web.after.created_at <= datetime.now(UTC)
    fates = {step.service: step.fate for step in plan.images}
    assert fates == {
        "web": ImageFate.PINNED,
        "new": ImageFate.PINNED,
        "side": ImageFate.GONE,
        "db": ImageFate.GONE,
    }
    assert plan.files is not None
    assert {one.path: one.change for one in plan.files.files} == {
        "compose.yaml": "changed",
        "note.txt": "added",
    }
    assert "+    read_only: true" in plan.difference.lines
    assert str(rig.folder) not in texts(plan)
    assert plan.verdict.endswith("1 commit, 4 images, 2 files.")


def test_f4_no_value_of_a_variable_is_shown_and_nothing_is_left(bench: Bench) -> None:
    """F4: neither as it is nor in base64; neither tree, nor data, nor store change by a plan."""
    rig, store = bench.rig, bench.pipeline.store
    image, now = rig.image("app:1"), SystemClock().now()
    for name in ("variable", "unused"):
        secret = Secret.of(HIDDEN.get(name, CANARY))
        store.put_secret(
            rig.name, f"variable:{name.upper()}", secret, bound_to="", username="", now=now
        )
    before = """
environment: {VARIABLE: "${VARIABLE}", DOTENV: "${DOTENV}", KEPT: "${KEPT:-}", UNUSED: }
env_file: [a.env, kept.env]
"""
    files = {".env": f"DOTENV={HIDDEN['dotenv']}\n", "a.env": f"ENVFILE={HIDDEN['envfile']}\n"}
    rig.tree.mkdir(parents=True)
    (rig.tree / "kept.env").write_text(f"KEPT={HIDDEN['kept']}\n")
    rig.commit(bench.file(web=image + before), files)
    bench.deploy()
    encoded = base64.b64encode(f"user:{HIDDEN['variable']}".encode()).decode()
    after = f"{before}labels: {{literal: shown, hidden: '{encoded}', plain: {HIDDEN['envfile']}}}"
    message = f"uses {HIDDEN['variable']}"
    rig.repository.commit({"compose.yaml": bench.file(web=image + after)}, message)
    assert any(form in encoded for form in encodings(CANARY))
    trace = traces(bench)
    plan = bench.plan()
    assert traces(bench) == trace
    shown = "\n".join(plan.difference.lines)
    assert "literal: shown" in shown
    assert "${VARIABLE}" in shown
    everything = repr(plan)
    for value in (CANARY, *HIDDEN.values()):
        assert value not in everything
    for form in encodings(CANARY):
        assert form not in everything
    assert plan.changes, plan.findings


def encodings(text: str) -> set[str]:
    """Return what base64 makes of the middle of ``text``, wherever that begins."""
    cut = {0: 0, 1: 2, 2: 3}
    return {
        base64.b64encode(b"x" * shift + text.encode()).decode()[cut[shift] + 2 : -4]
        for shift in range(3)
    }


def traces(bench: Bench) -> Mapping[str, str]:
    """Return what there is on disk and in the store: file → its hash, table → its rows."""
    found = {
        str(path.relative_to(bench.rig.folder)): content_of(path)
        for path in bench.rig.folder.rglob("*")
        if "state.db" not in path.name
    }
    with sqlite3.connect(f"file:{bench.rig.folder / 'state.db'}?mode=ro", uri=True) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            found[table] = repr(database.execute(f"SELECT * FROM {table}").fetchall())  # noqa: S608
    return found


def content_of(path: Path) -> str:
    if path.is_symlink():
        return str(path.readlink())
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"


def test_f4_files_that_can_not_be_used_are_the_plans_finding(bench: Bench) -> None:
    """F4: with the deployment's own code; the rest of the plan is there all the same."""
    rig = bench.rig
    image = rig.image("app:1")
    rig.commit(bench.file(web=image))
    bench.deploy()
    # Nothing is wrong with it, but that compose can't leave a variable open there.
    rig.commit(bench.file(web=f"{image}\nulimits: {{nofile: '${{FILES:-9}}'}}"))
    written = bench.plan()
    assert written.changes
    assert "+    ulimits: {nofile: '${FILES:-9}'}" in written.difference.lines
    assert written.difference.note.startswith("compared as written")
    for broken, code in (
        ("services: {web: {image: [}", "invalid-compose-file"),
        (bench.file(web=f"{image}\nvolumes: ['../../x:/x']"), "invalid-compose-file"),
        (bench.file(web=f"{rig.registry.host}/nowhere:1"), "revision-not-found"),
    ):
        rig.commit(broken)
        plan = bench.plan()
        assert [(one.weight, one.code) for one in plan.findings] == [(Weight.FAILS, code)]
        assert plan.verdict.startswith("Deploying now would fail: ")
        assert not plan.changes
        assert plan.history is not None
        assert plan.files is not None
        assert str(rig.folder) not in repr(plan)
        done = bench.pipeline.deploy()
        assert done.error is not None
        assert done.error.code == code


def test_f4_an_image_project_is_planned_as_well(
    engine: DockerEngine, registry: Registry, tmp_path: Path
) -> None:
    """F4: it has no commits, and the file that is made for it is compared."""
    kind = ProjectKind.IMAGE
    with (
        open_rig(engine, registry, tmp_path, kind=kind, source=None) as rig,
        open_pipeline(rig) as pipeline,
    ):
        image = rig.image("app:1")
        pipeline.declare(image=ImageReference.parse(image))
        plans = plans_of(rig, pipeline)
        plan = plans.plan(rig.name)
        (step,) = plan.images
        assert step.after is not None
        assert step.after.digest == rig.digest(image)
        assert plan.changes
        assert plan.basis.revision.commit is None
