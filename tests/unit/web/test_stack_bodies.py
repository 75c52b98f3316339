"""What is shown of a stack is bounded, whatever the labels of its containers say."""

from reconciler.domain.references import Digest
from reconciler.domain.stack import ComposeContainer, group_stacks
from reconciler.pipeline.adopting import FoundStack
from reconciler.web.pages.new_project.adopting import StackRow
from reconciler.web.schemas.stacks import StackBody

DIGEST = Digest("sha256:" + "ab" * 32)


def container(
    number: int, service: str, *published: int, is_running: bool = True
) -> ComposeContainer:
    labels = {"com.docker.compose.project": "shop", "com.docker.compose.service": service}
    labels["traefik.http.users"] = "hunter2"
    return ComposeContainer(f"{number:064}", "shop:1", DIGEST, is_running, labels, published)


def body_of(*containers: ComposeContainer) -> StackBody:
    (stack,) = group_stacks(containers)
    return StackBody.of(FoundStack(stack))


def test_replicas_are_one_service() -> None:
    """It runs where all of them do, on the page as well, and has the ports of each."""
    replicas = container(1, "web", 8080), container(2, "web", 80, 8080, is_running=False)
    (stack,) = group_stacks([*replicas, container(3, "db")])
    row = StackRow(FoundStack(stack), is_offered=True)
    assert row.services == {("db", "shop:1"): True, ("web", "shop:1"): False}
    body = StackBody.of(row.found)
    db, web = body.services
    assert (db.name, db.running, db.published) == ("db", True, [])
    assert (web.name, web.running, web.published) == ("web", False, [80, 8080])
    assert body.exposed is None
    assert "hunter2" not in body.model_dump_json()


def test_many_services_and_ports_are_cut() -> None:
    """An answer of a host that somebody else fills has an end."""
    body = body_of(
        *(container(number, f"s{number:03}", *range(1, 500)) for number in range(150)),
        container(900, "z" * 9000),
    )
    assert len(body.services) == 100
    assert {len(one.published) for one in body.services} == {100}
    assert len(body.model_dump_json()) < 100_000
