"""Whatever is put in: a clear answer or an explained state, and what runs keeps running."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.daemon import Daemon, Json
from tests.parts.docker_engine import DockerEngine
from tests.parts.faulty import FaultyProxy, Unreachable
from tests.parts.http_server import Answer, HttpServer
from tests.parts.shop import Images, Shop, hosted_shop
from tests.parts.waiting import eventually

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]

HOSTILE = {
    "a dash first": "-x",
    "an option": "--upload-pack=touch /tmp/rcl-was-here",
    "a line break": "main\nother",
    "a NUL": "main\0other",
    "two dots": "../../etc/passwd",
    "a transport": "ext::sh -c 'touch /tmp/rcl-was-here'",
    "a file": "file:///etc/passwd",
    "shell syntax": "$(touch /tmp/rcl-was-here);`id`|&",
    "10 kB": "x" * 10_000,
    "nothing": "",
    "a space": "a b",
    "another script": "\uff4d\uff41\uff49\uff4e\u202e",
}
FIELDS = ("name", "url", "repository", "branch", "compose_path", "image", "expose_service")
#: What is a fine value in some field, if a strange one.
ALLOWED = {("compose_path", "a space"), ("compose_path", "another script"),
           ("branch", "another script"), ("compose_path", "shell syntax")}  # fmt: skip
WAS_HERE = Path("/tmp/rcl-was-here")


@pytest.fixture(scope="module")
def impatient(engine: DockerEngine) -> Iterator[Daemon]:
    """A daemon that gives registries two seconds."""
    with Daemon({"poll_timeout_seconds": 2}) as running:
        yield running


@pytest.mark.parametrize(
    ("field", "what"),
    [(field, what) for field in FIELDS for what in HOSTILE if (field, what) not in ALLOWED],
)
def test_hostile_values_are_refused_by_name(shared_daemon: Daemon, field: str, what: str) -> None:
    """422 with the field and a text that helps, from the API; nothing is made, nothing is run."""
    body: dict[str, object] = {
        "name": "hostile",
        "kind": "compose",
        "url": "https://git.test/a.git",
    }
    if field == "repository":
        body = {"name": "hostile", "kind": "compose", "create_repository": True}
    if field == "image":
        body = {"name": "hostile", "kind": "image"}
    answer = shared_daemon.api.post("projects", json={**body, field: HOSTILE[what]})
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    named = {problem.get("field"), *(one["field"] for one in problem.get("problems", []))}
    assert field in named or (field == "repository" and "url" in named), problem
    assert len(answer.text) < 4000, "a long value is not repeated at length"
    assert shared_daemon.api.get("projects/hostile").status_code == 404
    assert not WAS_HERE.exists()


@pytest.mark.parametrize("what", ["a dash first", "an option", "two dots", "a transport", "10 kB"])
def test_hostile_values_are_refused_on_the_command_line(shared_daemon: Daemon, what: str) -> None:
    """The same through the command line: an exit status, a sentence, no traceback."""
    value = HOSTILE[what]
    for arguments in (
        ("project", "add", "hostile", f"--url={value}"),
        ("project", "add", "hostile", "--url=https://git.test/a.git", f"--branch={value}"),
        ("project", "show", "--", value),
        ("deploy", "--", value),
        ("repo", "add", "--", value),
    ):
        said = shared_daemon.cli(*arguments)
        assert said.status not in {0, 1}, (arguments[:3], said)
        assert said.err.strip()
        assert "Traceback" not in said.err
    assert not WAS_HERE.exists()


BODIES = {
    "no JSON": (b"{", "application/json", {400, 422}),
    "a list": (b"[]", "application/json", {422}),
    "an unknown field": (b'{"name":"a","kind":"tunnel","color":"red"}', "application/json", {422}),
    "a wrong type": (b'{"name":1,"kind":"tunnel"}', "application/json", {422}),
    "a form": (b"name=a&kind=tunnel", "application/x-www-form-urlencoded", {415}),
    "2 MB": (b'{"name":"' + b"a" * 2_000_000 + b'"}', "application/json", {413}),
    "deep nesting": (b"[" * 50_000, "application/json", {400, 422}),
    "no UTF-8": (b'{"name":"\xff","kind":"tunnel"}', "application/json", {400, 422}),
    "a big number": (b'{"name":"a","kind":"compose","expose_port":1e400}', "application/json",
                     {400, 422}),
}  # fmt: skip


@pytest.mark.parametrize("what", BODIES)
def test_bodies_that_are_none(shared_daemon: Daemon, what: str) -> None:
    """Problem details with a code, never a 500 and never a traceback."""
    content, kind, expected = BODIES[what]
    answer = shared_daemon.api.post("projects", content=content, headers={"content-type": kind})
    assert answer.status_code in expected, answer.text[:500]
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"]
    assert "Traceback" not in answer.text


ANCHORS = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
)
FILES: dict[str, str | bytes] = {
    "a YAML bomb": f"{ANCHORS}\nservices: {{web: {{image: busybox}}}}\n",
    "deep nesting": "services: " + "[" * 5000,
    "duplicate keys": "services:\n  web: {image: a}\n  web: {image: b}\n",
    "2 MB": "services:\n  web: {image: a}\n" + "# padding\n" * 210_000,
    "tabs": "services:\n\tweb:\n\t\timage: a\n",
    "nothing": "",
    "no services": "volumes: {data: {}}\n",
    "no mapping": "- services\n",
    "services without images": "services:\n  web: {}\n",
    "an image that is none": "services:\n  web: {image: 'UPPER CASE/..'}\n",
    "only a build": "services:\n  web: {build: .}\n",
    "no text": b"\xff\xfe\x00\x01" * 100,
    "a mount of our own data": "services:\n  web:\n    image: IMAGE\n    volumes: ['DATA:/x']\n",
    "a mount that leaves the checkout":
        "services:\n  web:\n    image: IMAGE\n    volumes: ['../../..:/x']\n",
    "an include that leaves it": "include: [../../etc/passwd]\nservices: {web: {image: IMAGE}}\n",
}  # fmt: skip


@pytest.fixture(scope="module")
def running_shop(
    impatient: Daemon, images: Images, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """A project with a version that runs well, on which everything bad is tried."""
    with hosted_shop(impatient, images, tmp_path_factory.mktemp("bad")) as shop:
        shop.deploy_first()
        yield shop


def _ends_explained(shop: Shop, before: int, *, container: str) -> Json:
    """One more deployment, which failed before it changed anything, and says why."""
    ended = shop.settled(before + 1, within=90)
    assert len(shop.all()) == before + 1
    assert ended["status"] == "failed", ended
    assert ended["error"]["message"]
    assert ended["error"]["code"] not in {"internal-error", ""}
    assert [one["stage"] for one in ended["stages"]] == ["prepare"]
    assert shop.running()["Id"] == container, "the old version keeps running"
    assert shop.shown()["state"] == "failed"
    assert ended["error"]["message"] in shop.daemon.why(shop.name)["verdict"]
    assert shop.daemon.probe("healthz")[0] == 200
    return ended


@pytest.mark.parametrize("what", FILES)
def test_files_that_can_not_be_used(running_shop: Shop, what: str) -> None:
    """Recorded as failed with the file's own fault; the old version never notices."""
    shop = running_shop
    content = FILES[what]
    if isinstance(content, str):
        content = content.replace("IMAGE", shop.images.plain())
        content = content.replace("DATA", str(shop.daemon.data))
    before, container = len(shop.all()), shop.running()["Id"]
    commit = shop.repository.commit({"compose.yaml": content}, message=what)
    assert shop.push().ok
    ended = _ends_explained(shop, before, container=container)
    assert ended["revision"]["commit"] == commit
    assert ended["error"]["code"] == "invalid-compose-file", ended["error"]
    assert len(ended["error"]["message"]) < 2000


def test_a_compose_file_that_leads_out_of_the_checkout(running_shop: Shop) -> None:
    """A symbolic link to a file of this machine is not followed."""
    shop = running_shop
    before, container = len(shop.all()), shop.running()["Id"]
    _commit_link(shop, "compose.yaml", "/etc/hostname")
    assert shop.push().ok
    ended = _ends_explained(shop, before, container=container)
    assert ended["error"]["code"] == "invalid-compose-file"
    assert "compose.yaml" in ended["error"]["message"]


def test_a_compose_file_that_is_not_there(running_shop: Shop) -> None:
    """Deleted from the repository: said with its path."""
    shop = running_shop
    before, container = len(shop.all()), shop.running()["Id"]
    shop.repository.commit({"compose.yaml": None, "other.txt": "x"})
    assert shop.push().ok
    ended = _ends_explained(shop, before, container=container)
    assert "compose.yaml" in ended["error"]["message"]


def _commit_link(shop: Shop, path: str, target: str) -> None:
    git = shop.repository.git
    blob = git("hash-object", "-w", "--stdin", stdin=target.encode())
    tree = git("mktree", stdin=f"120000 blob {blob}\t{path}\n".encode())
    commit = git("commit-tree", tree, "-p", shop.repository.tip(), "-m", "a link")
    git("update-ref", "refs/heads/main", commit)


#: What may be over by the next attempt.
PASSING = {"source-unreachable", "source-throttled", "source-protocol-error"}
#: What the registry says → the deployment's code, or RETRY where another try may help.
ANSWERS = {
    401: (Answer(401, {"WWW-Authenticate": 'Basic realm="x"'}, b"{}"), "source-denied"),
    403: (Answer(403, {}, b"{}"), "source-denied"),
    404: (Answer(404, {}, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}'), "revision-not-found"),
    429: (Answer(429, {"Retry-After": "60"}, b"slow down"), "RETRY"),
    500: (Answer(500, {}, b"oops"), "RETRY"),
    "HTML": (Answer(200, {"Content-Type": "text/html"}, b"<html>welcome</html>"), "RETRY"),
}


@pytest.mark.parametrize("status", ANSWERS)
def test_registries_that_say_no(running_shop: Shop, status: int | str) -> None:
    """Each ends as a state that is recorded and explained, and the old version keeps running."""
    answer, code = ANSWERS[status]
    with HttpServer(lambda _request: answer) as registry:
        image = f"localhost:{registry.port}/team/app:1"
        _does_not_deploy(running_shop, image, code)


@pytest.mark.parametrize(
    "kind", [pytest.param("silent", marks=pytest.mark.slow), "unreachable", "nobody"]
)
def test_registries_that_say_nothing(running_shop: Shop, kind: str) -> None:
    """Silence is bounded in time, and is a state, too."""
    with FaultyProxy() as silent, Unreachable() as unreachable:
        ports = {"silent": silent.port, "unreachable": unreachable.port, "nobody": 1}
        _does_not_deploy(running_shop, f"localhost:{ports[kind]}/team/app:1", "RETRY")


def test_an_image_that_does_not_exist(running_shop: Shop) -> None:
    """Said with its name."""
    _does_not_deploy(running_shop, running_shop.images.at("no/such:image"), "revision-not-found")


def _does_not_deploy(shop: Shop, image: str, code: str) -> None:
    """Push a version with ``image``; it fails with ``code``, or waits for its next attempt."""
    before, container = len(shop.all()), shop.running()["Id"]
    shop.push(shop.compose(image))
    if code != "RETRY":
        ended = _ends_explained(shop, before, container=container)
        assert ended["error"]["code"] == code, ended["error"]
        assert image.partition("/")[0] in ended["error"]["message"]
        return

    def waits() -> Json | None:
        newest = shop.all()[-1]
        return newest if len(shop.all()) > before and newest["not_before"] else None

    waiting = eventually(waits, within=60, what="it waits for its next attempt")
    assert waiting
    assert waiting["status"] == "queued"
    assert waiting["error"]["code"] in PASSING, waiting["error"]
    assert waiting["error"]["message"] in " ".join(
        one["text"] for one in shop.daemon.why(shop.name)["reasons"]
    )
    assert shop.running()["Id"] == container, "the old version keeps running"
    # A newer version does not wait for it.
    shop.push(shop.version(f"after {before}"))
    shop.deployed(before + 2)
    assert shop.daemon.deployment(waiting["id"])["status"] == "superseded"
