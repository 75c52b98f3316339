"""What each command asks of the daemon, and what it shows of the answer."""

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.cli.daemon_stub import Asked, DaemonStub, Said, problem

COMMIT = "1f2e3d4c5b6a798081920a1b2c3d4e5f60718293"
NOW = "2026-01-01T00:00:00Z"
PROJECT = {
    "name": "shop",
    "kind": "compose",
    "auto_deploy": True,
    "state": "in-sync",
    "state_text": "what should run is what runs",
    "live": {"deployment": 12, "commit": COMMIT, "images": {}, "since": NOW},
    "tracked_commit": COMMIT,
    "source": {"kind": "external", "url": "https://git.example/shop.git", "branch": "live"},
    "image": None,
    "looked_at": NOW,
    "next_look_at": None,
    "source_error": None,
    "compose_path": "compose.yaml",
    "expose_service": "web",
    "expose_port": 8080,
    "stateful_services": ["db", "queue"],
    "migration": {"command": ["bin/migrate", "up"], "service": "web", "approval_status": 3},
    "quarantined": [{"commit": COMMIT, "images": {}, "since": NOW, "reason": "unhealthy"}],
    "restorable": [11, 9],
}
PROMOTED = {"name": "production", "promoted_from": "shop", "soak_seconds": 3600}
DEPLOYMENT = {
    "id": 12,
    "project": "shop",
    "status": "rolled-back",
    "stage": "roll-back",
    "causes": [
        {"trigger": "push", "actor": "ada", "detail": "main moved"},
        {"trigger": "person", "actor": "bob", "detail": ""},
    ],
    "revision": {"commit": COMMIT, "images": {}},
    "created_at": NOW,
    "started_at": NOW,
    "finished_at": NOW,
    "duration_ms": 8540,
    "targets": [{"host": "web1", "status": "rolled-back", "error": None, "duration_ms": 8500}],
    "error": {"code": "x", "message": "web was not healthy", "remedy": "look at it"},
}
ON_TWO_HOSTS = {
    **DEPLOYMENT,
    "id": 13,
    "targets": [
        {"host": "web1", "status": "verified", "started_at": NOW, "duration_ms": 2700},
        {"host": "web2", "status": "failed", "error": {"message": "no space"}, "duration_ms": 40},
    ],
}
HOST = {
    "name": "web1",
    "address": "10.0.0.5",
    "user": "deploy",
    "port": 2222,
    "confirmed": True,
    "host_keys": ["SHA256:aaaa"],
    "key": {"fingerprint": "0a1b2c3d", "stored_at": NOW},
    "health": {
        "reachable": False,
        "since": NOW,
        "checked_at": NOW,
        "error": {"code": "target-unreachable", "message": "it hangs", "remedy": "push it"},
    },
    "facts": {"user": "deploy", "has_systemd": True, "tools": ["git", "rsync"]},
}
TARGET = {
    "project": "api",
    "host": "web1",
    "strategy": "systemd",
    "declared": True,
    "folder": "/opt/apps/api",
    "build": ["make", "release"],
    "binary": "bin/api",
    "files": ["static"],
    "environment": {"LEVEL": "info"},
    "compose_files": [],
    "health": {"kind": "http", "port": 8080, "path": "/healthz", "origin": "daemon"},
    "confirm_within_seconds": 60,
    "unit": "api.service",
}
IN_CLUSTER = {
    "project": "live",
    "host": "prod",
    "strategy": "kubernetes",
    "declared": True,
    "namespace": "shop",
    "workloads": [
        {"kind": "deployment", "name": "web", "containers": {"app": "r.example/shop:1"}},
        {"kind": "daemonset", "name": "logs", "containers": {"log": "log"}},
    ],
}
RUNNING = {
    "project": "api",
    "host": "web1",
    "deployment": 12,
    "commit": COMMIT,
    "now": {"state": "active (running)", "commit": COMMIT, "release": "r-42", "since": NOW},
    "differs": True,
    "differences": ["api: another program runs"],
}
UNKNOWN = {"project": "api", "host": "web2", "now": None, "error": {"message": "web2 is away"}}
STATUS = {
    "version": "0.1.0",
    "started_at": NOW,
    "state": "ready",
    "master_switch": {"enabled": False, "changed_by": "ada", "changed_at": NOW, "reason": "move"},
    "engine": {"ok": False, "error": "nobody answers"},
    "registries": [
        {"host": "a.example", "reachable": True},
        {"host": "b.example", "reachable": False, "error": "refused"},
    ],
    "loops": [{"name": "git-poll", "late_seconds": 90, "ok": False}],
    "counts": {"projects": 1, "in_sync": 1, "failed": 0},
    "hosts": [HOST],
    "projects": [PROJECT, {"name": "blog", "source_error": {"message": "nobody answers at git"}}],
}
IMAGE = {
    "image": "docker.io/library/redis:7",
    "services": ["cache"],
    "watched": False,
    "unwatched_because": "TAG has no value",
    "digest": f"sha256:{'ab' * 32}",
}
NOTED = {
    "image": "docker.io/library/nginx:1",
    "services": ["edge"],
    "watched": True,
    "digest": f"sha256:{'cd' * 32}",
    "note": "diun.watch_repo counts for nothing",
}
TRIGGER = {
    "trigger": "git-poll",
    "actor": "poller",
    "detail": "main moved",
    "outcome": "held",
    "reasons": [{"code": "master-switch-off", "text": "the switch is off"}],
    "count": 3,
    "last_at": NOW,
}
TOKEN = {
    "name": "ci",
    "scopes": ["read", "trigger"],
    "projects": ["shop", "blog"],
    "created_at": NOW,
    "created_by": "admin-of-all",
    "expires_at": None,
    "last_used_at": NOW,
    "last_used_from": "192.0.2.7",
}
SECRET = {"name": "git-token", "fingerprint": "0a1b2c3d", "username": "me", "bound_to": "https://h"}
SETTING = {"key": "auto_deploy_poll_interval_seconds", "value": 60, "default": 60, "minimum": 10}
WHY = {
    "project": "shop",
    "verdict": "it waits",
    "reasons": [
        {
            "code": "master-switch-off",
            "kind": "stops",
            "needs_person": True,
            "text": "switch",
            "at": NOW,
            "evidence": {"by": "ann", "commit": COMMIT, "since": NOW, "stderr": "x" * 500},
        }
    ],
}
LOG = {"number": 1, "at": NOW, "stage": "apply", "text": "Container web  Started"}
REPOSITORY = {"name": "shop", "url_path": "/git/shop.git", "branches": {"main": COMMIT}}


def listed(*items: object) -> dict[str, object]:
    return {"items": list(items), "next": None}


READS = [
    pytest.param(
        "status",
        "/api/v1/status",
        STATUS,
        [
            "ready",
            "off, ",
            "move",
            "nobody answers",
            "b.example can't be reached",
            "git-poll is late by 90 s",
            "1 in-sync",
            "its source can't be looked at: nobody answers at git",
            "shop",
            "it hangs",
            "active (running)",
            "r-42",
            "api: another program runs",
            "web2 is away",
        ],
        id="status",
    ),
    pytest.param(
        "why shop",
        "/api/v1/projects/shop/why",
        WHY,
        ["it waits", "ago  switch", "master-switch-off, by: ann, commit: 1f2e3d4c, since: "],
        id="why",
    ),
    pytest.param(
        "project list",
        "/api/v1/projects",
        listed(PROJECT),
        ["shop", "in-sync", "on", "1f2e3d4c (#12)", "https://git.example/shop.git live"],
        id="project-list",
    ),
    pytest.param(
        "project show shop",
        "/api/v1/projects/shop",
        PROJECT,
        [
            *("web:8080", "db, queue", "1f2e3d4c, ", "unhealthy", "11, 9"),
            "bin/migrate up (in web, 3 asks for approval)",
        ],
        id="project-show",
    ),
    pytest.param(
        "project show shop-live",
        "/api/v1/projects/shop-live",
        {**PROJECT, "environment": PROMOTED},
        ["production, promoted from shop once it stood there for 60 min", "git.example/shop.git"],
        id="project-show-promoted",
    ),
    pytest.param(
        "project list",
        "/api/v1/projects",
        listed({**PROJECT, "environment": PROMOTED}),
        ["promoted from shop"],
        id="project-list-promoted",
    ),
    pytest.param(
        "deployment 12",
        "/api/v1/deployments/12",
        DEPLOYMENT,
        ["12 of shop", "asked for by", "push (main moved (+1))", "web was not healthy"],
        id="deployment",
    ),
    pytest.param(
        "project images shop",
        "/api/v1/projects/shop/images",
        listed(IMAGE, NOTED),
        ["docker.io/library/redis:7", "abababab", "TAG has no value", NOTED["note"]],
        id="images",
    ),
    pytest.param(
        "project triggers shop",
        "/api/v1/projects/shop/triggers",
        listed(TRIGGER),
        ["git-poll", "held", "3", "main moved; the switch is off"],
        id="triggers",
    ),
    pytest.param(
        "secret list shop",
        "/api/v1/projects/shop/secrets",
        listed(SECRET),
        ["git-token", "0a1b2c3d", "https://h"],
        id="secrets",
    ),
    pytest.param(
        "repo list",
        "/api/v1/repositories",
        listed(REPOSITORY),
        ["/git/shop.git", "main 1f2e3d4c"],
        id="repositories",
    ),
    pytest.param(
        "token list",
        "/api/v1/tokens",
        listed(TOKEN),
        ["ci", "read, trigger", "shop, blog", "never", "admin-of-all"],
        id="tokens",
    ),
    pytest.param(
        "person list",
        "/api/v1/people",
        listed(
            {
                "name": "ada",
                "role": "admin",
                "roles": {"shop": "viewer"},
                "blocked": True,
                "signs_in_elsewhere": False,
                "last_seen_at": NOW,
            }
        ),
        ["ada", "admin", "shop: viewer", "blocked"],
        id="people",
    ),
    pytest.param(
        "host list",
        "/api/v1/hosts",
        listed(HOST, {"name": "web2", "alias": "w2", "confirmed": False}),
        ["web1", "deploy@10.0.0.5 port 2222", "it hangs", "web2", "unconfirmed", "alias w2"],
        id="host-list",
    ),
    pytest.param(
        "host show web1",
        "/api/v1/hosts/web1",
        HOST,
        ["target-unreachable", "it hangs", "push it", "SHA256:aaaa", "0a1b2c3d", "git, rsync"],
        id="host-show",
    ),
    pytest.param(
        "target list",
        "/api/v1/targets",
        listed(TARGET, IN_CLUSTER),
        [
            *("api", "web1", "systemd", "/opt/apps/api", "bin/api", "http 8080/healthz"),
            *("namespace shop", "deployment/web, daemonset/logs"),
        ],
        id="target-list",
    ),
    pytest.param(
        "target show api web1",
        "/api/v1/projects/api/targets/web1",
        TARGET,
        ["api.service", "make release", "static", "LEVEL=info", "60 s", "from the daemon"],
        id="target-show",
    ),
    pytest.param(
        "target show live prod",
        "/api/v1/projects/live/targets/prod",
        IN_CLUSTER,
        ["shop", "deployment/web app=r.example/shop:1", "daemonset/logs log=log"],
        id="target-show-kubernetes",
    ),
    pytest.param(
        "deployments",
        "/api/v1/deployments",
        listed(ON_TWO_HOSTS),
        ["13", "web1", "verified", "2.7 s", "web2", "failed", "0.0 s", "no space"],
        id="deployments-hosts",
    ),
    pytest.param(
        "deployments",
        "/api/v1/deployments",
        listed(DEPLOYMENT),
        ["12", "web1", "rolled-back", "push", "8.5 s", "web was not healthy"],
        id="deployments",
    ),
    pytest.param(
        "settings",
        "/api/v1/settings",
        listed(SETTING),
        ["auto_deploy_poll_interval_seconds", "60", "10"],
        id="settings",
    ),
]


@pytest.mark.parametrize(("command", "path", "answer", "shown"), READS)
def test_read(
    daemon: DaemonStub, run: Run, command: str, path: str, answer: object, shown: list[str]
) -> None:
    """A read shows the facts of the answer in lines that need no terminal."""
    daemon.says(f"GET {path}", Said(answer))
    daemon.says("GET /api/v1/targets/status", Said(listed(RUNNING, UNKNOWN)))
    ended = run(*command.split())
    assert ended.status == 0
    assert [text for text in shown if text not in ended.out] == []
    assert not any(line != line.rstrip() for line in ended.out.splitlines())
    assert "\x1b" not in ended.out


@pytest.mark.parametrize(("command", "path", "answer", "shown"), READS)
def test_read_as_json(
    daemon: DaemonStub, run: Run, command: str, path: str, answer: object, shown: list[str]
) -> None:
    """``--json`` gives the API's answer as it stands, and nothing else on stdout."""
    daemon.says(f"GET {path}", Said(answer))
    ended = run(*command.split(), "--json")
    assert (ended.status, ended.err) == (0, "")
    assert json.loads(ended.out) == answer


def test_a_host_waits_no_more_once_the_deployment_has_ended(daemon: DaemonStub, run: Run) -> None:
    """A deployment that failed before it changed a host says so in that host's line."""
    waiting = [{"host": "web1", "status": "waiting"}, {"host": "web2", "status": "waiting"}]
    ended = {**ON_TWO_HOSTS, "status": "failed", "targets": waiting}
    daemon.says("GET /api/v1/deployments", Said(listed(ended)))
    assert "waiting" not in run("deployments").out
    daemon.says("GET /api/v1/deployments", Said(listed({**ended, "finished_at": None})))
    assert "waiting" in run("deployments").out


@pytest.mark.parametrize(
    "command", ["project list", "deployments", "secret list shop", "repo list", "token list"]
)
def test_empty_list_says_so(daemon: DaemonStub, run: Run, command: str) -> None:
    """An empty list is no blank screen, and no data either."""
    paths = ("projects", "deployments", "projects/shop/secrets", "repositories", "tokens")
    for path in paths:
        daemon.says(f"GET /api/v1/{path}", Said(listed()))
    ended = run(*command.split())
    assert (ended.status, ended.out) == (0, "")
    assert ended.err.strip()


@pytest.mark.parametrize(
    ("target", "said"),
    [
        pytest.param(RUNNING, "api: another program runs", id="differs"),
        pytest.param({**RUNNING, "differs": False, "differences": []}, "", id="as-deployed"),
        pytest.param({**RUNNING, "deployment": None}, "never deployed there", id="never"),
        pytest.param(UNKNOWN, "web2 is away", id="nobody-knows"),
    ],
)
def test_status_says_what_is_not_as_it_was_deployed(
    daemon: DaemonStub, run: Run, target: dict[str, object], said: str
) -> None:
    """Or why nobody can say; where all is well the column is not there."""
    daemon.says("GET /api/v1/projects/api", Said(PROJECT))
    daemon.says("GET /api/v1/targets/status", Said(listed(target)))
    shown = run("status", "api").out
    assert ("DIFFERENCE" in shown, said in shown) == (bool(said), True)


CREATED = Said({"id": 12, "name": "shop", "token": "t0k3n", "project": "shop"}, 201)
WRITES = [
    pytest.param(
        "project add shop --repo shop --expose-service web --expose-port 8080 "
        "--stateful db --stateful q",
        "POST",
        "/api/v1/projects",
        {
            "name": "shop",
            "kind": "compose",
            "repository": "shop",
            "create_repository": True,
            "auto_deploy": False,
            "expose_service": "web",
            "expose_port": 8080,
            "stateful_services": ["db", "q"],
        },
        id="add-hosted",
    ),
    pytest.param(
        "project add api --kind unit --url https://g.example/a.git --one-by-one",
        "POST",
        "/api/v1/projects",
        {
            "name": "api",
            "kind": "unit",
            "url": "https://g.example/a.git",
            "one_by_one": True,
            "auto_deploy": False,
        },
        id="add-unit",
    ),
    pytest.param(
        "project set api --all-at-once --mend-drift",
        "PATCH",
        "/api/v1/projects/api",
        {"one_by_one": False, "mend_drift": True},
        id="all-at-once",
    ),
    pytest.param(
        "project move shop --to web2 --leaving web1 --yes",
        "POST",
        "/api/v1/projects/shop/move",
        {"to": "web2", "leaving": "web1"},
        id="move",
    ),
    pytest.param(
        "target add api web1 --build make --binary x --file a --file b --port 80 --health-path /h "
        "--ready-path /r --env A=1 --env B= --confirm-within 30 --strategy systemd-remote "
        "--folder /srv/x --source-folder cmd --user api --branch main",
        "POST",
        "/api/v1/projects/api/targets",
        {
            "host": "web1",
            "strategy": "systemd-remote",
            "folder": "/srv/x",
            "source_folder": "cmd",
            "build": "make",
            "binary": "x",
            "files": ["a", "b"],
            "user": "api",
            "port": 80,
            "health_path": "/h",
            "ready_path": "/r",
            "environment": {"A": "1", "B": ""},
            "confirm_within_seconds": 30.0,
            "branch": "main",
        },
        id="target-add",
    ),
    pytest.param(
        "target add live prod --strategy kubernetes --namespace shop --workload "
        "deployment/web:app=r.example/shop:1 --workload deployment/web:log=log "
        "--workload statefulset/web:app=r.example/shop@sha256:0 --port 80 --health-path /h",
        "POST",
        "/api/v1/projects/live/targets",
        {
            "host": "prod",
            "strategy": "kubernetes",
            "namespace": "shop",
            "workloads": [
                {
                    "kind": "deployment",
                    "name": "web",
                    "containers": {"app": "r.example/shop:1", "log": "log"},
                },
                {
                    "kind": "statefulset",
                    "name": "web",
                    "containers": {"app": "r.example/shop@sha256:0"},
                },
            ],
            "port": 80,
            "health_path": "/h",
        },
        id="target-add-kubernetes",
    ),
    pytest.param(
        """target set shop web1 --ready {"kind":"tcp","port":1} --compose-file a --clear folder""",
        "PATCH",
        "/api/v1/projects/shop/targets/web1",
        {"ready": {"kind": "tcp", "port": 1}, "compose_files": ["a"], "folder": None},
        id="target-set",
    ),
    pytest.param(
        "target add api-live web1 --image r.example/api --image-folder /srv --binary bin/api",
        "POST",
        "/api/v1/projects/api-live/targets",
        {
            "host": "web1",
            "image": "r.example/api",
            "image_folder": "/srv",
            "binary": "bin/api",
        },
        id="target-of-an-image",
    ),
    pytest.param(
        "project add shop-live --environment production --promoted-from shop --soak 90m",
        "POST",
        "/api/v1/projects",
        {
            "name": "shop-live",
            "auto_deploy": False,
            "environment": {"name": "production", "promoted_from": "shop", "soak_seconds": 5400},
        },
        id="project-add-promoted",
    ),
    pytest.param(
        "project set shop --clear environment",
        "PATCH",
        "/api/v1/projects/shop",
        {"environment": None},
        id="project-clear-environment",
    ),
    pytest.param(
        "target remove api web1 --yes",
        "DELETE",
        "/api/v1/projects/api/targets/web1",
        None,
        id="target-remove",
    ),
    pytest.param(
        "host set web1 --address 10.0.0.6 --port 2222",
        "PATCH",
        "/api/v1/hosts/web1",
        {"address": "10.0.0.6", "port": 2222},
        id="host-set",
    ),
    pytest.param("host remove web1 --yes", "DELETE", "/api/v1/hosts/web1", None, id="host-remove"),
    pytest.param(
        "deploy shop --host web1 --host web2",
        "POST",
        "/api/v1/projects/shop/deployments",
        {"hosts": ["web1", "web2"]},
        id="deploy-hosts",
    ),
    pytest.param(
        "project add c --kind image --image r.example/redis:7 --port 127.0.0.1:1:1 "
        "--volume d:/d --auto-deploy",
        "POST",
        "/api/v1/projects",
        {
            "name": "c",
            "kind": "image",
            "image": "r.example/redis:7",
            "ports": ["127.0.0.1:1:1"],
            "volumes": ["d:/d"],
            "auto_deploy": True,
        },
        id="add-image",
    ),
    pytest.param(
        "project set shop --branch live --clear expose-port --clear port",
        "PATCH",
        "/api/v1/projects/shop",
        {"branch": "live", "expose_port": None, "ports": None},
        id="set",
    ),
    pytest.param(
        "project set shop --watch apps/shop --watch **/*.sql --no-skip-markers",
        "PATCH",
        "/api/v1/projects/shop",
        {"watch_paths": ["apps/shop", "**/*.sql"], "skip_markers": False},
        id="set-paths",
    ),
    pytest.param(
        "project set shop --commit-statuses --forge gitea --forge-url https://git.example",
        "PATCH",
        "/api/v1/projects/shop",
        {"commit_statuses": True, "forge": "gitea", "forge_url": "https://git.example"},
        id="set-statuses",
    ),
    pytest.param(
        "project set shop --clear watch --skip-markers",
        "PATCH",
        "/api/v1/projects/shop",
        {"watch_paths": None, "skip_markers": True},
        id="clear-paths",
    ),
    pytest.param(
        "project enable shop", "PATCH", "/api/v1/projects/shop", {"auto_deploy": True}, id="enable"
    ),
    pytest.param(
        "project disable shop",
        "PATCH",
        "/api/v1/projects/shop",
        {"auto_deploy": False},
        id="disable",
    ),
    pytest.param("project look shop", "POST", "/api/v1/projects/shop/look", None, id="look"),
    pytest.param("project remove shop --yes", "DELETE", "/api/v1/projects/shop", None, id="remove"),
    pytest.param(
        "person role bob none --project shop",
        "PATCH",
        "/api/v1/people/bob",
        {"roles": {"shop": None}},
        id="person-role",
    ),
    pytest.param("person remove bob -y", "DELETE", "/api/v1/people/bob", None, id="person-remove"),
    pytest.param(
        "secret remove shop git-token -y",
        "DELETE",
        "/api/v1/projects/shop/secrets/git-token",
        None,
        id="secret-remove",
    ),
    pytest.param(
        "repo create shop", "POST", "/api/v1/repositories", {"name": "shop"}, id="repo-create"
    ),
    pytest.param(
        "repo remove shop -y", "DELETE", "/api/v1/repositories/shop", None, id="repo-remove"
    ),
    pytest.param(
        "repo token shop",
        "POST",
        "/api/v1/repositories/shop/tokens",
        {"name": "push-shop"},
        id="repo-token",
    ),
    pytest.param(
        "token add laptop",
        "POST",
        "/api/v1/tokens",
        {"name": "laptop", "scopes": ["admin"]},
        id="token-add",
    ),
    pytest.param(
        "token add ci --scope read --scope trigger --project shop --expires 90d",
        "POST",
        "/api/v1/tokens",
        {
            "name": "ci",
            "scopes": ["read", "trigger"],
            "projects": ["shop"],
            "expires_in_seconds": 90 * 86_400,
        },
        id="token-add-bound",
    ),
    pytest.param("token remove ci -y", "DELETE", "/api/v1/tokens/ci", None, id="token-remove"),
    pytest.param(
        "quarantine lift shop", "DELETE", "/api/v1/projects/shop/quarantine", None, id="quarantine"
    ),
    pytest.param(
        "switch off --reason moving",
        "PATCH",
        "/api/v1/settings",
        {"auto_deploy_master_enabled": False, "reason": "moving"},
        id="switch-off",
    ),
    pytest.param(
        "switch on",
        "PATCH",
        "/api/v1/settings",
        {"auto_deploy_master_enabled": True},
        id="switch-on",
    ),
    pytest.param(
        f"deploy shop --commit {COMMIT} --force --reason late",
        "POST",
        "/api/v1/projects/shop/deployments",
        {"commit": COMMIT, "force": True, "reason": "late"},
        id="deploy",
    ),
    pytest.param(
        "approve shop --deployment 8 --reason read",
        "POST",
        "/api/v1/projects/shop/approve",
        {"deployment": 8, "reason": "read"},
        id="approve",
    ),
    pytest.param(
        "rollback shop --to 9", "POST", "/api/v1/projects/shop/rollback", {"to": 9}, id="rollback"
    ),
]


@pytest.mark.parametrize(("command", "method", "path", "body"), WRITES)
def test_write(
    daemon: DaemonStub, run: Run, command: str, method: str, path: str, body: object
) -> None:
    """A command that changes something sends exactly what was said."""
    daemon.says(f"{method} {path}", CREATED)
    ended = run(*command.split())
    assert ended.status == 0, ended.err
    (asked,) = daemon.asked
    # A request without fields may have an empty body, or none.
    assert (asked.method, asked.path, asked.body or None) == (method, path, body)
    assert ended.out.strip()


def test_setting_is_changed_by_key_and_value(daemon: DaemonStub, run: Run) -> None:
    """Numbers and switches are sent as what they are; the API judges the rest."""
    daemon.says("PATCH /api/v1/settings", Said(listed(SETTING, {"key": "other", "value": True})))
    key = str(SETTING["key"])
    assert run("settings", key, "30").status == 0
    assert run("settings", key, "-5").status == 2  # an option, by its look
    assert run("settings", "--", key, "-5").status == 0
    ended = run("settings", key, "soon", "--json")
    assert [asked.body for asked in daemon.asked] == [{key: 30}, {key: -5}, {key: "soon"}]
    assert json.loads(ended.out) == SETTING


def test_unknown_setting(daemon: DaemonStub, run: Run) -> None:
    """A key that is none is named with those that are."""
    daemon.says("GET /api/v1/settings", Said(listed(SETTING)))
    ended = run("settings", "poll")
    assert ended.status == 66
    assert "there is no setting poll; there are auto_deploy_poll_interval_seconds" in ended.err


@pytest.mark.parametrize("text", ["90", "d", "0d", "-1d", "1.5h", "90 days", "1y", ""])
def test_no_span_for_a_token(daemon: DaemonStub, run: Run, text: str) -> None:
    """What is no span is named with what one looks like, and nothing is asked for."""
    ended = run("token", "add", "ci", "--expires", text)
    assert (ended.status, daemon.asked) == (2, [])
    assert "is not a span like 12h, 90d or 52w" in ended.err


def test_notes_of_a_change_are_shown(daemon: DaemonStub, run: Run) -> None:
    """A credential that was dropped is said, beside the data."""
    note = "the credential bound to https://old was dropped"
    daemon.says("PATCH /api/v1/projects/shop", Said({**PROJECT, "notes": [note]}))
    ended = run("project", "set", "shop", "--url", "https://new.example/shop.git")
    assert (ended.out, ended.err) == ("changed shop\n", f"{note}\n")


@pytest.mark.parametrize(
    "command",
    ["project remove shop", "repo remove shop", "secret remove shop x", "token remove x"],
)
def test_removal_asks_where_somebody_is(daemon: DaemonStub, run: Run, command: str) -> None:
    """Without a terminal to ask at, nothing is removed unless ``--yes`` says so."""
    ended = run(*command.split())
    assert ended.status == 2
    assert "--yes" in ended.err
    assert daemon.asked == []


# ── secrets ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("content", "sent"),
    [
        pytest.param("t0ken\n", "t0ken", id="one-line"),
        pytest.param("t0ken\r\n", "t0ken", id="windows"),
        pytest.param("-----BEGIN\nabc\n-----END\n", "-----BEGIN\nabc\n-----END\n", id="key"),
        pytest.param(" spaces ", " spaces ", id="spaces"),
    ],
)
def test_secret_from_a_file(
    daemon: DaemonStub, run: Run, tmp_path: Path, content: str, sent: str
) -> None:
    """A key keeps its lines; a single line loses its end."""
    path = "/api/v1/projects/shop/secrets/registry:r.example:5000"
    daemon.says(f"PUT {path}", Said(SECRET))
    file = tmp_path / "value"
    file.write_bytes(content.encode())
    arguments = ("secret", "set", "shop", "registry:r.example:5000", "--user", "me")
    ended = run(*arguments, "--file", str(file))
    assert ended.status == 0, ended.err
    assert daemon.asked == [
        Asked("PUT", path, body={"value": sent, "username": "me"}, accept=daemon.asked[0].accept)
    ]
    assert sent.strip() not in ended.out + ended.err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"", "git-token: is empty", id="empty"),
        pytest.param(b" \n", "git-token: is empty", id="blank"),
        pytest.param(b"x" * 65537, "is over 64 KiB", id="large"),
        pytest.param(b"\xff\xfe", "is not text", id="binary"),
    ],
)
def test_value_that_is_no_secret(
    daemon: DaemonStub, run: Run, tmp_path: Path, content: bytes, said: str
) -> None:
    """What can't be a secret is refused here, with nothing sent."""
    file = tmp_path / "value"
    file.write_bytes(content)
    ended = run("secret", "set", "shop", "git-token", "--file", str(file))
    assert ended.status == 65
    assert said in ended.err
    assert daemon.asked == []


def test_secret_is_no_argument(daemon: DaemonStub, run: Run) -> None:
    """There is no place for a value on the command line."""
    ended = run("secret", "set", "shop", "git-token", "hunter2")
    assert ended.status == 2
    assert daemon.asked == []


# ── hostile text ──────────────────────────────────────────────────────────────────────────────


def test_terminal_takes_no_orders_from_the_daemon(daemon: DaemonStub, run: Run) -> None:
    """Escape sequences, forged lines and markup of what others wrote are shown as text."""
    hostile = "\x1b]0;owned\x07\x1b[2J[red]x[/red]\r\nFAKE 99 deployed\u202e"
    named = {**DEPLOYMENT, "causes": [{"trigger": "push", "detail": hostile}], "error": None}
    daemon.says("GET /api/v1/deployments", Said(listed(named)))
    shown, as_json = run("deployments").out, run("deployments", "--json").out
    assert "[red]x[/red]\\nFAKE 99 deployed" in shown
    assert len(shown.splitlines()) == 2
    for text in (shown, as_json):
        assert not any(character in text for character in "\x1b\x07\r\u202e")
    daemon.says("GET /api/v1/deployments", problem(500, "x", hostile))
    assert "\x1b" not in run("deployments").err


def test_name_can_not_leave_its_place_in_the_path(daemon: DaemonStub, run: Run) -> None:
    """A name with a slash, a question mark or dots asks for nothing else."""
    run("project", "show", "a/../b?c=d#e")
    assert daemon.asked[0].path == "/api/v1/projects/a/../b?c=d#e"
    assert daemon.asked[0].query == {}
    assert run("project", "show", "..").status == 2
    assert run("project", "show", "").status == 2
    assert len(daemon.asked) == 1


def test_a_list_is_read_to_its_last_page(daemon: DaemonStub, run: Run) -> None:
    """However many there are, all of them are shown, as one list."""
    token = {"scope": "read", "created_at": "2026-01-01T00:00:00Z"}
    pages = [
        Said({"items": [{"name": "first", **token}], "next": "one"}),
        Said({"items": [{"name": "second", **token}], "next": "two"}),
        Said({"items": [{"name": "third", **token}], "next": None}),
    ]
    daemon.says("GET /api/v1/tokens", *pages)
    shown = run("token", "list", "--json")
    assert [one["name"] for one in json.loads(shown.out)["items"]] == ["first", "second", "third"]
    assert json.loads(shown.out)["next"] is None
    assert [one.query.get("cursor") for one in daemon.asked] == [None, "one", "two"]
