"""What a fleet file says, and every way in which it can be wrong."""

import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.domain.errors import InvalidInput, SeveralInvalid
from reconciler.domain.references import ProjectName
from reconciler.pipeline.declaring.fleet.document import Fleet, parse_fleet

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SHOP = ProjectName("shop")


def parse(text: str) -> Fleet:
    return parse_fleet(tomllib.loads(text), NOW)


def problems(text: str) -> list[str]:
    with pytest.raises((InvalidInput, SeveralInvalid)) as caught:
        parse(text)
    error = caught.value
    several = error.problems if isinstance(error, SeveralInvalid) else (error,)
    return [problem.message for problem in several]


def test_a_section_that_is_not_there_is_not_empty() -> None:
    """Only of a section that is there anything can be taken away."""
    assert parse("") == Fleet({}, None, None)
    assert parse("[hosts]\n[projects]") == Fleet({}, {}, {})


def test_every_problem_is_named_by_its_key() -> None:
    """Wrong types, unknown keys, broken rules and settings, all at once."""
    found = problems(
        """
        fleet = 1
        [settings]
        auto_deploy_poll_interval_seconds = 3
        [hosts.web1]
        address = "10.0.0.5"
        [projects.shop]
        kind = "compose"
        repository = "shop"
        expose_port = "8080"
        colour = "red"
        [projects.api]
        kind = "kompose"
        [projects.web]
        kind = "compose"
        repository = "web"
        targets.local.health = { kind = "http", port = 99999 }
        [projects.road]
        kind = "tunnel"
        auto_deploy = true
        """
    )
    assert [one.partition(": ")[0] for one in found] == [
        "fleet",
        "settings.auto_deploy_poll_interval_seconds",
        "hosts.web1.user",
        "projects.shop.colour",
        "projects.shop.expose_port",
        "projects.api.kind",
        "projects.web.targets.local.health.port",
        "projects.road.auto_deploy",
    ]
    assert "'8080' must be a whole number, without quotes" in found[4]
    assert "'kompose' is not one of compose" in found[5]


def test_more_problems_than_anybody_reads_are_counted() -> None:
    """The first hundred, and how many more."""
    found = problems("[projects]\n" + "\n".join(f"p{n}.kind = 'x'" for n in range(150)))
    assert len(found) == 101
    assert found[-1] == "file: has 50 more problems"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        pytest.param('token = "hunter2"', "projects.shop.token", id="token"),
        pytest.param('password = "hunter2"', "projects.shop.password", id="password"),
        pytest.param('ssh_key = "hunter2"', "projects.shop.ssh_key", id="key"),
        pytest.param('variables = {A = "hunter2"}', "projects.shop.variables", id="variables"),
        pytest.param(
            'url = "https://me:hunter2@git.example/a.git"', "projects.shop.url", id="url-password"
        ),
        pytest.param(
            'url = "https://hunter2@git.example/a%20.git"', "projects.shop.url", id="url-token"
        ),
        pytest.param(
            'branch = """-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2"""',
            "projects.shop.branch",
            id="private-key",
        ),
        pytest.param(
            'migration.command = ["migrate", "postgres://me:hunter2@db/x"]',
            "projects.shop.migration.command.1",
            id="in-a-command",
        ),
        pytest.param(
            'targets.local.environment = "https://me:hunter2@git.example"',
            "projects.shop.targets.local.environment",
            id="in-place-of-a-table",
        ),
        pytest.param(
            'targets.local.environment.DB_PASSWORD = "hunter2"',
            "projects.shop.targets.local.environment.DB_PASSWORD",
            id="environment",
        ),
    ],
)
def test_secrets_in_clear_are_refused_and_never_shown(text: str, where: str) -> None:
    """What to do instead is told."""
    (found,) = problems(f'[projects.shop]\nkind = "compose"\nrepository = "shop"\n{text}')
    assert found.startswith(f"{where}: ")
    assert "`reconciler secret set shop " in found
    assert "hunter2" not in found


@pytest.mark.timeout(10)
@pytest.mark.parametrize("where", ["branch", "targets.local.environment.A"])
def test_a_very_long_text_takes_no_time(where: str) -> None:
    """Whatever it is made of."""
    for text in ("://" + ":" * 900_000, "://@" * 200_000, "-----BEGIN " * 80_000):
        problems(f'[projects.shop]\nkind = "compose"\nrepository = "shop"\n{where} = "{text}"')


def test_an_environment_that_is_no_table_is_not_shown() -> None:
    """It is what people write in other files, passwords and all."""
    text = 'targets.local.environment = "PGPASS=hunter2"'
    (found,) = problems(f'[projects.shop]\nkind = "compose"\nrepository = "shop"\n{text}')
    assert "must be a table of texts" in found
    assert "hunter2" not in found


def test_a_login_in_an_ssh_url_is_no_secret() -> None:
    """It is how such URLs are written."""
    parse('[projects.shop]\nkind = "compose"\nurl = "ssh://git@git.example/a.git"')


def test_templates_are_put_below() -> None:
    """The nearest one wins, field by field; targets host by host."""
    fleet = parse(
        """
        [templates.base]
        kind = "unit"
        auto_deploy = true
        branch = "release"
        [templates.base.targets.web1]
        binary = "app"
        port = 8080
        [templates.api]
        extends = "base"
        branch = "main"
        targets.web1.user = "api"
        [projects.shop]
        extends = "api"
        url = "https://git.example/a.git"
        auto_deploy = false
        targets.web1.port = 9090
        targets.web2.binary = "other"
        """
    )
    assert fleet.projects
    declared = fleet.projects[SHOP]
    assert (str(declared.project.followed_branch), declared.project.auto_deploy) == ("main", False)
    assert declared.targets
    told = [(one.host, one.binary, one.port, one.user) for one in declared.targets]
    assert told == [("web1", "app", 9090, "api"), ("web2", "other", None, "")]


def test_null_clears_what_a_template_says() -> None:
    """As in the API, where it is the default."""
    base = {"kind": "image", "image": "app", "ports": ["80"]}
    document = {
        "templates": {"base": base},
        "projects": {"shop": {"extends": "base", "ports": None}},
    }
    fleet = parse_fleet(document, NOW)
    assert fleet.projects
    assert fleet.projects[SHOP].project.container.ports == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(
            "[templates]\na.extends='b'\nb.extends='a'",
            "templates.a.extends: 'b' goes round in a circle: b → a → b",
            id="cycle",
        ),
        pytest.param(
            "[templates]\na.extends='a'",
            "templates.a.extends: 'a' goes round in a circle: a → a",
            id="itself",
        ),
        pytest.param(
            "[templates.a]\n[projects.shop]\nextends='b'",
            "projects.shop.extends: 'b' is no template here; there are a",
            id="unknown",
        ),
        pytest.param(
            "[templates]\nt0 = {}\n"
            + "\n".join(f"t{n}.extends = 't{n - 1}'" for n in range(1, 12)),
            "templates.t11.extends: 't10' has more than 10 templates one on top of the other",
            id="many",
        ),
        pytest.param(
            "[projects.shop]\nrepository='shop'",
            "projects.shop.kind: is missing; there are compose, image, unit, tunnel, domain_only",
            id="no-kind",
        ),
        pytest.param(
            "[projects.road]\nkind='tunnel'\ntargets.local={}",
            "projects.road.targets.local.host: 'local' can't be a target: a tunnel project has "
            "nothing to deploy, so it has no targets",
            id="nothing-to-deploy",
        ),
        pytest.param(
            "[projects.shop]\nkind='image'\nimage='app'\ntargets.local={}\ntargets.localhost={}",
            "projects.shop.targets.local: is there twice, once by another name",
            id="one-host-twice",
        ),
        pytest.param(
            "settings.auto_deploy_poll_interval_seconds = {a = 'b'}",
            "settings.auto_deploy_poll_interval_seconds: must be whole seconds",
            id="setting-of-another-type",
        ),
        pytest.param(
            "settings.nonsense = 1",
            "settings.nonsense: is not known here; there are auto_deploy_master_enabled, "
            "auto_deploy_poll_interval_seconds, auto_deploy_image_watch_interval_seconds",
            id="unknown-setting",
        ),
        pytest.param(
            "[projects.shop]\nkind='compose'\nrepository='shop'\nmigration.approval_status=3",
            "projects.shop.migration.command: is missing: it is what runs in the new image",
            id="no-command",
        ),
        pytest.param("projects = 3", "projects: 3 must be a table of its own", id="no-table"),
        pytest.param(
            "[hosts.local]\nalias='x'",
            "hosts.local.name: 'local' is the daemon's own machine: it is there without asking",
            id="local",
        ),
    ],
)
def test_what_can_not_be_is_named(text: str, problem: str) -> None:
    assert problem in problems(text)


def test_keys_forge_no_lines() -> None:
    """Whatever a key is, its path is one short line."""
    (found,) = problems('["project\\u001b[31m\\n' + "x" * 9000 + '"]')
    assert found.isprintable()
    assert len(found) < 300


def test_the_example_of_the_page_is_one() -> None:
    """A reader can begin with it."""
    page = (Path(__file__).parents[5] / "docs" / "fleet.md").read_text()
    fleet = parse(page.partition("```toml\n")[2].partition("```")[0])
    assert (list(fleet.hosts or ()), list(fleet.projects or ())) == (["web1"], ["shop", "api"])
