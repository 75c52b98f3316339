"""Nothing is done on a host before a person said that it is the right one."""

import os
import shlex
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.parts.daemon import PROGRAM, Daemon, Said
from tests.parts.sshd import Sshd
from tests.parts.waiting import eventually

pytestmark = [pytest.mark.needs_sshd]


@pytest.fixture(scope="module")
def plain_daemon() -> Iterator[Daemon]:
    """A daemon that deploys nothing here, so that it needs no engine."""
    with Daemon() as running:
        yield running


def ok(said: Said) -> Said:
    assert said.status == 0, said.err
    return said


def host_options(sshd: Sshd) -> list[str]:
    given = f"--address 127.0.0.1 --port {sshd.port} --user {sshd.user}"
    return [*shlex.split(given), "--key-file", str(sshd.key_path)]


def on_a_terminal(daemon: Daemon, answer: str, *words: str) -> tuple[int, str]:
    """Run a command whose standard input is a terminal where somebody answers."""
    ours, theirs = os.openpty()
    os.write(ours, answer.encode() + b"\n")
    environment = {**daemon.environment, "RECONCILER_CONFIG": str(daemon.folder / "config.toml")}
    done = subprocess.run(
        [PROGRAM, *words],
        stdin=theirs,
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )
    os.close(theirs)
    os.close(ours)
    return done.returncode, done.stdout + done.stderr


def test_a_host_is_declared_confirmed_and_watched(plain_daemon: Daemon, sshd: Sshd) -> None:
    """Off a terminal it stays unconfirmed, and says what helps; confirmed, it is checked."""
    cli = plain_daemon.cli
    added = ok(cli("host", "add", "web1", *host_options(sshd)))
    assert "reconciler host trust web1" in added.err
    assert "PRIVATE" not in added.out + added.err
    assert "unconfirmed" in ok(cli("host", "list")).out
    ok(cli("project", "add", "api", "--kind", "unit", "--url", "https://git.example.test/a.git"))
    ok(cli("target", "add", "api", "web1", "--binary", "api"))
    assert "reconciler host trust" in ok(cli("why", "api")).out
    checked = cli("host", "check", "web1")
    assert (checked.status, "reconciler host trust" in checked.out) == (69, True)

    trusted = ok(cli("host", "trust", "web1", "--yes"))
    offered = plain_daemon.get("hosts/web1/offered-keys")["items"][0]["fingerprint"]
    assert (offered in trusted.out, offered in trusted.err) == (True, True)
    told = ok(cli("host", "check", "web1"))
    assert f"user there  {sshd.user}" in told.out
    status = ok(cli("status"))
    assert "web1" in status.out
    # What systemd says here depends on the machine: it is asked, and nothing should run.
    (now,) = ok(cli("status", "api", "--json")).json["items"]
    assert (now["host"], now["deployment"], now["differs"]) == ("web1", None, None)
    assert "web1" in ok(cli("status", "api")).out
    assert cli("host", "remove", "web1", "--yes").status == 1
    ok(cli("target", "remove", "api", "web1", "--yes"))
    ok(cli("host", "remove", "web1", "--yes"))
    ok(cli("project", "remove", "api", "--yes"))
    log = plain_daemon.log
    assert "is known by" in log
    assert "PRIVATE KEY" not in log


@pytest.mark.slow
def test_a_person_answers_on_a_terminal(plain_daemon: Daemon, sshd: Sshd) -> None:
    """No is no: the host is there, and unconfirmed."""
    cli = plain_daemon.cli
    words = ("host", "add", "asked", *host_options(sshd))
    status, said = on_a_terminal(plain_daemon, "n", *words)
    assert (status, "Is SHA256:" in said) == (1, True)
    assert not ok(cli("host", "show", "asked", "--json")).json["confirmed"]
    status, said = on_a_terminal(plain_daemon, "y", "host", "trust", "asked")
    assert status == 0, said
    assert ok(cli("host", "show", "asked", "--json")).json["confirmed"]


def test_a_changed_key_blocks_until_its_fingerprint_is_named(plain_daemon: Daemon) -> None:
    """`--yes` does not mend it; both fingerprints are told, and why tells of it."""
    cli = plain_daemon.cli
    with Sshd() as sshd:
        ok(cli("host", "add", "moved", *host_options(sshd), "--yes"))
        ok(cli("project", "add", "on-it", "--kind", "unit", "--url", "https://git.example.test/a"))
        ok(cli("target", "add", "on-it", "moved", "--binary", "a"))
        first = ok(cli("host", "show", "moved", "--json")).json["host_keys"][0]
        sshd.change_host_key()
        ok(cli("host", "key", "moved", "--file", str(sshd.key_path)))
        second = plain_daemon.get("hosts/moved/offered-keys")["items"][0]["fingerprint"]
        checked = cli("host", "check", "moved")
        assert checked.status == 69
        assert first in checked.out
        assert f"reconciler host trust moved --fingerprint {second}" in checked.out
        assert "host-key-changed" in plain_daemon.why("on-it")["reasons"][0]["code"]
        refused = cli("host", "trust", "moved", "--yes")
        assert refused.status == 77
        assert first in refused.err
        assert f"reconciler host trust moved --fingerprint {second}" in refused.err
        wrong = cli("host", "trust", "moved", "--fingerprint", first)
        assert (wrong.status, second in wrong.err) == (1, True)
        taken = ok(cli("host", "trust", "moved", "--fingerprint", second))
        assert taken.out == f"moved was known by {first}, and is known by {second} now\n"
        ok(cli("host", "check", "moved"))


@pytest.mark.slow
def test_a_host_that_hangs_delays_no_other(plain_daemon: Daemon) -> None:
    """Each is checked on its own: the one that answers is known while the other hangs."""
    cli = plain_daemon.cli
    with Sshd() as silent, Sshd() as well:
        for name, sshd in (("silent", silent), ("well", well)):
            ok(cli("host", "add", name, *host_options(sshd), "--yes"))
        silent.child.send_signal(signal.SIGSTOP)
        plain_daemon.restart()

        def answers() -> bool:
            return plain_daemon.get("hosts/well")["health"]["reachable"] is True

        eventually(answers, within=8, what="the host that answers was checked")
        assert plain_daemon.get("hosts/silent")["health"]["reachable"] is None
        assert plain_daemon.probe("healthz")[0] == 200
        silent.child.send_signal(signal.SIGCONT)
