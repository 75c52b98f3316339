"""What the forms of a new project come to, and the commands that say the same."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reconciler.adapters.compose_file import RuamelComposeReader
from reconciler.app.first_looks import Found
from reconciler.domain.compose import ServicePort
from reconciler.domain.errors import InvalidInput
from reconciler.domain.project import Project
from reconciler.pipeline.declaring.project_draft import parse_draft
from reconciler.pipeline.declaring.target_draft import TargetDraft, parse_target
from reconciler.triggers.compose_images import Composition
from reconciler.web.pages.new_project.as_command import commands_of
from reconciler.web.pages.new_project.forms import (
    SourceForm,
    credentials_of,
    health_change,
    published_port,
    reached,
    runs_change,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
URL = "https://git.example.com/team/Big_Shop.git"
COMPOSE = b"""
services:
  web:
    image: app:1
    ports: ["127.0.0.1:18080:8080/tcp", "9000-9010:9000", "${PORT}:7000", "6000"]
    expose: [5000, "4000/udp"]
  long:
    image: app:1
    ports: [{target: 80, published: "8088"}, {target: 81}, {published: 3}]
  db:
    image: postgres:16
"""


def project_of(**fields: str) -> Project:
    return parse_draft(SourceForm(fields).draft(), NOW)


@pytest.fixture(scope="module")
def found() -> Found:
    services = RuamelComposeReader().read(COMPOSE).services
    return Found(composition=Composition(services, ()))


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"url": URL}, "big-shop"),
        ({"url": "git@git.example.com:me/blog.git"}, "blog"),
        ({"url": URL, "name": " own "}, "own"),
        ({"where": "image", "image": "registry.example:5000/team/app:main"}, "app"),
        ({"where": "image", "image": "redis"}, "redis"),
    ],
)
def test_unnamed_it_is_called_as_its_source(fields: dict[str, str], name: str) -> None:
    assert project_of(**fields).name == name


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "url"),
        ({"where": "image", "url": URL}, "image"),
        ({"where": "here", "url": URL}, "name"),
        ({"url": "https://git.example.com/---.git"}, "name"),
    ],
)
def test_something_has_to_name_it(fields: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        project_of(**fields)
    assert raised.value.field == field
    assert project_of(where="here", name="shop").kind == "compose"


def test_a_credential_is_bound_to_the_source() -> None:
    form = SourceForm({"url": URL, "token": "a-token", "username": "me", "ssh_key": "ignored"})
    project = parse_draft(form.draft(), NOW)
    shown = credentials_of(project, form.secret(project))
    assert shown
    assert (shown.origin, shown.username) == ("https://git.example.com", "me")
    assert SourceForm({"url": URL}).secret(project) is None


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"url": URL, "token": "a", "username": "with space"}, "username"),
        ({"url": "http://git.example.com/a.git", "token": "a-token"}, "token"),
        ({"url": "git@git.example.com:a/b.git", "ssh_key": "no key"}, "ssh_key"),
    ],
)
def test_what_is_wrong_with_a_credential_is_said_at_its_field(
    fields: dict[str, str], field: str
) -> None:
    form = SourceForm(fields)
    project = parse_draft(form.draft(), NOW)
    with pytest.raises(InvalidInput) as raised:
        credentials_of(project, form.secret(project))
    assert raised.value.field == field
    assert "a-token" not in raised.value.message


def test_ports_that_a_file_names(found: Found) -> None:
    """Ranges and variables say nothing; the port in the container still counts."""
    web, long, db = found.services
    numbers = [(one.number, one.published) for one in web.ports]
    assert numbers == [
        (8080, 18080),
        (9000, None),
        (7000, None),
        (6000, None),
        (5000, None),
        (4000, None),
    ]
    assert long.ports == (ServicePort(80, 8088), ServicePort(81))
    assert db.ports == ()


@pytest.mark.parametrize(
    ("service", "port", "field", "words"),
    [
        ("nobody", "80", "expose_service", "is none of its services: web, long, db"),
        ("", "80", "expose_service", "is none"),
        ("web", "8000", "expose_port", "which names 4000, 5000, 6000, 7000, 8080, 9000"),
        ("web", "x", "expose_port", "is no port"),
        ("web", "-1", "expose_port", "is no port"),
        ("web", "99999999", "expose_port", "is no port"),
    ],
)
def test_what_people_reach_has_to_be_there(
    found: Found, service: str, port: str, field: str, words: str
) -> None:
    with pytest.raises(InvalidInput) as raised:
        reached(project_of(url=URL), {"expose_service": service, "expose_port": port}, found)
    assert (raised.value.field, words in raised.value.message) == (field, True)


def test_health_is_asked_where_the_service_is_published(found: Found) -> None:
    project = project_of(url=URL)
    web = reached(project, {"expose_service": "web", "expose_port": "8080"}, found)
    db = reached(project, {"expose_service": "db", "expose_port": "5432"}, found)
    assert published_port(web, found) == 18080
    path = {"health_path": "/healthz"}
    assert health_change(web, path, found) == {"health_path": "/healthz", "port": 18080}
    own = {**path, "health_port": "81"}
    assert health_change(db, own, found) == {"health_path": "/healthz", "port": 81}
    assert health_change(db, {"health_port": "81"}, found) == {"health": None}
    with pytest.raises(InvalidInput, match="the file publishes none"):
        health_change(db, path, found)


def test_what_runs() -> None:
    fields = {"compose_path": " deploy/c.yaml ", "stateful:db": "on", "form_token": "x"}
    change = runs_change(project_of(url=URL), fields)
    assert change == {"compose_path": "deploy/c.yaml", "stateful_services": ("db",)}
    image = project_of(where="image", image="redis:7")
    change = runs_change(image, {"ports": "80:80, 81:81", "volumes": ""})
    assert change == {"ports": ("80:80", "81:81"), "volumes": ()}


def test_the_same_as_commands(found: Found) -> None:
    project = project_of(url=URL, branch="a b".replace(" ", "-"))
    project = reached(project, {"expose_service": "web", "expose_port": "8080"}, found)
    target = parse_target(TargetDraft("local", port=18080, health_path="/h?a=1&b=2"), project)
    lines = commands_of(replace(project, targets=(target,)), [])
    assert lines == [
        "reconciler project add big-shop \\",
        f"    --url {URL} \\",
        "    --branch a-b \\",
        "    --expose-service web \\",
        "    --expose-port 8080",
        "reconciler target set big-shop local \\",
        "    --port 18080 \\",
        "    --health-path '/h?a=1&b=2'",
    ]
