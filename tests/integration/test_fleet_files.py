"""Fleet files on a real store, with real repositories: planned, applied, exported."""

import dataclasses
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.adapters.documents import BoundedDocuments
from reconciler.adapters.git.remote import DulwichRemote
from reconciler.adapters.git.ssh import HostKeys
from reconciler.adapters.process import LocalRunner
from reconciler.app import Application
from reconciler.domain.admission import Request
from reconciler.domain.deployment import Cause, TargetStatus, Trigger
from reconciler.domain.document import DocumentForm
from reconciler.domain.errors import InvalidInput, SeveralInvalid, SourceDenied
from reconciler.domain.host import HostName
from reconciler.domain.project import ExternalSource, Project
from reconciler.domain.references import BranchName, GitUrl, ProjectName, RepositoryPath
from reconciler.domain.revision import Revision
from reconciler.domain.secret import Secret
from reconciler.domain.workload import Cluster
from reconciler.pipeline.declaring.fleet import Applied, Difference
from reconciler.pipeline.declaring.fleet.writing import write
from reconciler.pipeline.declaring.host_draft import HostDraft
from reconciler.pipeline.declaring.project_draft import ProjectDraft
from reconciler.pipeline.declaring.secrets import SecretDraft, put_secret
from reconciler.pipeline.declaring.target_draft import TargetDraft
from reconciler.pipeline.trigger import trigger_deployment
from reconciler.ports import Repositories
from reconciler.triggers.fleet_sources import FleetInGit, Seen
from tests.parts.git_server import GitServer, Login
from tests.parts.stores import LEASE, NOW, commit
from tests.parts.web_daemon import open_application

pytestmark = pytest.mark.needs_git

SHOP, API = ProjectName("shop"), ProjectName("api")
EAST = HostName("east")
#: Every field that a project, a host or a target has, in one file.
EVERYTHING = """
[settings]
auto_deploy_master_enabled = false
auto_deploy_poll_interval_seconds = 30

[hosts.east]
alias = "east-1"

[hosts."west.example"]
address = "10.0.0.5"
user = "deploy"
port = 2222

[projects.shop]
kind = "compose"
repository = "shop"
branch = "release/2"
compose_path = "deploy/compose.yaml"
expose_service = "web"
expose_port = 8080
stateful_services = ["db", "cache"]
auto_deploy = true
one_by_one = true
mend_drift = true
push_images = true
allow_manifest = true
watch_paths = ["apps/shop", "**/*.sql"]
skip_markers = true

[projects.shop.migration]
command = ["bin/migrate", "say \\"hi\\"", "ü → 𝄞"]
service = "web"
timeout_seconds = 60
approval_status = 3

[projects.shop.version]
port = 8080
path = "/version"
json_path = "build.commit"
service = "web"
timeout_seconds = 0.5

[projects.shop.rules]
windows = ["mon-fri 09:00-17:00 Europe/Berlin"]
minimum_image_age_seconds = 86400

[projects.shop.targets.east]
strategy = "compose"
folder = "/srv/shop"
compose_files = ["compose.live.yaml"]
base = "/srv/shop-by-hand"
confirm_within_seconds = 120

[projects.shop.targets.east.environment]
LEVEL = "info"
EMPTY = ""
NUMBER = "8080"

[projects.shop.targets.local]
strategy = "compose"

[projects.api]
kind = "unit"
url = "ssh://git@git.example/team/api.git"
commit_statuses = true
forge = "forgejo"
forge_url = "https://git.example/forge"

[projects.api.targets."west.example"]
strategy = "systemd-remote"
source_folder = "cmd/api"
build = ["make", "release"]
binary = "bin/api"
files = ["static"]
user = "api"
port = 8080

[projects.api.targets."west.example".health]
kind = "http"
path = "/healthz"
status = "200-299"
text = "{commit}"
origin = "daemon"
start_period_seconds = 10
interval_seconds = 0.5
timeout_seconds = 2
retries = 5
successes = 2

[projects.api-production]
kind = "unit"
url = "ssh://git@git.example/team/api.git"

[projects.api-production.environment]
name = "production"
promoted_from = "api"
soak_seconds = 3600

[projects.api-production.targets."west.example"]
strategy = "systemd"
image = "registry.example/team/api"
image_folder = "/srv/api"
binary = "api"

[projects.img]
kind = "image"
image = "registry.example/team/app:1.2"
ports = ["127.0.0.1:8080:80"]
volumes = ["data:/var/lib/app"]

[projects.img-production]
kind = "image"

[projects.img-production.environment]
name = "production"
promoted_from = "img"
soak_seconds = 60

[projects.img-production.rules]
approvals = 2
windows = [{ days = ["mon", "tue"], opens = "09:00", closes = "17:00", zone = "Europe/Berlin" }]

[projects.img-production.targets.prod]
strategy = "kubernetes"
namespace = "team"
workloads = [
    { name = "web", containers = { app = "registry.example/team/app:1.2", proxy = "proxy" } },
    { kind = "statefulset", name = "queue", containers = { app = "registry.example/app:1" } },
]

[projects.img-production.targets.prod.ready]
kind = "http"
port = 8080
path = "/ready"

[projects.road]
kind = "tunnel"
"""


@pytest.fixture
def application(tmp_path: Path) -> Iterator[Application]:
    opened = opened_with_cluster(tmp_path)
    yield opened
    opened.close()


def opened_with_cluster(folder: Path) -> Application:
    """Open a daemon that knows a cluster, which no file declares."""
    opened = open_application(folder)
    opened.store.create_cluster(Cluster(HostName("prod"), NOW, in_cluster=True))
    return opened


def plan(application: Application, text: str, *, prune: bool = False) -> Difference:
    return application.fleet.fleets.plan(text.encode(), DocumentForm.TOML, prune=prune)


def apply(application: Application, text: str, *, prune: bool = False) -> Applied:
    return application.fleet.apply(text.encode(), DocumentForm.TOML, actor="ann", prune=prune)


def told(difference: Difference) -> list[str]:
    marks = {"add": "+", "change": "~", "remove": "-"}
    return [f"{marks[one.action]} {one.kind} {one.name}".rstrip() for one in difference.entries()]


def problems(application: Application, text: str, *, prune: bool = False) -> list[str]:
    with pytest.raises((InvalidInput, SeveralInvalid)) as caught:
        apply(application, text, prune=prune)
    error = caught.value
    several = error.problems if isinstance(error, SeveralInvalid) else (error,)
    return [problem.message for problem in several]


def names(application: Application) -> list[str]:
    return [project.name for project in application.store.list_projects()]


def image(name: str, *more: str) -> str:
    return f'[projects.{name}]\nkind = "image"\nimage = "registry.example/{name}"\n' + "".join(
        f"{line}\n" for line in more
    )


# ── There and back ────────────────────────────────────────────────────────────────────────────


def test_c1_applied_twice_it_changes_nothing_the_second_time(application: Application) -> None:
    """C1: and what it does is what the plan said, hosts before what is deployed to them."""
    wanted = [
        *("~ settings", "+ repository shop", "+ host east", "+ host west.example"),
        *("+ project shop", "+ project api", "+ project api-production"),
        *("+ project img", "+ project img-production", "+ project road"),
    ]
    assert told(plan(application, EVERYTHING)) == wanted
    assert names(application) == []
    assert told(apply(application, EVERYTHING).difference) == wanted
    before = application.store.list_projects()
    again = apply(application, EVERYTHING)
    assert (again.difference.empty, again.difference.unchanged) == (True, 10)
    assert application.store.list_projects() == before


@pytest.mark.parametrize("form", DocumentForm)
def test_an_export_has_every_field_and_changes_nothing(
    application: Application, tmp_path: Path, form: DocumentForm
) -> None:
    """Applied where it comes from, and the same again when applied to an empty daemon."""
    apply(application, EVERYTHING)
    text = application.fleet.fleets.export(form)
    for kind in (ProjectDraft, HostDraft, TargetDraft):
        for field in dataclasses.fields(kind):
            if field.name not in {"name", "host", "health_path", "ready_path"}:
                assert field.name in text, f"{field.name} of {kind.__name__}"
    same = application.fleet.fleets.plan(text.encode(), form, prune=True)
    assert same.empty, told(same)
    elsewhere = opened_with_cluster(tmp_path / "b")
    elsewhere.fleet.apply(text.encode(), form, actor="ann")
    assert elsewhere.fleet.fleets.export(form) == text
    elsewhere.close()


@pytest.mark.parametrize(
    ("host", "problem"),
    [
        pytest.param("east", "in no cluster that is declared", id="a-host"),
        pytest.param("elsewhere", "`reconciler cluster add elsewhere", id="nobody"),
    ],
)
def test_a_target_in_a_cluster_needs_a_cluster(
    application: Application, host: str, problem: str
) -> None:
    """What is declared as a host is none, and the remedy is a command: no file declares one."""
    text = EVERYTHING.replace("targets.prod", f"targets.{host}")
    with pytest.raises(InvalidInput, match=problem):
        plan(application, text)


CHAIN = """
[projects.shop-production.environment]
name = "production"
promoted_from = "shop-staging"
soak_seconds = 3600

[projects.shop-production.targets.east]

[projects.shop-staging]
expose_port = 9090
environment = {name = "staging", promoted_from = "shop"}

[projects.shop]
kind = "compose"
url = "https://git.example/shop.git"
branch = "live"
compose_path = "deploy/compose.yaml"
expose_service = "web"
expose_port = 8080
environment = {name = "test"}

[hosts.east]
alias = "east-1"
"""


def test_environments_of_one_file(application: Application) -> None:
    """In whatever order they stand there, each says only what is its own."""
    upstream_first = [f"+ project {name}" for name in ("shop", "shop-staging", "shop-production")]
    assert told(plan(application, CHAIN)) == ["+ host east", *upstream_first]
    apply(application, CHAIN)
    assert plan(application, CHAIN).empty
    shop, production, staging = application.store.list_projects()
    for one in (staging, production):
        assert (one.kind, one.source, one.compose_path) == (
            *(shop.kind, shop.source, shop.compose_path),
        )
    assert [one.expose_port for one in (shop, staging, production)] == [8080, 9090, 9090]
    exported = application.fleet.fleets.export(DocumentForm.TOML)
    assert plan(application, exported, prune=True).empty

    moved = CHAIN.replace("live", "main")
    assert len(told(plan(application, moved))) == 3
    gone = apply(application, image("other"), prune=True)
    assert told(gone.difference)[1:] == [
        *("- project shop-production", "- project shop-staging", "- project shop"),
    ]
    assert gone.left == ()


def test_an_environment_before_that_is_not_there(application: Application) -> None:
    """Neither in the file nor declared: said before anything is written."""
    text = image("b", 'environment = {name = "production", promoted_from = "a"}')
    (problem,) = problems(application, text)
    assert problem.startswith("projects.b.environment.promoted_from: 'a' is no project, here or")
    apply(application, image("a"))
    apply(application, text)
    assert names(application) == ["a", "b"]


def test_windows_are_lines_or_tables(application: Application) -> None:
    """Both say the same; what is wrong is named with its place."""
    line = image("shop", 'rules.windows = ["mon-tue 09:00-17:00"]')
    apply(application, line)
    (shop,) = application.store.list_projects()
    assert [str(one) for one in shop.rules.windows] == ["mon-tue 09:00-17:00 UTC"]
    table = 'rules.windows = [{days = ["mon", "tue"], opens = "09:00", closes = "17:00"}]'
    assert plan(application, image("shop", table)).empty
    (problem,) = problems(application, line.replace("09:00", "25:00"))
    assert "projects.shop.rules.windows.0.opens" in problem


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_VALUES = st.one_of(_TEXT, st.booleans(), st.integers(-(2**40), 2**40), st.lists(_TEXT, max_size=3))
#: But for the merge key of YAML, which nothing that is declared is called.
_KEYS = _TEXT.filter(lambda key: key not in {"", "<<"})
_DOCUMENTS = st.dictionaries(
    _KEYS,
    st.recursive(_VALUES, lambda inner: st.dictionaries(_KEYS, inner, max_size=3)),
    max_size=4,
)


@pytest.mark.parametrize("form", DocumentForm)
@settings(max_examples=40, deadline=None)
@given(document=_DOCUMENTS)
def test_what_is_written_is_read_back(form: DocumentForm, document: dict[str, object]) -> None:
    """Whatever stands in it: quotes, control characters, keys that look like numbers."""
    assert BoundedDocuments().read(write(document, form).encode(), form) == document


def test_it_is_read_from_a_server_that_asks_for_credentials(tmp_path: Path) -> None:
    """Over HTTPS, with a token that goes nowhere else."""
    with GitServer(login=Login("bob", "t0ken"), tls=True) as server:
        path = RepositoryPath("prod/fleet.toml")
        tip = server.repository("ops.git").commit({path: EVERYTHING})
        source = ExternalSource(GitUrl.parse(server.url("ops.git")), BranchName("main"))
        keys = HostKeys(lambda _: "", lambda _, key: None)
        runner, limit = LocalRunner("tests"), timedelta(seconds=20)
        remote = DulwichRemote(tmp_path, runner, keys, limit=limit, ca_file=server.ca_path)
        nothing = cast("Repositories", None)
        followed = FleetInGit(source, path, remote, nothing, "bob", Secret.of("t0ken"))
        assert followed.look() == Seen(EVERYTHING.encode(), tip)
        with pytest.raises(SourceDenied):
            FleetInGit(source, path, remote, nothing, "bob", Secret.of("wrong")).look()
        remote.close()


# ── What is changed, and what is left alone ───────────────────────────────────────────────────


def test_what_the_file_does_not_name_is_left_alone(application: Application) -> None:
    """Other entries, other targets and all settings; a field that is left out gets its default."""
    apply(application, EVERYTHING)
    text = image("img", "auto_deploy = true")
    changed = apply(application, text)
    (entry,) = changed.difference.entries()
    assert [(one.field, one.before, one.after) for one in entry.fields] == [
        ("image", "registry.example/team/app:1.2", "registry.example/img:latest"),
        ("ports", ["127.0.0.1:8080:80"], None),
        ("volumes", ["data:/var/lib/app"], None),
        ("auto_deploy", None, True),
    ]
    assert names(application) == [
        *("api", "api-production", "img", "img-production", "road", "shop"),
    ]
    apply(application, '[projects.shop]\nkind = "compose"\nrepository = "shop"\ntargets.local = {}')
    shop = application.store.get_project(SHOP)
    assert [one.host for one in shop.targets] == ["east", "local"]
    assert shop.expose_port is None


def test_prune_takes_away_only_of_sections_that_are_there(application: Application) -> None:
    """Projects with their targets, then hosts; never settings, and no host without `[hosts]`."""
    apply(application, EVERYTHING)
    shop = '[projects.shop]\nkind = "compose"\nrepository = "shop"\n'
    apply(application, shop, prune=True)
    assert names(application) == ["shop"]
    assert len(application.store.list_hosts()) == 2
    assert len(application.store.get_project(SHOP).targets) == 2
    pruned = apply(application, f"[hosts]\n{shop}targets.local = {{}}\n", prune=True)
    assert told(pruned.difference) == ["~ project shop", "- host east", "- host west.example"]
    assert application.store.list_hosts() == []
    assert "shop" in application.repositories.names()


def test_prune_leaves_what_is_being_deployed(application: Application) -> None:
    """It says so, and goes on with the rest."""
    store = application.store
    apply(application, image("shop") + image("api"))
    request = Request(SHOP, Revision(None), Cause(Trigger.PERSON, "ann", "now"))
    assert trigger_deployment(store, request, brakes=lambda switch: switch, now=NOW).admitted
    assert store.claim_next("me", NOW, lease=LEASE)
    applied = apply(application, "[projects]", prune=True)
    assert names(application) == ["shop"]
    (left,) = applied.left
    assert "'shop' is being deployed" in left


def test_a_changed_target_grows_the_generation_and_a_toggle_does_not(
    application: Application,
) -> None:
    """As every other way of declaring has it."""
    apply(application, image("shop"))
    apply(application, image("shop", "auto_deploy = true"))
    assert application.store.get_project(SHOP).generation == 1
    assert application.store.get_state(SHOP).toggled_by == "ann"
    apply(application, image("shop", 'targets.local.environment.LEVEL = "info"'))
    assert application.store.get_project(SHOP).generation == 2


def test_a_credential_for_another_host_is_dropped_and_told(application: Application) -> None:
    """It must not reach a server that it was not stored for."""
    text = '[projects.shop]\nkind = "compose"\nurl = "https://{}.example/a.git"\n'
    apply(application, text.format("one"))
    draft = SecretDraft("git-token", Secret.of("hunter2"))
    put_secret(application.store, SHOP, draft, application.clock.now())
    assert "hunter2" not in application.fleet.fleets.export(DocumentForm.TOML)
    applied = apply(application, text.format("two"))
    assert applied.notes == (
        "shop: the credential bound to https://one.example was dropped (git-token)",
    )


def test_a_host_at_another_place_is_confirmed_anew(application: Application) -> None:
    """The file says where a host is; that it is the right one, a person says."""
    apply(application, '[hosts.east]\nalias = "one"')
    host = application.store.get_host(EAST)
    application.store.update_host(dataclasses.replace(host, host_keys=("ssh-ed25519 AAAA",)))
    assert apply(application, '[hosts.east]\nalias = "one"').notes == ()
    applied = apply(application, '[hosts.east]\naddress = "10.0.0.5"\nuser = "me"')
    assert applied.notes == ("east: nobody confirmed its key yet; `reconciler host trust east`",)
    assert not application.store.get_host(EAST).confirmed


# ── All or nothing ────────────────────────────────────────────────────────────────────────────


def test_what_can_not_be_changes_nothing_at_all(application: Application) -> None:
    """Everything is checked against what would come of it before the first write."""
    apply(application, image("old") + '[hosts.east]\nalias = "x"')
    found = problems(
        application,
        image("fine")
        + image("a", 'targets.east.folder = "/srv/a"')
        + image("b", 'targets.east.folder = "/srv/a/b"')
        + image("c", "targets.west = {}")
        + '[projects.old]\nkind = "tunnel"\n',
    )
    other_kind, *found = found
    assert other_kind.startswith("projects.old.kind: 'tunnel' can't be changed, it is image; ")
    assert found == [
        "projects.c.targets.west: is on no host that is declared; add a table `hosts.west`",
        "projects.a.targets.east.folder: '/srv/a' is /srv/a/b of b, or below it, or around it",
    ]
    assert names(application) == ["old"]


def test_volumes_keep_their_host(application: Application) -> None:
    """No file takes a project away from where it was deployed to; how to move it is told."""
    store, hosts = application.store, '[hosts]\neast.alias = "e"\nwest.alias = "w"\n'
    apply(application, hosts + image("shop", "targets.east = {}"))
    touch(application, store.get_project(SHOP))
    (found,) = problems(application, hosts + image("shop", "targets.west = {}"), prune=True)
    assert found.startswith("projects.shop.targets: refusing to migrate: shop was deployed to east")
    assert "`reconciler project move shop --to west`" in found
    both = apply(application, hosts + image("shop", "targets.west = {}"))
    assert [one.host for one in store.get_project(SHOP).targets] == ["east", "west"]
    assert told(both.difference) == ["~ project shop"]


def touch(application: Application, project: Project) -> None:
    """Record that a deployment of it changed something on its host."""
    request = Request(project.name, Revision(commit("a")), Cause(Trigger.PERSON, "ann", "now"))
    trigger_deployment(application.store, request, brakes=lambda switch: switch, now=NOW)
    claim = application.store.claim_next("me", NOW, lease=LEASE)
    assert claim
    application.store.record_target(claim, EAST, TargetStatus.APPLIED, NOW)


def test_cut_short_it_goes_on_where_it_stopped(application: Application) -> None:
    """What was written is whole, and applying again writes the rest."""
    text = "".join(image(f"p{n}", 'targets.local.environment.LEVEL = "x"') for n in range(5))
    database = application.config.database_file
    trigger = "CREATE TRIGGER stop BEFORE INSERT ON project WHEN NEW.name = 'p3' "
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f"{trigger} BEGIN SELECT RAISE(FAIL, 'disk I/O error'); END")
    with pytest.raises(Exception, match="disk I/O error"):
        apply(application, text)
    assert names(application) == ["p0", "p1", "p2"]
    assert all(len(one.targets) == 1 for one in application.store.list_projects())
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("DROP TRIGGER stop")
    assert told(apply(application, text).difference) == ["+ project p3", "+ project p4"]
    assert plan(application, text).empty
