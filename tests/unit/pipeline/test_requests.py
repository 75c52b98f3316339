"""What people ask for, against what runs."""

from dataclasses import dataclass, field, replace

import pytest

from reconciler.domain.errors import Refused, SourceUnreachable
from reconciler.domain.gate import ReasonCode
from reconciler.domain.host import HostName
from reconciler.domain.references import CommitSha, Digest, ImageReference, ProjectName
from reconciler.domain.target import Target, TargetStrategy
from reconciler.pipeline.requests import Requests, Wanted
from reconciler.testing import digest_of
from tests.unit.pipeline.conftest import IMAGE, WEB, A, B, World


@dataclass
class Sources:
    """Where the branch and the tag stand."""

    at: CommitSha | None = A
    digests: dict[str, Digest] = field(default_factory=dict)

    def tip(self, *_: object) -> CommitSha | None:
        return self.at

    def digest(self, image: ImageReference, project: ProjectName | None = None) -> Digest:
        found = self.digests.get(str(image))
        if found is None:
            raise SourceUnreachable("registry.example: 503")
        return found


@pytest.fixture
def sources() -> Sources:
    return Sources()


@pytest.fixture
def requests(world: World, sources: Sources) -> Requests:
    return Requests(world.store, world.clock, world.brakes, sources, sources, sources)  # type: ignore[arg-type]


def deploy(requests: Requests) -> str:
    result = requests.deploy(WEB, Wanted(), actor="ann")
    return str(result.reasons[0].code) if not result.admitted else "admitted"


def test_deploy_now_means_what_the_tags_say_now(
    world: World, requests: Requests, sources: Sources
) -> None:
    """A digest that moved is something to deploy, though the commit is the one that runs."""
    world.deploy(A)
    sources.digests[IMAGE] = digest_of("first")
    assert deploy(requests) == ReasonCode.ALREADY_LIVE
    sources.digests[IMAGE] = digest_of("second")
    assert deploy(requests) == "admitted"


def test_a_registry_that_is_away_makes_nothing_new(
    world: World, requests: Requests, sources: Sources
) -> None:
    """What can't be looked up is not taken for moved."""
    world.deploy(A)
    assert deploy(requests) == ReasonCode.ALREADY_LIVE


def test_nobody_goes_back_to_what_ran_on_another_host(world: World, requests: Requests) -> None:
    """Not by default, and not by naming it."""
    first = world.deploy(A)
    world.deploy(B)
    project = world.store.get_project(WEB)
    elsewhere = (Target(WEB, HostName("east"), TargetStrategy.COMPOSE),)
    world.store.update_project(replace(project, targets=elsewhere))
    for named in (None, first.id):
        with pytest.raises(Refused, match="where it runs"):
            requests.roll_back(WEB, to=named, actor="ada")
    world.store.update_project(project)
    assert requests.roll_back(WEB, to=None, actor="ada").outcome == "admitted"
