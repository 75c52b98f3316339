"""Projects as pages show them: one in every state, and as many that are in sync as one likes."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta

from reconciler.domain.deployment import Stage, Status, Trigger
from reconciler.domain.errors import Recovery
from reconciler.domain.failure import Failure
from reconciler.domain.host import LOCAL, Host
from reconciler.domain.project import Project, ProjectKind
from reconciler.domain.promotion import (
    Environment,
    EnvironmentName,
    Promotion,
    PromotionId,
    Vote,
    handed_on,
)
from reconciler.domain.references import ProjectName
from reconciler.domain.rules import Freeze, Rules
from reconciler.domain.windows import DeployWindow
from reconciler.ports import Acting, acting_for
from tests.parts.made_up import JONAS, MARA, digest_of
from tests.parts.showing import ATLAS, VEGA, Shown, opened
from tests.parts.web_client import WebDaemon

# ── One in every state ────────────────────────────────────────────────────────────────────────


def show_every_state(daemon: WebDaemon) -> None:
    """Put one project of each state into the store of a daemon that runs.

    Needs a person: ``billing-api`` failed, ``mailer`` asks about its migration, ``web-shop`` is
    quarantined, ``grafana`` drifted, ``old-wiki`` has lost its branch. Under way: ``api-gateway``
    (compose), ``status-page`` (unit), ``search-api`` (queued, for another try). Waits:
    ``portal-production`` for its window, ``ledger-production`` for an approval, ``matrix-bridge``
    is frozen. In sync: ``blog``, ``forgejo`` (an image), ``mail-archive`` (a unit),
    ``home-dashboard`` (whose source does not answer), ``portal-test``, ``ledger-test``. Off:
    ``legacy-crm``, ``sandbox`` (never deployed), ``intranet-dns`` (domain only),
    ``office-tunnel``.
    """
    with opened(daemon) as store:
        shown = Shown(store)
        _show_hosts(shown)
        _show_calm(shown)
        _show_off(shown)
        _show_troubled(shown)
        _show_waiting(shown)
        _show_under_way(shown)


def _show_hosts(shown: Shown) -> None:
    for name in (ATLAS, VEGA):
        shown.store.create_host(Host(name, shown.ago(days=40), alias=name))


def _show_calm(shown: Shown) -> None:
    blog = shown.declare("blog", host=ATLAS)
    for version, days in enumerate((9, 6, 3), start=1):
        shown.deploy(blog, version, shown.ago(days=days))
    shown.see(blog, 3)
    shown.watch(blog, 3)
    forgejo = shown.declare("forgejo", ProjectKind.IMAGE, ATLAS)
    shown.deploy(forgejo, 1, shown.ago(days=6))
    shown.watch(forgejo, 1)
    archive = shown.declare("mail-archive", ProjectKind.UNIT, VEGA)
    shown.deploy(archive, 1, shown.ago(days=21))
    shown.see(archive, 1)
    home = shown.declare("home-dashboard")
    shown.deploy(home, 1, shown.ago(minutes=300))
    silent = Failure(
        "source-unreachable", "forge.example.net does not answer", Recovery.RETRY, "", {}
    )
    shown.see(home, 1, error=silent, failures=3, next_look_at=shown.now + timedelta(minutes=4))


def _show_off(shown: Shown) -> None:
    crm = shown.declare("legacy-crm", ProjectKind.UNIT, VEGA)
    shown.deploy(crm, 1, shown.ago(days=20))
    shown.see(crm, 2)
    with acting_for(Acting(MARA, "session", "127.0.0.1")):
        shown.store.update_project(replace(crm, auto_deploy=False))
    shown.declare("sandbox", auto_deploy=False)
    shown.declare("intranet-dns", ProjectKind.DOMAIN_ONLY)
    shown.declare("office-tunnel", ProjectKind.TUNNEL)


def _show_troubled(shown: Shown) -> None:
    billing = shown.declare("billing-api", ProjectKind.UNIT, VEGA)
    shown.deploy(billing, 1, shown.ago(days=4))
    error = Failure(
        "not-healthy",
        "billing-api exited with 1 right after its start; nobody knows what serves",
        Recovery.OPERATOR,
        "read its log, and push a mended commit",
        {"host": VEGA},
    )
    shown.fail(shown.begin(billing, 2, shown.ago(minutes=42)), shown.ago(minutes=42), error)
    shown.see(billing, 2)

    mailer = shown.declare("mailer")
    shown.deploy(mailer, 1, shown.ago(days=5))
    pending = Failure(
        "migration-needs-approval",
        "the migration asks for a person (exit 3): 2 tables would be dropped",
        Recovery.OPERATOR,
        "`reconciler approve mailer` lets it go on",
        {"host": LOCAL},
    )
    at = shown.ago(minutes=95)
    claim = shown.begin(mailer, 2, at)
    shown.fail(claim, at, pending, Stage.GATE, Status.NEEDS_OPERATOR)
    shown.see(mailer, 2)

    shop = shown.declare("web-shop", host=ATLAS)
    good = shown.deploy(shop, 1, shown.ago(days=3))
    answered = Failure(
        "not-healthy", "health answered 502 on 5 of 5 samples", Recovery.STALL, "", {}
    )
    at = shown.ago(minutes=12)
    shown.fail(
        shown.begin(shop, 2, at, Trigger.PUSH),
        at,
        answered,
        status=Status.ROLLED_BACK,
        back_to=good,
    )
    shown.see(shop, 2)
    shown.watch(shop, 1)

    grafana = shown.declare("grafana", ProjectKind.IMAGE, ATLAS)
    live = shown.deploy(grafana, 1, shown.ago(days=2))
    other = f"grafana runs {digest_of('grafana', 0).short}, deployed was another image"
    shown.store.record_drift(grafana.name, live.id, [other], shown.ago(minutes=125))

    wiki = shown.declare("old-wiki")
    shown.deploy(wiki, 1, shown.ago(days=13))
    shown.see(wiki, 1, branch_gone=True)


def _show_waiting(shown: Shown) -> None:
    _show_environments(shown, "portal", Rules(windows=(_closed_window(shown.now),)))
    ledger = _show_environments(shown, "ledger", Rules(approvals=2))
    candidate = shown.store.get_state(ProjectName("ledger-test")).live
    assert candidate
    assert candidate.prepared
    promotion, _ = shown.store.propose(
        Promotion(
            PromotionId(0),
            ledger.name,
            ProjectName("ledger-test"),
            candidate.id,
            handed_on(candidate.prepared, ledger.generation),
            shown.ago(minutes=60),
            shown.now + timedelta(days=2),
        )
    )
    vote = Vote(JONAS, True, shown.ago(minutes=40), "looks right")
    shown.store.vote(promotion.id, vote, needed=2)

    bridge = shown.declare("matrix-bridge", host=ATLAS)
    shown.deploy(bridge, 1, shown.ago(days=8))
    freeze = Freeze(
        JONAS,
        shown.ago(days=1),
        "federation incident, keep hands off",
        shown.now + timedelta(days=2),
    )
    shown.store.set_freeze(bridge.name, freeze)
    shown.see(bridge, 2)


def _show_environments(shown: Shown, app: str, rules: Rules) -> Project:
    """Show an app whose newest is verified on test, and not on production; return that."""
    test = Environment(EnvironmentName("test"))
    first = shown.declare(f"{app}-test", host=ATLAS, environment=test)
    old = shown.deploy(first, 1, shown.ago(days=7))
    production = Environment(EnvironmentName("production"), first.name)
    second = shown.declare(f"{app}-production", host=ATLAS, environment=production)
    at = shown.ago(days=6)
    shown.ask(second, 1, at, Trigger.PROMOTION, promotes=old.id)
    shown.finish(shown.take(at), at)
    shown.deploy(first, 2, shown.ago(minutes=26))
    shown.see(first, 2)
    shown.store.update_project(replace(second, rules=rules))
    return second


def _show_under_way(shown: Shown) -> None:
    gateway = shown.declare("api-gateway", host=ATLAS)
    for version, days in ((1, 5), (2, 2)):
        shown.deploy(gateway, version, shown.ago(days=days))
    at = shown.now - timedelta(seconds=41)
    shown.walk(shown.begin(gateway, 3, at, Trigger.PUSH), at)
    shown.see(gateway, 3)
    status = shown.declare("status-page", ProjectKind.UNIT, VEGA)
    shown.deploy(status, 1, shown.ago(days=11))
    at = shown.now - timedelta(seconds=6)
    shown.walk(shown.begin(status, 2, at, Trigger.WEBHOOK), at, Stage.PREPARE)
    shown.see(status, 2)
    search = shown.declare("search-api")
    shown.deploy(search, 1, shown.ago(days=1))
    at = shown.now - timedelta(seconds=50)
    claim = shown.begin(search, 2, at)
    shown.walk(claim, at, Stage.PREPARE)
    shown.store.end_stage(claim, Stage.PREPARE, "failed", shown.now)
    silent = Failure("registry-unreachable", "registry.example does not answer", Recovery.RETRY)
    # A worker takes what waits longest: so that others may be taken, its time has not come.
    shown.store.retry_later(claim, shown.now + timedelta(hours=1), silent)
    shown.see(search, 2)


def _closed_window(now: datetime) -> DeployWindow:
    """Return one that opens in about three hours."""
    opens, closes = now + timedelta(hours=3), now + timedelta(hours=5)
    every = tuple(range(7))
    return DeployWindow(every, opens.time().replace(second=0, microsecond=0), closes.time())


# ── As many as one likes ──────────────────────────────────────────────────────────────────────


def show_many(daemon: WebDaemon, count: int) -> Sequence[str]:
    """Put ``count`` projects into its store that are in sync: ``app-0000`` and so on.

    The first is deployed as any other is; the others' rows are copies of its rows, which takes a
    second where deploying them takes minutes.
    """
    names = [f"app-{number:04}" for number in range(count)]
    with opened(daemon) as store:
        shown = Shown(store)
        first = shown.declare(names[0])
        live = shown.deploy(first, 1, shown.ago(days=2))
        shown.see(first, 1)
        shown.watch(first, 1)
    with closing(sqlite3.connect(daemon.folder / "data" / "state.db")) as connection, connection:
        _copy(connection, names, live.id)
    return names


def _copy(connection: sqlite3.Connection, names: Sequence[str], live: int) -> None:
    first, others = names[0], names[1:]
    (newest,) = connection.execute("SELECT max(id) FROM deployment").fetchone()
    ids = {name: newest + at for at, name in enumerate(others, start=1)}
    own = [{"name": name} for name in others]
    of_project = [{"project": name} for name in others]
    of_deployment = [{"deployment": ids[name]} for name in others]
    lives = [
        {"project": name, "live_deployment_id": ids[name], "latest_deployment_id": ids[name]}
        for name in others
    ]
    deployments = [{"project": name, "id": ids[name]} for name in others]
    _copy_rows(connection, "project", ("name", first), own)
    _copy_rows(connection, "project_state", ("project", first), lives)
    _copy_rows(connection, "source_health", ("project", first), of_project)
    _copy_rows(connection, "watched_image", ("project", first), of_project)
    _copy_rows(connection, "deployment", ("id", live), deployments)
    _copy_rows(connection, "stage", ("deployment", live), of_deployment)
    _copy_rows(connection, "deployment_target", ("deployment", live), of_deployment)


def _copy_rows(
    connection: sqlite3.Connection,
    table: str,
    origin: tuple[str, object],
    changes: Sequence[Mapping[str, object]],
) -> None:
    """Copy the rows whose column is ``origin``, once with each of the ``changes``."""
    column, value = origin
    found = connection.execute(f"SELECT * FROM {table} WHERE {column} = ?", (value,))  # noqa: S608
    columns = [description[0] for description in found.description]
    if table == "stage":
        changes = [{**change, "id": None} for change in changes]
    rows = [
        {**dict(zip(columns, row, strict=True)), **change}
        for row in found.fetchall()
        for change in changes
    ]
    values = ", ".join(f":{column}" for column in columns)
    connection.executemany(f"INSERT INTO {table} VALUES ({values})", rows)  # noqa: S608
