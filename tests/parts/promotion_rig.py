"""An app of two environments on the real engine, and what goes from one to the other."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.deployment import Deployment
from reconciler.domain.health_check import HealthCheck, ProbeKind
from reconciler.domain.promotion import Environment, EnvironmentName, Promotion
from reconciler.domain.references import ProjectName
from reconciler.domain.secret import Secret
from reconciler.domain.target import implied_target
from reconciler.domain.version_check import VersionCheck
from reconciler.pipeline.explain import Explainer, Explanation
from reconciler.pipeline.promoting.promotions import Promotions
from reconciler.pipeline.promoting.soak import SoakWatch
from reconciler.testing import RehearsedProber
from tests.parts.child import free_port
from tests.parts.compose_rig import ComposeRig, compose_file
from tests.parts.docker_engine import DockerEngine
from tests.parts.pipeline_rig import PipelineRig, no_brake, open_pipeline
from tests.parts.registry import Registry

OTHER_COMMIT = "0" * 40
#: Serves what the contract asks for, and breaks it where ``FAILS`` names a way, and its version.
_APP = f"""\
cp /version /told
case "$FAILS" in
"crashes $(cat /version)") exit 3 ;;
"is-unhealthy $(cat /version)") rm /healthz ;;
"is-not-ready $(cat /version)") rm /ready ;;
"tells-another $(cat /version)") echo {OTHER_COMMIT} > /told ;;
esac
exec httpd -f -p 8080 -h /
"""
APP_FILES = {"app": _APP, "healthz": "well", "ready": "yes"}
APP_COMMAND = ("sh", "/app")
#: What runs of it, in each environment on a port of its own.
APP_SERVICE = """\
environment: {FAILS: "${FAILS:-}"}
ports: ["127.0.0.1:${PORT}:8080"]
"""
VERSION = VersionCheck(8080, "/told", start_period=timedelta(seconds=1), retries=2, successes=1)


def push_app(engine: DockerEngine, registry: Registry, tag: str, version: str) -> str:
    """Have ``tag`` be an image that tells ``version``; return its digest."""
    local = f"{engine.run_id}/{tag}"
    engine.build_image(local, cmd=APP_COMMAND, files={**APP_FILES, "version": version})
    return engine.push(local, registry.host, repository=tag)


def check(port: int, path: str) -> HealthCheck:
    """Return one of the contract's checks; impatient, because the app is up at once."""
    return HealthCheck(
        ProbeKind.HTTP,
        port=port,
        path=path,
        start_period=timedelta(seconds=1),
        interval=timedelta(seconds=0.1),
        retries=2,
        successes=1,
    )


@dataclass
class PromotionRig:
    """Test, which follows its branch, and production, which gets what was verified there."""

    test: PipelineRig
    production: PipelineRig

    # ── What is released ──────────────────────────────────────────────────────────────────────

    @property
    def image(self) -> str:
        """The tag that both environments' compose file names."""
        return f"{self.test.rig.registry.host}/app:1"

    def release(self, note: str) -> str:
        """Commit a version, and push its image under the tag; return the commit."""
        rig = self.test.rig
        text = compose_file(rig.engine, web=f"{self.image}\n{APP_SERVICE}")
        commit = rig.commit(text, {"README": note})
        self.push_image(commit)
        return commit

    def push_image(self, version: str) -> None:
        """Move the tag to an image that tells ``version``."""
        push_app(self.test.rig.engine, self.test.rig.registry, "app:1", version)

    def fail(self, environment: PipelineRig, way: str, commit: str) -> None:
        """Have ``commit`` fail in one environment, and in no other."""
        _set_variable(environment, "FAILS", f"{way} {commit}")

    # ── What is done ──────────────────────────────────────────────────────────────────────────

    def promotions(self) -> Promotions:
        """Return them as a daemon that was started just now has them."""
        store, clock = self.test.store, SystemClock()
        watch = SoakWatch(store, clock, lambda _: (), RehearsedProber())
        return Promotions(store, clock, no_brake, watch)

    def promote(self) -> Deployment | None:
        """Look once what may go on, and deploy it; return what became of it, if anything."""
        self.promotions().tick()
        return self.production.run_next()

    # ── What is known ─────────────────────────────────────────────────────────────────────────

    def waiting(self) -> list[Promotion]:
        """Return the promotions that wait."""
        return list(self.test.store.list_waiting(self.production.rig.name))

    def why(self) -> Explanation:
        """Return why production stands where it does."""
        explainer = Explainer(self.test.store, SystemClock(), no_brake)
        return explainer.why(self.production.rig.name)


def next_environment(rig: ComposeRig) -> ComposeRig:
    """Return production: of the same repository, on the same engine."""
    name = ProjectName(f"{rig.name}-production")
    environment = Environment(EnvironmentName("production"), rig.name)
    project = replace(rig.project, name=name, environment=environment, auto_deploy=True)
    return replace(rig, project=project, target=replace(rig.target, project=name), log=[])


@contextmanager
def open_promotion(rig: ComposeRig) -> Iterator[PromotionRig]:
    """Give both environments until the block ends; ``rig`` is test."""
    production = next_environment(rig)
    try:
        with open_pipeline(rig) as test:
            test.store.create_project(production.project)
            made = PromotionRig(test, PipelineRig(production, test.store, test.window))
            for one in (made.test, made.production):
                _give_contract(one)
            yield made
    finally:
        rig.engine.remove_project(production.name)


def _give_contract(pipeline: PipelineRig) -> None:
    port = free_port()
    target = replace(
        implied_target(pipeline.rig.name),
        health=check(port, "/healthz"),
        ready=check(port, "/ready"),
    )
    pipeline.declare(targets=(target,), version=VERSION)
    _set_variable(pipeline, "PORT", str(port))


def _set_variable(pipeline: PipelineRig, name: str, value: str) -> None:
    pipeline.store.put_secret(
        pipeline.rig.name,
        f"variable:{name}",
        Secret.of(value),
        bound_to="",
        username="",
        now=SystemClock().now(),
    )
