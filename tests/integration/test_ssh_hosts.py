"""Hosts over a real sshd: one connection, pinned keys, the operator's aliases, and every fault."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.domain.errors import (
    CommandFailed,
    HostKeyMismatch,
    HostKeyUnconfirmed,
    HostRefused,
    Interrupted,
    NotFound,
    PreconditionFailed,
    TargetUnreachable,
)
from reconciler.domain.host import Host, HostName, HostPath, fingerprint_of
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.domain.secret import Secret
from reconciler.ports import Command, Machine
from tests.parts.child import free_port
from tests.parts.docker_engine import DockerEngine
from tests.parts.faulty import Fault, FaultyProxy, Mode
from tests.parts.git_repository import Repository
from tests.parts.hosts import CREATED_AT, Hosts
from tests.parts.sshd import Sshd
from tests.parts.waiting import eventually

pytestmark = pytest.mark.needs_sshd

WEB = HostName("web")
TRUE = Command(("true",))


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    with Sshd() as running:
        yield running


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    with Hosts(tmp_path / "data") as machines:
        yield machines


@pytest.fixture
def web(hosts: Hosts, server: Sshd) -> Machine:
    """A machine that nothing was asked of yet."""
    return hosts.declare(server)


@contextmanager
def through(server: Sshd, mode: Mode = Mode.FORWARD) -> Iterator[FaultyProxy]:
    with FaultyProxy(server.port, Fault(mode)) as proxy:
        yield proxy


def shell(script: str, **rest: object) -> Command:
    return Command(("sh", "-c", script), **rest)  # type: ignore[arg-type]


def together(work: Sequence[Callable[[], object]]) -> list[object]:
    """Do all of it at the same time."""
    with ThreadPoolExecutor(len(work)) as pool:
        return [future.result() for future in [pool.submit(each) for each in work]]


def wait_for_end(pid: int) -> None:
    # One that nobody has waited for yet has no program any more.
    eventually(lambda: not Path(f"/proc/{pid}/exe").exists(), what=f"process {pid} has ended")


# ── One connection ────────────────────────────────────────────────────────────────────────────


class TestOneConnection:
    @pytest.mark.needs_docker
    def test_all_that_goes_to_a_host_pays_for_one_handshake(
        self, engine: DockerEngine, web: Machine, server: Sshd, tmp_path: Path
    ) -> None:
        """Commands, files, folders, commits and looks at the engine."""
        before = server.handshakes()
        repository, into = Repository(tmp_path / "a.git"), Repository(tmp_path / "b.git")
        commit = CommitSha.parse(repository.commit({"file": "x"}))
        source = tmp_path / "source"
        source.mkdir()
        web.check()
        for _ in range(10):
            assert web.run(TRUE).ok
        web.send(source, HostPath(str(tmp_path / "sent")))
        web.write(HostPath(str(tmp_path / "file")), Secret.of("x"))
        web.push(repository.path, commit, HostPath(str(into.path)))
        web.engine().ping()
        assert server.handshakes() - before == 1

    def test_threads_that_come_at_once_share_it(self, web: Machine, server: Sshd) -> None:
        """More than sshd takes sessions on one connection: the rest wait, and none is refused."""
        before = server.handshakes()
        results = together([lambda: web.run(shell("sleep 0.1; echo ok")).stdout] * 24)
        assert results == ["ok\n"] * 24
        assert server.handshakes() - before == 1

    def test_a_host_that_takes_fewer_sessions_is_no_trouble(self, hosts: Hosts) -> None:
        """What finds no place gets a connection of its own."""
        with Sshd({"MaxSessions": "1"}) as small:
            web = hosts.declare(small)
            results = together([lambda: web.run(shell("sleep 0.2; echo ok")).stdout] * 4)
        assert results == ["ok\n"] * 4

    def test_who_waits_for_a_place_can_be_stopped(self, web: Machine) -> None:
        """Before anything of it has begun."""
        cancel, busy = threading.Event(), threading.Event()
        started: list[str] = []

        def hold() -> None:
            with pytest.raises(Interrupted):
                web.run(shell("echo up; sleep 50"), on_line=started.append, cancel=busy)

        def wait() -> None:
            with pytest.raises(Interrupted, match="waited"):
                web.run(TRUE, cancel=cancel)

        with ThreadPoolExecutor(9) as pool:
            held = [pool.submit(hold) for _ in range(8)]
            eventually(lambda: len(started) == 8, what="all places are taken")
            waiting = pool.submit(wait)
            cancel.set()
            waiting.result(10)
            busy.set()
            for each in held:
                each.result(20)

    def test_it_is_opened_anew_after_its_ssh_was_killed(
        self, hosts: Hosts, web: Machine, server: Sshd
    ) -> None:
        """The socket that is left behind is no connection."""
        web.run(TRUE)
        before = server.handshakes()
        os.kill(hosts.master(), signal.SIGKILL)
        assert web.run(shell("echo ok")).stdout == "ok\n"
        assert server.handshakes() - before == 1

    def test_a_declaration_that_changes_takes_effect(self, hosts: Hosts, web: Machine) -> None:
        """What is open to the old address is not used for the new one."""
        web.run(TRUE)
        changed = hosts.change("web", port=free_port())
        with pytest.raises(TargetUnreachable, match="Connection refused"):
            changed.run(TRUE)
        with pytest.raises(TargetUnreachable, match="declared of it has changed"):
            web.run(TRUE)

    def test_a_host_that_is_not_declared_is_not_found(self, hosts: Hosts, web: Machine) -> None:
        """Neither one that never was, nor one that is no more; its connection ends."""
        web.run(TRUE)
        master = hosts.master()
        del hosts.declared[WEB]
        for name in (WEB, HostName("other")):
            with pytest.raises(NotFound, match=f"no host {name}"):
                hosts.machines.get(name)
        wait_for_end(master)


# ── Keys ──────────────────────────────────────────────────────────────────────────────────────


class TestHostKeys:
    def test_a_changed_key_is_refused_and_never_mended(self, hosts: Hosts) -> None:
        """Both fingerprints are named, every time; the old machine is welcome again."""
        with Sshd() as server:
            web = hosts.declare(server)
            first = server.host_key
            web.run(TRUE)
            server.change_host_key()
            for _ in range(2):
                hosts.machines.forget(WEB)
                with pytest.raises(HostKeyMismatch) as caught:
                    hosts.machines.get(WEB).run(TRUE)
                assert caught.value.evidence["expected"] == fingerprint_of(first)
                assert caught.value.evidence["observed"] == fingerprint_of(server.host_key)
                assert fingerprint_of(first) in caught.value.message
                assert fingerprint_of(server.host_key) in caught.value.message
            hosts.change("web", host_keys=(server.host_key,)).run(TRUE)

    def test_a_key_of_another_kind_is_named_too(self, hosts: Hosts, server: Sshd) -> None:
        """The ssh program does not say which one that is; we look."""
        with Sshd(key_kinds=("ecdsa",)) as other:
            hosts.declare(server)
            web = hosts.change("web", port=other.port)
            with pytest.raises(HostKeyMismatch) as caught:
                web.run(TRUE)
            assert caught.value.evidence["observed"] == fingerprint_of(other.host_key)
        assert caught.value.evidence["expected"] == fingerprint_of(server.host_key)

    def test_any_of_several_pinned_keys_will_do(self, hosts: Hosts, server: Sshd) -> None:
        """Such as the next one, pinned before the host gets it."""
        with Sshd(key_kinds=("ecdsa",)) as other:
            hosts.declare(server)
            for sshd in (server, other):
                keys = (other.host_key, server.host_key)
                key = Secret.of(sshd.key_path.read_text())
                hosts.keys[WEB] = key
                hosts.machines.forget(WEB)
                assert hosts.change("web", port=sshd.port, host_keys=keys).run(TRUE).ok

    def test_a_host_whose_key_nobody_confirmed_is_not_talked_to(
        self, hosts: Hosts, server: Sshd
    ) -> None:
        """Nothing is trusted on first use."""
        hosts.declare(server)
        with through(server) as proxy:
            web = hosts.change("web", port=proxy.port, host_keys=())
            with pytest.raises(HostKeyUnconfirmed, match="confirm its key first"):
                web.run(TRUE)
            assert proxy.connections == 0

    def test_offered_keys_are_shown_strongest_first(self, hosts: Hosts) -> None:
        """All kinds that the host has, without a credential shown to it."""
        with Sshd(key_kinds=("rsa", "ecdsa", "ed25519")) as server:
            host = Host(WEB, CREATED_AT, address="127.0.0.1", user="ada", port=server.port)
            offered = hosts.machines.offered_keys(host)
            log, keys = server.child.output(), server.host_keys
        kinds = [offer.key.split()[0] for offer in offered]
        assert kinds == ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"]
        assert {offer.key for offer in offered} == set(keys)
        assert all(offer.fingerprint == fingerprint_of(offer.key) for offer in offered)
        assert "publickey" not in log.replace("preauth", "")
        assert files_in(hosts.folder) == []

    def test_a_host_that_does_not_answer_offers_nothing(self, hosts: Hosts) -> None:
        """That is an error, not an empty list."""
        host = Host(WEB, CREATED_AT, address="127.0.0.1", user="ada", port=free_port())
        with pytest.raises(TargetUnreachable, match="Connection refused"):
            hosts.machines.offered_keys(host)


class TestOurKey:
    def test_neither_keys_nor_secrets_are_seen_by_others(
        self, hosts: Hosts, server: Sshd, tmp_path: Path
    ) -> None:
        """In no argument list and no environment, while all that is done is done."""
        secret = "hunter2-is-no-secret"
        key = server.key_path.read_text().splitlines()[1]
        web = hosts.declare(server)
        done = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            watching = pool.submit(watch_for, [secret.encode(), key.encode()], done)
            web.check()
            for _ in range(5):
                web.write(HostPath(str(tmp_path / "file")), Secret.of(secret))
                web.run(Command(("cat",), stdin=Secret.of(secret)))
            web.send(tmp_path / "data", HostPath(str(tmp_path / "sent")))
            done.set()
            looks, leaks = watching.result(20)
        assert looks > 3
        assert leaks == set()
        found = {path.name: path.stat().st_mode & 0o077 for path in hosts.folder.rglob("*")}
        assert "key" in found
        assert not any(found.values())

    def test_it_lies_there_only_while_the_host_is_used(self, hosts: Hosts, web: Machine) -> None:
        """Before there is nothing, afterwards neither."""
        assert files_in(hosts.folder) == []
        web.run(TRUE)
        assert "key" in files_in(hosts.folder)
        hosts.machines.forget(WEB)
        assert files_in(hosts.folder) == []

    def test_what_a_killed_daemon_left_goes_at_the_next_start(
        self, hosts: Hosts, web: Machine
    ) -> None:
        """Its key and its connection, as they were."""
        web.run(TRUE)
        master = hosts.master()
        again = hosts.start()
        assert files_in(hosts.folder) == []
        wait_for_end(master)
        assert again.get(WEB).run(TRUE).ok
        again.close()

    @pytest.mark.parametrize("key", ["other", "broken", "none"])
    def test_a_key_that_is_not_let_in_is_said_to_be(
        self, hosts: Hosts, server: Sshd, key: str
    ) -> None:
        """Whoever has to act reads which host, and why."""
        hosts.declare(server)
        with Sshd() as other:
            hosts.keys[WEB] = Secret.of(other.key_path.read_text())
        if key == "broken":
            hosts.keys[WEB] = Secret.of("-----BEGIN OPENSSH PRIVATE KEY-----\nnonsense\n")
        if key == "none":
            del hosts.keys[WEB]
        web = hosts.machines.get(WEB)
        with pytest.raises(HostRefused, match=r"host web.*(Permission denied|no private key)"):
            web.run(TRUE)
        assert web.health.reachable is False
        assert web.health.error is not None
        assert web.health.error.code == "host-refused"


def watch_for(texts: Sequence[bytes], done: threading.Event) -> tuple[int, set[str]]:
    """Look at all processes until ``done``; return how often that was, and who shows a text."""
    looks, leaks = 0, set()
    while not done.is_set():
        looks += 1
        for process in Path("/proc").glob("[0-9]*"):
            for file in ("cmdline", "environ"):
                try:
                    shown = (process / file).read_bytes()
                except OSError:
                    continue
                leaks |= {f"{process}/{file}" for text in texts if text in shown}
    return looks, leaks


def files_in(folder: Path) -> list[str]:
    """Return the names of what is no folder."""
    return sorted(path.name for path in folder.rglob("*") if not path.is_dir())


# ── Faults ────────────────────────────────────────────────────────────────────────────────────


class TestUnreachable:
    def test_a_host_that_says_nothing_is_given_up(self, hosts: Hosts, server: Sshd) -> None:
        """It takes the connection, and its greeting never comes."""
        hosts.declare(server)
        with through(server, Mode.SILENT) as proxy:
            web = hosts.change("web", port=proxy.port)
            with pytest.raises(TargetUnreachable, match=r"host web can't be reached: .*timed out"):
                web.check()
        assert web.health.reachable is False

    def test_a_host_that_nobody_knows(self, hosts: Hosts, server: Sshd) -> None:
        """The name is in the error."""
        hosts.declare(server)
        web = hosts.change("web", address="no-such-host.invalid")
        with pytest.raises(TargetUnreachable, match=r"resolve hostname no-such-host\.invalid"):
            web.check()

    def test_a_host_that_is_away_delays_no_other(self, hosts: Hosts, server: Sshd) -> None:
        """While one is waited for, another is asked, and answers."""
        web, cancel = hosts.declare(server), threading.Event()
        with through(server, Mode.SILENT) as proxy, ThreadPoolExecutor(1) as pool:
            away = hosts.declare(server, "away", port=proxy.port)
            waiting = pool.submit(away.run, TRUE, cancel=cancel)
            eventually(lambda: proxy.connections, what="it is waited for")
            assert web.run(TRUE).ok
            assert not waiting.done()
            cancel.set()
            with pytest.raises(Interrupted):
                waiting.result(20)
        assert away.health.reachable is None

    def test_those_who_wait_for_a_host_fail_together(self, hosts: Hosts, server: Sshd) -> None:
        """Ten who ask at once do not wait for ten time limits."""
        hosts.declare(server)
        with through(server, Mode.RESET) as proxy:
            web = hosts.change("web", port=proxy.port)

            def ask() -> None:
                with pytest.raises(TargetUnreachable):
                    web.run(TRUE)

            together([ask] * 8)
            assert proxy.connections < 4

    def test_it_is_well_again_when_it_is_back(self, hosts: Hosts, server: Sshd) -> None:
        """Its health says so, and since when."""
        hosts.declare(server)
        with through(server, Mode.RESET) as proxy:
            web = hosts.change("web", port=proxy.port)
            assert web.health.reachable is None
            for _ in range(2):
                with pytest.raises(TargetUnreachable):
                    web.check()
            down = web.health
            assert down.reachable is False
            assert down.since is not None
            assert down.checked_at is not None
            assert down.since < down.checked_at
            proxy.fault.mode = Mode.FORWARD
            web.check()
            up = web.health
            assert up.reachable
            assert up.since is not None
            assert up.since > down.since


class TestLostConnections:
    def test_a_connection_that_is_lost_is_no_exit_status(self, hosts: Hosts, server: Sshd) -> None:
        """Neither success nor the command's own failure; the next call has a new one."""
        hosts.declare(server)
        with through(server) as proxy:
            web = hosts.change("web", port=proxy.port)
            with pytest.raises(TargetUnreachable, match="lost while `sh` ran"):
                web.run(shell("echo up; sleep 50"), on_line=lambda line: proxy.break_connections())
            assert web.health.reachable is False
            assert web.run(shell("exit 255")).exit_status == 255
            assert web.health.reachable

    def test_sending_goes_on_where_it_was_cut_off(
        self, hosts: Hosts, server: Sshd, tmp_path: Path
    ) -> None:
        """What has arrived is kept, and the whole is right in the end."""
        source, into = tmp_path / "source", tmp_path / "into"
        source.mkdir()
        for number in range(4):
            (source / f"{number}").write_bytes(os.urandom(10 << 20))
        hosts.declare(server)
        with through(server) as proxy:
            web = hosts.change("web", port=proxy.port)
            web.run(TRUE)
            with ThreadPoolExecutor(1) as pool:
                sending = pool.submit(web.send, source, HostPath(str(into)))
                eventually((into / "0").exists, what="the first file is there")
                proxy.break_connections()
                with pytest.raises(TargetUnreachable, match="lost while files were sent"):
                    sending.result(30)
            lines: list[str] = []
            web.send(source, HostPath(str(into)), log=lines.append)
        sent = next(int(line.split()[1].replace(",", "")) for line in lines if "sent" in line)
        assert sent < 4 * (10 << 20)
        for number in range(4):
            assert (into / f"{number}").read_bytes() == (source / f"{number}").read_bytes()

    def test_a_push_that_was_cut_off_is_no_failure_of_git(
        self, hosts: Hosts, server: Sshd, tmp_path: Path
    ) -> None:
        """The same push succeeds once the host is back."""
        repository, into = Repository(tmp_path / "a.git"), Repository(tmp_path / "b.git")
        commit = CommitSha.parse(repository.commit({"file": os.urandom(20 << 20)}))
        hosts.declare(server)
        with through(server) as proxy:
            web = hosts.change("web", port=proxy.port)
            web.run(TRUE)
            with ThreadPoolExecutor(1) as pool:
                pushing = pool.submit(web.push, repository.path, commit, HostPath(str(into.path)))
                eventually(lambda: list(into.path.glob("objects/*incoming*")), what="it has begun")
                proxy.break_connections()
                with pytest.raises(TargetUnreachable, match="lost while a commit was pushed"):
                    pushing.result(30)
            web.push(repository.path, commit, HostPath(str(into.path)))
        assert into.git("cat-file", "-t", commit.text) == "commit"

    @pytest.mark.slow
    def test_a_host_that_falls_silent_is_given_up(self, hosts: Hosts, server: Sshd) -> None:
        """As one without power, which closes nothing."""
        hosts.declare(server)

        def unplug(_: str) -> None:
            proxy.fault.mode = Mode.BLACKHOLE

        with through(server) as proxy:
            web = hosts.change("web", port=proxy.port)
            with pytest.raises(TargetUnreachable, match="lost while `sh` ran"):
                web.run(shell("echo up; sleep 70"), on_line=unplug)

    def test_a_file_that_did_not_arrive_whole_replaces_nothing(
        self, hosts: Hosts, server: Sshd, tmp_path: Path
    ) -> None:
        """The old content stays, and nothing lies beside it."""
        where = tmp_path / "file"
        where.write_text("before")
        hosts.declare(server)
        with through(server) as proxy:
            web = hosts.change("web", port=proxy.port)
            web.run(TRUE)
            folder = hosts.folder
            with ThreadPoolExecutor(1) as pool:
                writing = pool.submit(web.write, HostPath(str(where)), Secret.of("x" * (60 << 20)))
                eventually(lambda: len(list(tmp_path.glob("file*"))) > 1, what="it has begun")
                proxy.break_connections()
                with pytest.raises(TargetUnreachable):
                    writing.result(30)
        eventually(lambda: len(list(tmp_path.glob("file*"))) == 1, what="the rest is removed")
        assert where.read_text() == "before"
        assert folder.exists()

    def test_what_was_given_up_ends_there_too(self, web: Machine) -> None:
        """Soon after its time, with all that it started."""
        lines: list[str] = []
        command = shell("echo $$; sleep 50", timeout=timedelta(seconds=0.5))
        assert web.run(command, on_line=lines.append).timed_out
        wait_for_end(int(lines[0]))

    @pytest.mark.needs_docker
    def test_the_engine_is_found_again(
        self, engine: DockerEngine, hosts: Hosts, server: Sshd
    ) -> None:
        """Whoever holds it need not know that the connection was another one."""
        hosts.declare(server)
        with through(server) as proxy:
            web = hosts.change("web", port=proxy.port)
            remote = web.engine()
            assert isinstance(remote.ping(), str)
            for _ in range(2):
                master = hosts.master()
                proxy.break_connections()
                wait_for_end(master)
                assert remote.containers(ProjectName("no-such-project")) == []


class TestOddHosts:
    @pytest.mark.parametrize(
        ("forced", "error", "said"),
        [
            ("echo Welcome; eval $SSH_ORIGINAL_COMMAND", PreconditionFailed, "login shell"),
            ("echo This account is not available.; exit 1", HostRefused, "not available"),
            ("echo not today >&2; exit 1", HostRefused, "not today"),
        ],
    )
    def test_a_login_that_is_none_is_said_to_be(
        self, hosts: Hosts, forced: str, error: type[Exception], said: str
    ) -> None:
        """A shell that greets would spoil every answer."""
        with Sshd({"ForceCommand": forced}) as server:
            web = hosts.declare(server)
            with pytest.raises(error, match=said):
                web.run(TRUE)

    @pytest.mark.needs_docker
    def test_an_engine_that_can_t_be_reached_is_said_to_be(
        self, engine: DockerEngine, hosts: Hosts
    ) -> None:
        """Here the host forbids the forwarding."""
        with Sshd({"AllowStreamLocalForwarding": "no"}) as server:
            web = hosts.declare(server)
            with pytest.raises(TargetUnreachable, match="host web"):
                web.engine().containers(ProjectName("a"))

    def test_any_folder_will_do(self, tmp_path: Path, server: Sshd) -> None:
        """With spaces, with what ssh replaces, and longer than a socket's path may be."""
        source = tmp_path / "source"
        source.mkdir()
        (source / "file").write_text("x")
        repository = Repository(tmp_path / "a.git")
        commit = CommitSha.parse(repository.commit({"file": "x"}))
        into = Repository(tmp_path / "b.git")
        folder = tmp_path / f"it's 100%h {'long' * 20}"
        with Hosts(folder) as hosts:
            web = hosts.declare(server)
            web.send(source, HostPath(str(tmp_path / "sent")))
            web.push(repository.path, commit, HostPath(str(into.path)))
        assert (tmp_path / "sent" / "file").read_text() == "x"

    @pytest.mark.needs_namespaces
    def test_a_full_disk_is_said_to_be(self, web: Machine, tmp_path: Path) -> None:
        """By everything that writes there; what was there before stays."""
        source = tmp_path / "source"
        source.mkdir()
        (source / "big").write_bytes(b"x" * (3 << 20))
        repository = Repository(tmp_path / "a.git")
        commit = CommitSha.parse(repository.commit({"file": os.urandom(3 << 20)}))
        with small_disk(tmp_path / "disk") as disk:
            (disk / "file").write_text("before")
            into = Repository(disk / "b.git")
            with pytest.raises(CommandFailed, match="no space"):
                web.send(source, HostPath(str(disk / "sent")))
            with pytest.raises(CommandFailed, match="no space"):
                web.write(HostPath(str(disk / "file")), Secret.of("x" * (3 << 20)))
            with pytest.raises(CommandFailed, match="no space"):
                web.push(repository.path, commit, HostPath(str(into.path)))
            assert (disk / "file").read_text() == "before"


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Give a file system of 2 MB."""
    folder.mkdir()
    options = ("-t", "tmpfs", "-o", "size=2m", "tmpfs")
    subprocess.run(["mount", *options, str(folder)], check=True, timeout=10)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, timeout=10)


# ── Aliases ───────────────────────────────────────────────────────────────────────────────────


class TestAliases:
    def test_an_alias_is_what_the_operators_configuration_says(
        self, hosts: Hosts, server: Sshd
    ) -> None:
        """Address, user, port and key, and nothing else of it: no stored key is needed."""
        hosts.operator_path.write_text(stanza("prod-1", server) + "    RemoteCommand false\n")
        web = hosts.declare_alias(server, "prod-1")
        assert web.run(shell("echo ok")).stdout == "ok\n"
        assert "key" not in files_in(hosts.folder)

    def test_its_key_is_pinned_by_us_alone(self, hosts: Hosts, server: Sshd) -> None:
        """Whatever the operator's files say of it."""
        lax = "    StrictHostKeyChecking no\n    UserKnownHostsFile /dev/null\n"
        hosts.operator_path.write_text(stanza("prod-1", server) + lax)
        hosts.declare_alias(server, "prod-1")
        with Sshd() as other:
            web = hosts.change("web", host_keys=(other.host_key,))
            with pytest.raises(HostKeyMismatch):
                web.run(TRUE)

    def test_an_alias_that_is_not_there_is_said_to_be(self, hosts: Hosts, server: Sshd) -> None:
        """Of itself ssh would speak of a host name that can't be resolved."""
        web = hosts.declare_alias(server, "prod-2")
        with pytest.raises(TargetUnreachable, match="has no alias prod-2"):
            web.run(TRUE)

    def test_a_configuration_that_can_t_be_read_is_said_to_be(
        self, hosts: Hosts, server: Sshd
    ) -> None:
        """With the line."""
        hosts.operator_path.write_text("Host prod-1\n    Nonsense yes\n")
        web = hosts.declare_alias(server, "prod-1")
        with pytest.raises(PreconditionFailed, match="SSH configuration can't be read"):
            web.run(TRUE)

    def test_a_change_of_it_is_seen_at_the_next_connection(
        self, hosts: Hosts, server: Sshd
    ) -> None:
        """No restart is needed."""
        web = hosts.declare_alias(server, "prod-1")
        with pytest.raises(TargetUnreachable):
            web.run(TRUE)
        hosts.operator_path.write_text(stanza("prod-1", server))
        assert web.run(TRUE).ok


class TestHops:
    @pytest.fixture
    def hop(self, hosts: Hosts, server: Sshd) -> Iterator[Sshd]:
        """A host on the way to the server, known to the operator."""
        with Sshd() as sshd:
            known = f"    UserKnownHostsFile {sshd.known_hosts_path}\n"
            hosts.operator_path.write_text(
                stanza("jump", sshd) + known + stanza("prod-1", server) + "    ProxyJump jump\n"
            )
            yield sshd

    def test_a_hop_is_taken(self, hosts: Hosts, server: Sshd, hop: Sshd, tmp_path: Path) -> None:
        """With its own key and address, by everything that goes to the host."""
        web = hosts.declare_alias(server, "prod-1")
        source = tmp_path / "source"
        source.mkdir()
        assert web.run(TRUE).ok
        web.send(source, HostPath(str(tmp_path / "sent")))
        assert hop.handshakes() == 1

    def test_a_proxy_command_is_used(self, hosts: Hosts, server: Sshd, hop: Sshd) -> None:
        """As it stands, tokens and quotes and all; no other way would lead there."""
        way = f"Command ssh -F '{hosts.operator_path}' -W 127.0.0.1:%p jump"
        jump, _, target = hosts.operator_path.read_text().partition("Host prod-1")
        target = target.replace("127.0.0.1", "prod.invalid").replace("Jump jump", way)
        hosts.operator_path.write_text(f"{jump}Host prod-1{target}")
        web = hosts.declare_alias(server, "prod-1")
        assert web.run(TRUE).ok
        assert web.run(TRUE).ok
        assert hop.handshakes() == 1

    def test_the_keys_behind_a_hop_are_shown(self, hosts: Hosts, server: Sshd, hop: Sshd) -> None:
        """A scan from here would not reach it."""
        host = Host(WEB, CREATED_AT, alias="prod-1")
        offered = hosts.machines.offered_keys(host)
        assert [offer.key for offer in offered] == [server.host_key]

    def test_a_hop_that_is_not_known_is_refused(
        self, hosts: Hosts, server: Sshd, hop: Sshd
    ) -> None:
        """Even where the host behind it would show the right key."""
        hop.change_host_key()
        web = hosts.declare_alias(server, "prod-1")
        with pytest.raises(HostKeyMismatch, match="a hop on the way to it is not known"):
            web.run(TRUE)

    def test_several_hops_are_taken_in_order(self, hosts: Hosts, server: Sshd, hop: Sshd) -> None:
        """The first and the second are one here, under two names."""
        text = hosts.operator_path.read_text()
        again = stanza("jump-2", hop) + f"    UserKnownHostsFile {hop.known_hosts_path}\n"
        hosts.operator_path.write_text(again + text.replace("Jump jump", "Jump jump,jump-2"))
        assert hosts.declare_alias(server, "prod-1").run(TRUE).ok
        assert hop.handshakes() == 2

    def test_a_hop_that_is_away_is_named(self, hosts: Hosts, server: Sshd, hop: Sshd) -> None:
        """Not just 'connection closed'."""
        hop.child.end()
        web = hosts.declare_alias(server, "prod-1")
        with pytest.raises(TargetUnreachable, match=f"port {hop.port}: Connection refused"):
            web.run(TRUE)


def stanza(alias: str, server: Sshd) -> str:
    """Return what an operator writes into an SSH configuration."""
    return (
        f"Host {alias}\n    HostName 127.0.0.1\n    Port {server.port}\n    User {server.user}\n"
        f"    IdentityFile {server.key_path}\n    IdentitiesOnly yes\n"
    )
