"""T35: some 300 strings that are options, commands or paths to whoever does not check them.

Through the real API, into every field that later stands in a command, a file name or an address.
The figures: 0 accepted, 0 answers of 5xx, each refusal names its field, and no file of theirs
appears. What happens if one got past all that is in ``test_git_injection``.
"""

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from tests.parts.web_client import WebDaemon, ok

MARKER = Path("/tmp/rcl-t35-was-here")
TOUCH = f"touch {MARKER}"
#: What makes another program of an argument, an address or a name; ``T`` is a command.
SHAPES = (
    *("--upload-pack=T", "--receive-pack=T", "--exec=T", "--output=F", "--config=F", "-uT", "-eT"),
    *("-oProxyCommand=T", "-oLocalCommand=T", "-oPermitLocalCommand=yes", "-F/F", "-S F", "-w0"),
    *("--rsh=T", "--rsync-path=T", "--files-from=F", "-c core.sshCommand=T", "--git-dir=F"),
    *("--env-file=F", "--project-directory=/", "--privileged", "-v/:/host", "--help", "--", "-"),
    *("ext::sh -c T", "ext::T", "fd::17/x", "file:///etc/passwd", "file://T", "git://T/x"),
    *("ssh://-oProxyCommand=T/x", "ssh://x@-oProxyCommand=T/x", "-oProxyCommand=T@host:x"),
    *("https://u:p@h.test/a?x=T", "javascript:T", "unix:///var/run/docker.sock", "http://[::T]/"),
    *("$(T)", "`T`", ";T", "|T", "||T", "&&T", "&T", "\nT\n", "\r\nT", "$IFS T", "${T}", "%(T)"),
    *("{{T}}", "$((T))", "<(T)", ">F", "<F", "'T'", '"T"', "\\T", "!T", "^T^", "#{T}", "*;T"),
    *("../../../F", "/../F", "..\\..\\F", "./../F", "~/../F", "/proc/self/environ", "\\\\h\\F"),
    *("%2e%2e%2fF", "%00T", "%0aT", "%0d%0aT", "T%s", "%nT", "T\0", "\0T", "a\0b T", "\x1b[2JT"),
)
#: Where that stands in the value. Those with two dashes are not what they look like.
AROUND = ("{}", " {}", "a\t{}", "\N{EN DASH}\N{MINUS SIGN}{}", "\t{}", "\ufeff{}")
ODD = (
    *(" ", "\t", "\n", "\0", "x" * 10_000, "\u202egnp.a", "\ud7ff" * 70, "\uff0d\uff0dx"),
    *("\N{KELVIN SIGN}\N{CYRILLIC SMALL LETTER A}", "a\N{ZERO WIDTH SPACE}b", "\x7f", "\u2028"),
)


def corpus() -> list[str]:
    """Return the strings, each once."""
    shapes = [shape.replace("T", TOUCH).replace("F", str(MARKER)) for shape in SHAPES]
    strings = [around.format(shape) for shape, around in product(shapes, AROUND[:4])]
    strings += [around.format(shape) for shape, around in product(shapes[:12], AROUND[4:])]
    return list(dict.fromkeys([*strings, *ODD]))


V1 = "/api/v1"
COMPOSE = {"name": "t35", "kind": "compose", "url": "https://git.test/a.git"}
UNIT = {"host": "local", "strategy": "systemd", "binary": "bin/api"}
RELEASE = {
    "project": "app",
    "commit": "a" * 40,
    "images": {"registry.test/app": f"sha256:{'1' * 64}"},
    "build": {"result": "success", "finished_at": "2026-11-20T16:00:00Z"},
}
#: Field → how it is sent: method, path, the body around it.
FIELDS: Mapping[str, tuple[str, str, dict[str, Any]]] = {
    "project name": ("POST", "/projects", {**COMPOSE, "name": None}),
    "project url": ("POST", "/projects", {**COMPOSE, "url": None}),
    "project branch": ("POST", "/projects", {**COMPOSE, "branch": None}),
    "project compose_path": ("POST", "/projects", {**COMPOSE, "compose_path": None}),
    "project expose_service": ("POST", "/projects", {**COMPOSE, "expose_service": None}),
    "project image": ("POST", "/projects", {"name": "t35", "kind": "image", "image": None}),
    "repository name": ("POST", "/repositories", {"name": None}),
    "deployment commit": ("POST", "/projects/app/deployments", {"commit": None}),
    "host name": ("POST", "/hosts", {"name": None, "alias": "web1"}),
    "host alias": ("POST", "/hosts", {"name": "t35", "alias": None}),
    "host address": ("POST", "/hosts", {"name": "t35", "address": None, "user": "me"}),
    "host user": ("POST", "/hosts", {"name": "t35", "address": "10.0.0.5", "user": None}),
    "target user": ("POST", "/projects/api/targets", {**UNIT, "user": None}),
    "target binary": ("POST", "/projects/api/targets", {**UNIT, "binary": None}),
    "target folder": ("POST", "/projects/api/targets", {**UNIT, "folder": None}),
    "target source_folder": ("POST", "/projects/api/targets", {**UNIT, "source_folder": None}),
    "target host": ("POST", "/projects/api/targets", {**UNIT, "host": None}),
    "webhook name": ("POST", "/webhooks", {"name": None, "provider": "gitea"}),
    "webhook provider": ("POST", "/webhooks", {"name": "t35", "provider": None}),
    "webhook project": ("POST", "/webhooks", {"name": "t35", "provider": "gitea", "project": None}),
    "token name": ("POST", "/tokens", {"name": None, "scope": "read"}),
    "token scope": ("POST", "/tokens", {"name": "t35", "scope": None}),
    "release project": ("POST", "/releases", {**RELEASE, "project": None}),
    "release commit": ("POST", "/releases", {**RELEASE, "commit": None}),
}
#: Those where the string is a name within the body or the path.
KEYS = ("target environment", "release images", "secret variable")


@pytest.fixture(scope="module", autouse=True)
def projects(daemon: WebDaemon) -> None:
    """What some of the fields are fields of."""
    app = {"name": "app", "kind": "compose", "url": "https://git.test/app.git"}
    api = {"name": "api", "kind": "unit", "url": "https://git.test/api.git"}
    for body in (app, api):
        ok(daemon.local.post(f"{V1}/projects", json=body))


def send(client: httpx2.Client, field: str, text: str) -> httpx2.Response:
    if field == "target environment":
        body: dict[str, Any] = {**UNIT, "environment": {text: "x"}}
        return client.post(f"{V1}/projects/api/targets", json=body)
    if field == "release images":
        body = {**RELEASE, "images": {text: f"sha256:{'1' * 64}"}}
        return client.post(f"{V1}/releases", json=body)
    if field == "secret variable":
        return client.put(
            f"{V1}/projects/app/secrets/variable:{_quoted(text)}", json={"value": "x"}
        )
    method, path, around = FIELDS[field]
    name = field.partition(" ")[2]
    return client.request(method, f"{V1}{path}", json={**around, name: text})


def _quoted(text: str) -> str:
    # A slash at the end would be another address, of which the server says where it is.
    return quote(text.rstrip("/"), safe="")


def turn(position: int, fields: list[str], each: int) -> list[str]:
    """Return some of the fields, others for each position, so that all get their share."""
    return [fields[(position * each + more) % len(fields)] for more in range(each)]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "each", [pytest.param(2, id="short"), pytest.param(27, id="all", marks=pytest.mark.slow)]
)
def test_t35_what_would_be_a_command_is_refused_by_its_field(daemon: WebDaemon, each: int) -> None:
    """Figures: 300 strings or more; 0 accepted, 0 of 5xx, 0 files of theirs."""
    MARKER.unlink(missing_ok=True)
    strings, fields = corpus(), [*FIELDS, *KEYS]
    assert len(strings) >= 300
    wrong, asked = list[str](), set[str]()
    for position, text in enumerate(strings):
        for field in turn(position, fields, each):
            asked.add(field)
            answer = send(daemon.local, field, text)
            if not _refused_by_name(answer, field):
                wrong.append(f"{field} {text[:80]!r}: {answer.status_code} {answer.text[:200]}")
    assert not wrong, "\n".join(wrong[:40])
    assert asked == set(fields)
    assert not MARKER.exists()
    names = {one["name"] for one in ok(daemon.local.get(f"{V1}/projects"))["items"]}
    assert names == {"app", "api"}


def _refused_by_name(answer: httpx2.Response, field: str) -> bool:
    """Tell whether it is a 4xx that says which field is wrong; a path may lead nowhere instead."""
    if not 400 <= answer.status_code < 500:
        return False
    problem = answer.json()
    named = {problem.get("field"), *(one["field"] for one in problem.get("problems", []))}
    wanted = field.partition(" ")[2]
    return any(wanted in str(name) for name in named) or field == "secret variable"
