"""The command line against the real daemon: all that a person does, and how each thing ends."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from tests.parts.daemon import PROGRAM, Daemon, Said
from tests.parts.shop import Shop
from tests.parts.waiting import eventually


@pytest.fixture(scope="module")
def plain_daemon() -> Iterator[Daemon]:
    """A daemon that deploys nothing here, so that it needs no engine."""
    with Daemon() as running:
        yield running


def ok(said: Said) -> Said:
    """Return ``said``, which ended well."""
    assert said.status == 0, said.err
    return said


def remotely(daemon: Daemon, token: str, *arguments: str) -> Said:
    """Run a command as from another machine: by URL and token."""
    done = subprocess.run(
        [PROGRAM, "--url", daemon.url, *arguments],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "RECONCILER_TOKEN": token},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def test_a_project_from_beginning_to_end(plain_daemon: Daemon) -> None:
    """Declared, changed, looked at, switched and removed, with nothing but commands."""
    cli = plain_daemon.cli
    ok(cli("project", "add", "tour", "--repo", "tour"))
    assert cli("project", "add", "tour", "--repo", "tour").status == 1
    ok(cli("project", "set", "tour", "--expose-service", "web", "--expose-port", "8080"))
    ok(cli("project", "enable", "tour"))
    shown = ok(cli("project", "show", "tour", "--json")).json
    assert (shown["expose_service"], shown["expose_port"]) == ("web", 8080)
    assert shown["auto_deploy"] is True
    assert "web:8080" in ok(cli("project", "show", "tour")).out
    ok(cli("project", "look", "tour"))
    assert ok(cli("why", "tour")).out.startswith(ok(cli("why", "tour", "--json")).json["verdict"])
    assert "tour" in ok(cli("status")).out
    for command in (
        "project images tour",
        "project triggers tour",
        "deployments tour",
        "repo list",
    ):
        assert "items" in ok(cli(*command.split(), "--json")).json
        ok(cli(*command.split()))
    ok(cli("project", "set", "tour", "--clear", "expose-port"))
    assert ok(cli("project", "show", "tour", "--json")).json["expose_port"] is None
    assert cli("repo", "remove", "tour", "--yes").status == 1
    ok(cli("project", "remove", "tour", "--yes"))
    ok(cli("repo", "remove", "tour", "--yes"))
    assert cli("project", "show", "tour").status == 66


def test_secrets_go_in_and_never_come_out(plain_daemon: Daemon, tmp_path: Path) -> None:
    """A value comes from a pipe or a file; what is listed is a fingerprint."""
    cli = plain_daemon.cli
    ok(cli("project", "add", "vault", "--url", "https://git.example.test/v.git"))
    file = tmp_path / "token"
    file.write_text("hunter2-from-a-file\n")
    said = [
        cli("secret", "set", "vault", "variable:A", stdin="hunter2-from-a-pipe\n"),
        cli("secret", "set", "vault", "git-token", "--user", "me", "--file", str(file)),
        cli("secret", "list", "vault"),
        cli("secret", "list", "vault", "--json"),
        cli("project", "show", "vault", "--json"),
    ]
    for one in said:
        assert "hunter2" not in ok(one).out + one.err
    assert "https://git.example.test" in said[2].out
    changed = ok(cli("project", "set", "vault", "--url", "https://other.example.test/v.git"))
    assert "git.example.test" in changed.err
    assert "git-token" not in cli("secret", "list", "vault").out
    ok(cli("secret", "remove", "vault", "variable:A", "--yes"))
    assert "hunter2" not in plain_daemon.log
    ok(cli("project", "remove", "vault", "--yes"))


def test_settings_and_the_master_switch(plain_daemon: Daemon) -> None:
    """They change live, with a reason, and refuse what is below their minimum."""
    cli = plain_daemon.cli
    key = "auto_deploy_poll_interval_seconds"
    assert ok(cli("settings", key, "30", "--reason", "release", "--json")).json["value"] == 30
    low = cli("settings", key, "3")
    assert (low.status, low.err.count("\n")) == (65, 1)
    assert "minimum of 10" in low.err
    ok(cli("switch", "off", "--reason", "moving house"))
    assert "moving house" in ok(cli("status")).out
    ok(cli("switch", "on"))
    assert cli("settings", "nonsense", "1").status == 65


@pytest.mark.slow
def test_another_machine_needs_a_token(plain_daemon: Daemon) -> None:
    """Over TCP a token decides what may be done, and its absence says what to do."""
    ok(remotely(plain_daemon, plain_daemon.admin_token, "status"))
    made = ok(plain_daemon.cli("token", "add", "reader", "--scope", "read")).out.strip()
    ok(remotely(plain_daemon, made, "project", "list"))
    for token in ("", "wrong", made):
        said = remotely(plain_daemon, token, "switch", "off")
        assert said.status == 77, said.err
        assert said.err.startswith("error: ")
    ok(plain_daemon.cli("token", "remove", "reader", "--yes"))
    assert remotely(plain_daemon, made, "status").status == 77


@pytest.mark.parametrize(
    ("command", "status"),
    [
        pytest.param("project add Bad_Name --repo x", 65, id="name"),
        pytest.param("project add a --url file:///etc/passwd", 65, id="url"),
        pytest.param("project add a --repo a --compose-path ../x.yaml", 65, id="path"),
        pytest.param("project add t --kind tunnel --auto-deploy", 1, id="nothing-to-deploy"),
        pytest.param("deploy nobody --wait", 66, id="project"),
        pytest.param("logs 999999", 66, id="deployment"),
        pytest.param("deployments --status nonsense", 65, id="status"),
    ],
)
def test_refused_input(plain_daemon: Daemon, command: str, status: int) -> None:
    """What can't be accepted ends with one line that says why."""
    said = plain_daemon.cli(*command.split())
    assert said.status == status, said.err
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1


def test_second_daemon_and_broken_database() -> None:
    """A daemon that can't start says why, in one line, with a status for service managers."""
    with Daemon() as daemon:
        file = str(daemon.folder / "config.toml")
        second = daemon.cli("serve", "--config", file)
        assert second.status == 1
        assert second.err.splitlines()[-1].startswith("error: ")
        daemon.stop()
        (daemon.data / "state.db").write_bytes(b"this is no database" * 100)
        broken = daemon.cli("serve", "--config", file)
        assert broken.status == 75
        assert "restore" in broken.err.splitlines()[-1]
        assert "Traceback" not in second.err + broken.err


def test_backup_and_restore() -> None:
    """A copy made while it runs brings everything back; the replaced database is kept."""
    with Daemon() as daemon:
        ok(daemon.cli("project", "add", "kept", "--url", "https://git.example.test/k.git"))
        copy = daemon.folder / "copy.db"
        ok(daemon.cli("backup", str(copy)))
        ok(daemon.cli("project", "remove", "kept", "--yes"))
        assert daemon.cli("restore", str(copy), "--yes").status == 1  # it runs
        daemon.stop()
        assert daemon.cli("restore", str(copy)).status == 2  # nobody to ask
        assert "is now" in ok(daemon.cli("restore", str(copy), "--yes")).err
        daemon.start()
        assert "kept" in ok(daemon.cli("project", "list")).out


def test_start_on_a_terminal_says_where_and_what_next() -> None:
    """A person reads where it listens and what to do; a log gets none of it."""
    with Daemon() as daemon:
        assert "In another terminal" not in daemon.log
        daemon.stop()
        ours, theirs = os.openpty()
        with subprocess.Popen(
            [PROGRAM, "serve", "--config", daemon.folder / "config.toml"],
            stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL,
            env={**daemon.environment, "TERM": "dumb"},
        ) as child:  # fmt: skip
            os.close(theirs)
            os.set_blocking(ours, False)
            seen: list[bytes] = []

            def greeted() -> bool:
                with suppress(BlockingIOError):
                    seen.append(os.read(ours, 65536))
                return b"Ctrl-C ends it" in b"".join(seen)

            try:
                eventually(greeted, within=30)
            finally:
                child.terminate()
        os.close(ours)
        text = b"".join(seen).decode()
        for part in (daemon.url, str(daemon.socket), "reconciler status", "reconciler project add"):
            assert part in text
        assert child.returncode == 0


@pytest.mark.needs_docker
@pytest.mark.needs_registry
@pytest.mark.needs_git
def test_deploy_waits_for_the_end_and_says_how_it_was(shop: Shop) -> None:
    """0 deployed, 10 refused, 11 or 12 when it did not come up; the log is followed meanwhile."""
    cli = shop.daemon.cli
    shop.deploy_first()
    refused = cli("deploy", shop.name, "--wait")
    assert refused.status == 10, refused.err
    again = ok(cli("deploy", shop.name, "--force", "--wait", "--reason", "a person insists"))
    assert any(line.startswith("apply ") for line in again.out.splitlines())
    number = cli("deployments", shop.name, "--json").json["items"][0]["id"]
    assert again.out.splitlines()[-1].startswith(f"deployed: deployment {number} of {shop.name}")
    assert ok(cli("logs", shop.name, "-f")).out.splitlines()[-1] == again.out.splitlines()[-1]
    assert cli("deploy", shop.name, "--force", "--wait", "--timeout", "1").status in {0, 15}


def test_people_come_and_go(plain_daemon: Daemon) -> None:
    """Added with a password from a pipe, which nothing shows; the last admin stays."""
    cli, password = plain_daemon.cli, "ten green bottles"
    said = cli("person", "add", "ada", "--role", "admin", stdin=f"{password}\n")
    assert "added ada (admin)" in ok(said).out
    short = cli("person", "add", "eve", stdin="short\n")
    assert (short.status, short.err.count("\n")) == (65, 1)
    assert "password: must have 12 characters" in short.err
    last = cli("person", "block", "ada")
    assert last.status == 1
    assert "make somebody else an admin first" in last.err
    assert cli("set-up-token").status == 1, "there is an admin"
    listed = ok(cli("person", "list"))
    assert "ada" in listed.out
    answer = httpx2.post(
        f"{plain_daemon.url}/api/v1/sign-in",
        json={"name": "ada", "password": password},
        trust_env=False,
    )
    assert answer.status_code == 204
    assert "ada" in ok(cli("person", "sessions")).out
    assert "signed ada out (1 session)" in ok(cli("person", "sign-out", "ada")).out
    assert password not in plain_daemon.log
