"""All that is sealed: bound to its place, and sealed anew under another key as a whole."""

from collections.abc import Mapping

import pytest
from sqlalchemy import select, update

from reconciler.adapters.system_clock import SystemClock
from reconciler.adapters.vault import Vault
from reconciler.domain.errors import MasterKeyRefused, StoreCorrupt, StoreError
from reconciler.domain.host import Host, HostName
from reconciler.domain.secret import Secret
from reconciler.domain.webhook import Provider, Webhook, WebhookName
from reconciler.domain.workload import Cluster
from reconciler.ports import AnswerKey, AuditQuery, GivenAnswer
from reconciler.store.database import Database, connect, parse_location
from reconciler.store.keys import KeyState, OpenSealer
from reconciler.store.opening import check_key, open_store, read_key_state
from reconciler.store.sealed import SEALED, SealedColumn
from reconciler.store.sql_store import SqlStore
from reconciler.store.tables import METADATA, SECRET
from tests.parts.postgres import Postgres
from tests.parts.stores import KEY, NOW, Site, project

NEW = bytes(reversed(range(32)))
OLD_ID, NEW_ID = Vault(KEY).key_ids[0], Vault(NEW).key_ids[0]
SERVER = "r.example"
SECRETS = {
    **dict.fromkeys(("git-token", "registry:r.example", "variable:A"), "hunter2"),
    "git-ssh-key": "a key",
}
_CHANNEL = {
    "name": "ops",
    "fingerprint": "",
    "service": "ntfy",
    "events": [],
    "remind_after_seconds": 0,
    "created_at": NOW,
}

Place = tuple[SealedColumn, tuple[str, ...]]


def opener(*keys: bytes) -> OpenSealer:
    return lambda _: Vault(*keys)


def fill(store: SqlStore) -> None:
    """Have one of everything that is sealed, and two of what rows can be swapped of."""
    for number in (1, 2):
        store.create_project(project(f"web{number}"))
        store.create_host(Host(HostName(f"h{number}"), NOW, address=f"h{number}.example"))
        store.put_host_secret(HostName(f"h{number}"), Secret.of(f"host key {number}"), NOW)
        store.create_cluster(Cluster(HostName(f"c{number}"), NOW))
        store.put_kubeconfig(HostName(f"c{number}"), Secret.of(f"kubeconfig {number}"), NOW)
        webhook = WebhookName(f"hook{number}")
        store.create_webhook(Webhook(webhook, Provider.GITEA, NOW), Secret.of("first"))
        store.rotate_webhook_secret(webhook, Secret.of("second"), NOW)
        for name, value in SECRETS.items():
            store.put_secret(
                project(f"web{number}").name,
                name,
                Secret.of(value),
                bound_to=SERVER,
                username="me",
                now=NOW,
            )
        key = AnswerKey("me", f"key{number}")
        store.begin_answer(key, "asked", NOW)
        store.keep_answer(key, GivenAnswer("asked", NOW, 200, {}, Secret.of("answer")))


def fill_channels(database: Database, vault: Vault) -> None:
    for column in SEALED:
        if column.table.name == "channel":
            for name in ("ops", "dev"):
                sealed = vault.seal(Secret.of("ntfy://t@n.example"), column.context(name))
                row = {**_CHANNEL, "name": name, column.name: sealed}
                with database.writing() as connection:
                    connection.execute(column.table.insert().values(row))


@pytest.fixture
def database(site: Site) -> Database:
    """A database with everything in it that is sealed, closed; and a way into it."""
    fill(site.open())
    site.close()
    database = connect(parse_location(site.location), SystemClock())
    fill_channels(database, Vault(KEY))
    database.close()
    return database


def place_of(column: SealedColumn, key: tuple[str, ...]) -> str:
    return column.context(*key, bound_to=SERVER if column.bound else "")


def read(database: Database) -> Mapping[Place, str]:
    """Return every ciphertext that there is, by its place."""
    found = {}
    with database.reading() as connection:
        for column in SEALED:
            for key in column.rows(connection):
                statement = select(column.column).where(column.row(key))
                found[column, key] = connection.execute(statement).scalar_one()
    database.close()
    return found


def opened(database: Database, vault: Vault) -> Mapping[str, str]:
    """Return every clear text by its context."""
    return {
        place_of(column, key): vault.unseal(sealed, place_of(column, key)).reveal()
        for (column, key), sealed in read(database).items()
    }


def test_every_column_of_ciphertexts_is_known() -> None:
    """One that is not would be lost with the key that it is sealed with."""
    named = {
        (table.name, column.name)
        for table in METADATA.tables.values()
        for column in table.columns
        if column.name.startswith("sealed")
    }
    known = {(one.table.name, one.name) for one in SEALED}
    assert known - {("fact", "value")} == named
    marked = {one.table.name for one in SEALED if one.fingerprint}
    assert marked == {one.table.name for one in SEALED if "fingerprint" in str(one.table.columns)}


def test_nothing_opens_in_another_place(database: Database) -> None:
    """Rows, fields, tables and databases: each pair swapped."""
    sealed, vault = read(database), Vault(KEY)
    assert {column for column, _ in sealed} == set(SEALED)
    tried = 0
    for (column, key), text in sealed.items():
        vault.unseal(text, place_of(column, key))
        for other, other_key in sealed:
            if (other, other_key) != (column, key):
                tried += 1
                with pytest.raises(StoreCorrupt, match="moved from its place"):
                    vault.unseal(text, place_of(other, other_key))
        with pytest.raises(MasterKeyRefused, match="wrong key"):
            Vault(NEW).unseal(text, place_of(column, key))
    assert tried == len(sealed) * (len(sealed) - 1)


@pytest.mark.parametrize("site", ["sqlite"], indirect=True)
def test_no_secret_is_sent_where_the_database_alone_says(site: Site, database: Database) -> None:
    """Who rewrites its server, and has no key, has it opened no more."""
    store = site.open()
    name = project("web1").name
    store.put_secret(
        name, "forge-token", Secret.of("t"), bound_to="https://a", username="", now=NOW
    )
    assert store.find_forge_token(name, "https://a") == Secret.of("t")
    with database.writing() as connection:
        connection.execute(update(SECRET).values(bound_to="https://evil"))
    with pytest.raises(StoreCorrupt, match="moved from its place"):
        store.find_forge_token(name, "https://evil")


class TestRotation:
    def rotate(self, site: Site) -> SqlStore:
        told: list[tuple[int, int]] = []
        store = open_store(
            site.location,
            opener(NEW, KEY),
            SystemClock(),
            on_resealed=lambda *how_far: told.append(how_far),
        )
        site.opened.append(store)
        assert told == sorted(told)
        assert not told or told[-1][0] == told[-1][1]
        return store

    def test_everything_is_sealed_with_the_new_key(self, site: Site, database: Database) -> None:
        before = opened(database, Vault(KEY))
        store = self.rotate(site)
        (entry,) = store.list_audit(AuditQuery(action="master-key"))
        assert dict(entry.changes) == {"id": (OLD_ID, NEW_ID)}
        assert store.check_audit().intact
        assert [one.fingerprint for one in store.list_secrets(project("web1").name)] == [
            Vault(NEW).fingerprint(Secret.of(SECRETS[name])) for name in sorted(SECRETS)
        ]
        site.close()
        state = read_key_state(site.location, SystemClock())
        assert state == KeyState(NEW_ID, "", {NEW_ID: len(before)})
        after = dict(opened(database, Vault(NEW)))
        assert after.pop("fact|audit_head|value") != before["fact|audit_head|value"]
        assert after == {key: before[key] for key in after}
        with pytest.raises(MasterKeyRefused, match=f"is master key {OLD_ID}.* wants key {NEW_ID}"):
            site.open()
        store = open_store(site.location, opener(NEW), SystemClock())
        store.close()

    def test_what_does_not_open_keeps_the_old_key(self, site: Site, database: Database) -> None:
        """The rest is sealed anew; removed, it is in nobody's way."""
        column = next(one for one in SEALED if one.table.name == "secret")
        with database.writing() as connection:
            broken = column.row(("web1", "git-token"))
            text = connection.execute(select(column.column).where(broken)).scalar_one()
            values = {column.name: text[:-8] + "AAAAAAA="}
            connection.execute(update(column.table).where(broken).values(values))
        database.close()
        store = self.rotate(site)
        site.close()
        state = read_key_state(site.location, SystemClock())
        assert (state.wanted, state.rotating_from, state.counts[OLD_ID]) == (NEW_ID, OLD_ID, 1)
        for one in (KEY, NEW):
            with pytest.raises(MasterKeyRefused, match=f"{NEW_ID}|{OLD_ID}"):
                open_store(site.location, opener(one), SystemClock())
        store = self.rotate(site)
        store.remove_secret(project("web1").name, "git-token")
        site.close()
        self.rotate(site)
        assert read_key_state(site.location, SystemClock()).rotating_from == ""

    @pytest.mark.needs_postgres
    def test_not_while_another_replica_is_at_work(self, postgres: Postgres) -> None:
        """It could not open what is sealed with a key that it doesn't have."""
        site = Site(postgres.create_database())
        site.open().check()
        database = connect(parse_location(site.location), SystemClock())
        before = read(database)
        with pytest.raises(StoreError, match="stop all of them"):
            self.rotate(site)
        assert read(database) == before
        site.close()
        self.rotate(site).close()
        assert set(read_key_state(site.location, SystemClock()).counts) == {NEW_ID}


class TestCheck:
    def test_nothing_is_written_under_a_wrong_key(self, site: Site, database: Database) -> None:
        before = read(database)
        with pytest.raises(MasterKeyRefused, match=f"is master key {NEW_ID}, .* {OLD_ID}"):
            open_store(site.location, opener(NEW), SystemClock())
        assert read(database) == before

    def test_a_database_without_a_check_value_is_opened_to_prove_the_key(
        self, site: Site, database: Database
    ) -> None:
        """And given one, by whoever opens what is in it."""
        fact = next(one for one in SEALED if one.table.name == "fact")
        with database.writing() as connection:
            connection.execute(fact.table.delete().where(fact.row(("sealed_check",))))
        database.close()
        for wrong in (NEW, bytes(32)):
            with pytest.raises(MasterKeyRefused, match="wrong key"):
                open_store(site.location, opener(wrong), SystemClock())
        assert read_key_state(site.location, SystemClock()).wanted == ""
        made: list[bool] = []

        def open_sealer(may_create: bool) -> Vault:
            made.append(may_create)
            return Vault(KEY)

        open_store(site.location, open_sealer, SystemClock()).close()
        assert made == [False]
        assert read_key_state(site.location, SystemClock()).wanted == OLD_ID
        check_key(site.location, opener(KEY), SystemClock())
