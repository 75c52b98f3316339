"""Both strategies of units on a real host: systemd and sshd in a container, over real ssh."""

import itertools
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.domain.errors import (
    CommandFailed,
    HandedOver,
    Interrupted,
    NameTaken,
    PreconditionFailed,
    RolloutError,
    TargetUnreachable,
    WorkTreeDirty,
)
from reconciler.domain.host import LOCAL, HostName, HostPath
from reconciler.domain.references import RepositoryPath
from reconciler.domain.target import TargetStrategy
from reconciler.domain.verification import RunState, Verdict
from reconciler.strategies.units import Myself
from tests.parts.hosts import Hosts
from tests.parts.systemd_host import SystemdHost
from tests.parts.unit_rig import UnitRig, app, declare, open_unit_rig, release_of
from tests.parts.waiting import eventually

pytestmark = [pytest.mark.needs_systemd, pytest.mark.needs_sshd, pytest.mark.needs_git]

#: Counts in its home how often it ran, which on a host outlives the build.
BUILD = "#!/bin/sh\necho built >>$HOME/builds\necho building $VARIABLE\ncp source.sh app\n"
#: Waits in the middle until somebody lets it go on.
PATIENT = f"{BUILD}echo waiting\nwhile [ ! -e go ]; do sleep 0.1; done\necho done\n"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def hosts(systemd_host: SystemdHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    with Hosts(tmp_path_factory.mktemp("hosts")) as made:
        declare(made, systemd_host)
        yield made


@pytest.fixture
def rig(systemd_host: SystemdHost, hosts: Hosts, tmp_path: Path) -> Iterator[UnitRig]:
    """A project that is built here; its first commit is there."""
    with open_unit_rig(systemd_host, hosts, tmp_path, f"here{next(_numbers)}") as made:
        made.commit({"build.sh": BUILD, "source.sh": app("one")})
        yield made


@pytest.fixture
def remote(systemd_host: SystemdHost, hosts: Hosts, tmp_path: Path) -> Iterator[UnitRig]:
    """A project that is built on the host; its first commit is there."""
    name, strategy = f"there{next(_numbers)}", TargetStrategy.SYSTEMD_REMOTE
    with open_unit_rig(systemd_host, hosts, tmp_path, name, strategy=strategy) as made:
        made.commit({"build.sh": BUILD, "source.sh": app("one")})
        yield made


# ── What runs ─────────────────────────────────────────────────────────────────────────────────


def test_e1_the_first_deployment_builds_here_and_runs_there(rig: UnitRig) -> None:
    """E1: built from exactly the commit, sent, made executable, started, and seen to run."""
    prepared = rig.deploy()
    release = release_of(prepared)
    assert rig.judged(prepared).verdict is Verdict.GOOD
    assert rig.sample().digests == {release.digest}
    assert release.name == f"{rig.repository.tip()[:12]}-{release.digest.short}"
    assert rig.current() == release.name
    assert "version one" in rig.host.journal(rig.target.unit)
    report = rig.strategy.report(rig.target)
    assert (report.state, report.release) == ("active (running)", release.name)
    age = datetime.now(UTC) - datetime.fromisoformat(report.since)
    assert abs(age) < timedelta(minutes=1)
    assert report.commit == prepared.revision.commit
    assert rig.host.unit(rig.target.unit)["UnitFileState"] == "enabled"
    assert rig.host.run("systemd-analyze", "verify", rig.target.unit) == ""


def test_e1_the_next_one_switches_and_the_one_before_stays_to_go_back_to(rig: UnitRig) -> None:
    """E1: the link is switched and the unit restarted; going back needs no source and no build."""
    rig.variables = {"VARIABLE": "first"}
    first = rig.deploy()
    before = rig.main_process()
    rig.commit({"source.sh": app("two")})
    rig.variables = {"VARIABLE": "second"}
    second = rig.deploy()
    assert rig.judged(second).verdict is Verdict.GOOD
    assert rig.main_process() != before
    rig.log.clear()
    work = rig.work()
    rig.repository.path.rename(rig.repository.path.with_name("gone.git"))
    rig.strategy.apply(work, first)
    assert rig.judged(first).verdict is Verdict.GOOD
    assert rig.current() == release_of(first).name
    said = rig.host.journal(rig.target.unit)
    assert said.count("version one, variable first") == 2
    assert said.count("version two, variable second") == 1
    assert not [line for line in rig.log if "build" in line]


def test_what_is_applied_again_is_not_restarted(rig: UnitRig) -> None:
    prepared = rig.deploy()
    before = rig.main_process()
    rig.strategy.apply(rig.work(new=False), prepared)
    assert rig.main_process() == before
    assert rig.log[-1].endswith("it runs already")


def test_another_environment_of_the_same_release_is_a_restart(rig: UnitRig) -> None:
    rig.variables = {"VARIABLE": "old"}
    first = rig.deploy()
    rig.variables = {"VARIABLE": "new"}
    second = rig.deploy()
    assert release_of(first) == release_of(second)
    assert f"{release_of(first)} is on vps already" in rig.log
    eventually(lambda: "variable new" in rig.host.journal(rig.target.unit))


def test_a_build_that_differs_is_another_release_of_the_same_commit(rig: UnitRig) -> None:
    """A rebuild never overwrites what an older deployment goes back to."""
    rig.commit({"build.sh": 'cp source.sh app; echo "# $VARIABLE" >>app'})
    rig.change(environment={"VARIABLE": "a"})
    first = rig.deploy()
    rig.change(environment={"VARIABLE": "b"})
    second = rig.deploy()
    assert first.revision == second.revision
    assert release_of(first).name != release_of(second).name
    rig.go_back(first)
    assert rig.judged(first).verdict is Verdict.GOOD


def test_more_files_go_along_and_name_the_release_too(rig: UnitRig) -> None:
    rig.change(files=(RepositoryPath("static"), RepositoryPath("etc/app.conf")))
    files = {"static/a/page": "hello", "etc/app.conf": "x=1", "left/out": "no"}
    rig.commit(files)
    first = rig.deploy()
    assert rig.host.read(rig.path("current/static/a/page")) == "hello"
    assert rig.host.read(rig.path("current/etc/app.conf")) == "x=1"
    assert "left" not in rig.host.run("ls", rig.path("current"))
    rig.change(files=(RepositoryPath("static"),))
    assert release_of(rig.prepare()).name != release_of(first).name


def test_the_unit_gets_its_variables_whatever_is_in_them(rig: UnitRig) -> None:
    """Nothing that systemd or a shell reads in a value is read; the file is root's alone."""
    value = "a \"b\" 'c' $HOME `id` \\ %n #;\n  second line"
    rig.variables = {"VARIABLE": value}
    rig.change(port=8080, environment={"PLAIN": "p"})
    check = 'test "$PORT$PLAIN" = 8080p || exit 1; printf "%s" "$VARIABLE" >$STATE_DIRECTORY/v'
    rig.commit({"source.sh": f"#!/bin/sh\n{check}\nwhile :; do sleep 0.5; done\n"})
    prepared = rig.deploy()
    assert rig.judged(prepared).verdict is Verdict.GOOD
    assert rig.host.read(f"/var/lib/{rig.project.name}/v") == value
    mode = rig.host.run("stat", "-c", "%a %U", rig.path(f"{prepared.override_file}/environment"))
    assert mode == "600 root"


# ── What must not be taken for success ────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "then",
    [
        pytest.param("while :; do sleep 0.5; done", id="interpreter"),
        pytest.param("cd /; exec sleep 1000", id="left-everything-behind"),
        pytest.param("cd /; while :; do sleep 0.5; done", id="elsewhere", marks=pytest.mark.slow),
        pytest.param("exec sleep 1000", id="became-another-program", marks=pytest.mark.slow),
        pytest.param(
            "while :; do cd $OLDPWD; sleep 0.1; cd ../../current; done",
            id="follows-the-link",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_an_old_process_is_never_taken_for_the_new_release(rig: UnitRig, then: str) -> None:
    """A daemon that died between switch and restart finds the old process under the new link."""
    rig.commit({"source.sh": app("one", then)})
    first = rig.deploy()
    assert rig.judged(first).verdict is Verdict.GOOD
    rig.commit({"source.sh": app("two", then)})
    second = rig.prepare()
    release = release_of(second)
    rig.host.run("ln", "-sfn", f"releases/{release.name}", rig.path("current"))
    rig.host.run("ln", "-sfn", second.override_file, rig.path("deployed"))
    rig.host.run("rm", "-f", rig.path("switched"), rig.path("started"))
    assert rig.sample().state is RunState.RUNNING
    assert release.digest not in rig.sample().digests
    assert rig.judged(second).verdict is Verdict.BAD
    assert "differs" in dict(rig.strategy.report(rig.target).detail)
    rig.strategy.apply(rig.work(new=False), second)
    assert rig.judged(second).verdict is Verdict.GOOD


def test_a_binary_counts_as_what_the_process_really_runs(rig: UnitRig) -> None:
    """The digest is that of the running file, also of one that was replaced or removed since."""
    rig.change(environment={"BASH_ENV": rig.path("current/loop")}, files=(RepositoryPath("loop"),))
    build = "cp /bin/bash app; printf %s one >>app"
    rig.commit({"build.sh": build, "loop": "while :; do sleep 0.5; done\n"})
    first = rig.deploy()
    assert rig.judged(first).verdict is Verdict.GOOD
    rig.commit({"build.sh": build.replace("one", "two")})
    second = rig.prepare()
    name = release_of(second).name
    rig.host.run("ln", "-sfn", f"releases/{name}", rig.path("current"))
    rig.host.run("ln", "-sfn", second.override_file, rig.path("deployed"))
    rig.host.run("rm", "-rf", rig.path(f"releases/{release_of(first).name}"))
    assert rig.sample().digests == {release_of(first).digest}
    (problem,) = rig.judged(second).problems
    assert release_of(first).digest.short in problem


@pytest.mark.slow
def test_a_program_that_keeps_failing_is_found_and_what_it_said_is_shown(rig: UnitRig) -> None:
    rig.commit({"source.sh": app("broken", "sleep 0.2\necho no database >&2\nexit 3")})
    prepared = rig.deploy()
    judgement = rig.judged(prepared)
    assert judgement.verdict is Verdict.BAD
    assert "restarting" in judgement.problems[0] or "exit status 3" in judgement.problems[0]
    lines: list[str] = []
    rig.strategy.diagnose(rig.target, lines.append)
    assert "  no database" in lines


def test_a_program_that_ends_is_no_success(rig: UnitRig) -> None:
    rig.commit({"source.sh": app("short", "exit 0")})
    judgement = rig.judged(rig.deploy())
    assert judgement.verdict is Verdict.BAD
    assert "should keep running" in judgement.problems[0]


def test_a_program_that_can_not_be_run_fails_the_switch(rig: UnitRig) -> None:
    rig.commit({"source.sh": "#!/no/such/interpreter\n"})
    with pytest.raises(CommandFailed, match="can't restart"):
        rig.deploy()


# ── What is refused before anything changes ───────────────────────────────────────────────────


#: What a build does → what is said of it.
BAD_BUILDS = {
    "true": "left no file app",
    "ln -s /bin/sh app": "left no file app",
    "rm -f app; mkdir app": "left no file app",
    "rmdir app; cp source.sh app; exit 7": "exit status 7",
    "cp source.sh app; ln -s /etc more": "more leads out",
    "cp source.sh app; rm -f more; mkdir more; ln -s /etc more/b": "more/b is a link",
}


@pytest.mark.parametrize("strategy", [TargetStrategy.SYSTEMD, TargetStrategy.SYSTEMD_REMOTE])
def test_a_build_that_does_not_deliver_becomes_no_release(
    rig: UnitRig, strategy: TargetStrategy
) -> None:
    rig.change(strategy=strategy)
    for build, problem in BAD_BUILDS.items():
        if "more" in build:
            rig.change(files=(RepositoryPath("more"),))
        rig.commit({"build.sh": build})
        with pytest.raises(CommandFailed, match=problem):
            rig.prepare()
    assert rig.host.run("ls", rig.path("releases")) == ""


@pytest.mark.parametrize("strategy", [TargetStrategy.SYSTEMD, TargetStrategy.SYSTEMD_REMOTE])
def test_a_source_folder_that_the_commit_lacks_is_named(
    rig: UnitRig, strategy: TargetStrategy
) -> None:
    rig.change(strategy=strategy, source_folder=RepositoryPath("apps/web"))
    with pytest.raises(CommandFailed, match="has no folder apps/web"):
        rig.prepare()
    rig.commit({"apps/web/build.sh": BUILD, "apps/web/source.sh": app("below")})
    assert rig.judged(rig.deploy()).verdict is Verdict.GOOD


def test_a_user_that_the_host_lacks_is_named_and_set_up_makes_it(rig: UnitRig) -> None:
    rig.change(user=f"u-{rig.project.name}")
    with pytest.raises(PreconditionFailed, match="there is no user"):
        rig.deploy()
    rig.strategy.set_up(rig.work())
    prepared = rig.deploy()
    assert rig.judged(prepared).verdict is Verdict.GOOD
    assert rig.host.run("stat", "-c", "%U", f"/proc/{rig.main_process()}") == rig.target.user


def test_set_up_can_be_repeated_and_says_what_was_there(rig: UnitRig) -> None:
    """E3: a fresh machine gets folders, user and unit; the second time nothing is left to do."""
    rig.change(user=f"u-{rig.project.name}")
    rig.strategy.set_up(rig.work())
    first, rig.log[:] = list(rig.log), []
    rig.strategy.set_up(rig.work())
    made = [line.removeprefix("vps: ").split()[0] for line in first]
    assert made == ["made", "made", "made", "made", "wrote", rig.target.unit]
    assert all("already" in line or "starts with" in line for line in rig.log), rig.log
    assert rig.host.unit(rig.target.unit)["UnitFileState"] == "enabled"
    assert rig.judged(rig.deploy()).verdict is Verdict.GOOD


def test_a_unit_that_is_not_ours_is_left_alone(rig: UnitRig) -> None:
    text = "[Service]\nExecStart=/bin/sleep 1000\n"
    rig.host.write(f"/etc/systemd/system/{rig.target.unit}", text)
    rig.host.run("systemctl", "daemon-reload")
    work = rig.work()
    for refused in (rig.strategy.set_up, rig.strategy.prepare):
        with pytest.raises(NameTaken, match=rig.target.unit):
            refused(work)
    assert rig.host.read(f"/etc/systemd/system/{rig.target.unit}") == text.strip()
    rig.strategy.set_up(replace(work, may_take_over=True))
    assert "reconciler" in rig.host.read(f"/etc/systemd/system/{rig.target.unit}")


def test_a_unit_of_the_distribution_is_nobodys_to_replace(
    systemd_host: SystemdHost, hosts: Hosts, tmp_path: Path
) -> None:
    """A project that happens to be called like a service of the host is refused."""
    with open_unit_rig(systemd_host, hosts, tmp_path, "dbus") as rig:
        rig.commit({"build.sh": BUILD, "source.sh": app("one")})
        with pytest.raises(NameTaken, match=r"dbus\.service"):
            rig.prepare()
        assert systemd_host.unit("dbus.service")["ActiveState"] == "active"
        rig.change(project="no-such-project")  # so that nothing of dbus is stopped at the end


def test_a_machine_without_systemd_is_refused(rig: UnitRig, tmp_path: Path) -> None:
    if Path("/run/systemd/system").exists():
        pytest.skip("systemd runs this machine")
    rig.change(host=LOCAL, folder=HostPath(str(tmp_path / "apps")))
    with pytest.raises(PreconditionFailed, match="local is not run by systemd"):
        rig.prepare()


def test_a_full_disk_is_explained_and_the_old_version_serves_on(rig: UnitRig) -> None:
    rig.host.run("mkdir", "-p", rig.target.folder)
    rig.host.run("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", rig.target.folder)
    try:
        first = rig.deploy()
        rig.commit({"build.sh": "cp source.sh app; head -c 9000000 /dev/zero >>app"})
        with pytest.raises(PreconditionFailed, match="no space"):
            rig.deploy()
        rig.change(strategy=TargetStrategy.SYSTEMD_REMOTE)
        with pytest.raises(CommandFailed, match="exit status 1"):
            rig.deploy()
        assert f"no space is left on the disk of {rig.target.folder}" in rig.log
        assert rig.sample().digests == {release_of(first).digest}
        rig.host.run("systemctl", "stop", rig.target.unit)
    finally:
        rig.host.run("umount", "--lazy", rig.target.folder)


# ── The build here ────────────────────────────────────────────────────────────────────────────


def test_targets_that_need_the_same_build_share_one(rig: UnitRig, hosts: Hosts) -> None:
    """One build a deployment, however many hosts it goes to, side by side."""
    other = replace(hosts.declared[HostName("vps")], name=HostName("vps2"))
    hosts.keys[HostName("vps2")] = hosts.keys[HostName("vps")]
    hosts.put(other)
    work = rig.work()
    beside = replace(
        rig.target, host=HostName("vps2"), folder=HostPath(f"{rig.target.folder}-beside")
    )
    works = [work, replace(work, target=beside)]
    with ThreadPoolExecutor(2) as threads:
        one, two = threads.map(rig.strategy.prepare, works)
    assert release_of(one) == release_of(two)
    assert rig.log.count("building: sh build.sh") == 1
    assert rig.log.count("it was built already") == 1


def test_a_build_sees_what_is_declared_and_nothing_of_ours(
    rig: UnitRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECONCILER_MASTER_KEY", "ours")
    rig.variables = {"VARIABLE": "secret"}
    rig.change(environment={"DECLARED": "yes"})
    rig.commit({"build.sh": "env | sed 's/=.*//' | sort; cp source.sh app"})
    rig.prepare()
    names = {line for line in rig.log if line.isupper() or line == "_"}
    assert names <= {
        *("DECLARED", "HOME", "LC_ALL", "OLDPWD", "PATH", "PWD", "RECONCILER_LIFE", "TMPDIR", "_")
    }
    assert "DECLARED" in names


def test_a_build_reaches_none_of_our_files(rig: UnitRig, hosts: Hosts, tmp_path: Path) -> None:
    """Keys of hosts, other projects' builds and releases are ours alone."""
    key, built = hosts.folder / "vps" / "key", tmp_path / "builds" / "other" / "1"
    built.mkdir(parents=True)
    (built / "file").touch()
    rig.prepare()
    assert key.exists()
    looks = "".join(f"ls -d {path} || echo none\n" for path in (key, built))
    rig.commit({"build.sh": f"{looks}cp source.sh app"})
    rig.prepare()
    assert rig.log.count("none") == 2


def test_a_build_that_says_too_much_is_cut_short_in_the_log(rig: UnitRig) -> None:
    rig.commit({"build.sh": "yes filler | head -n 2000000\necho the end\nexit 1"})
    with pytest.raises(CommandFailed, match="exit status 1"):
        rig.prepare()
    assert len(rig.log) < 3000
    assert rig.log[-1] == "the end"


def test_a_build_is_stopped_with_the_deployment(rig: UnitRig) -> None:
    rig.commit({"build.sh": "echo waiting\nsleep 1000 &\nwait"})
    work = rig.work()
    with ThreadPoolExecutor(1) as threads:
        preparing = threads.submit(rig.strategy.prepare, work)
        eventually(lambda: "waiting" in rig.log)
        work.cancel.set()
        with pytest.raises(Interrupted):
            preparing.result(timeout=20)


# ── Killed in the middle ──────────────────────────────────────────────────────────────────────


def test_a_deployment_killed_between_its_stages_goes_on_in_the_next_life(rig: UnitRig) -> None:
    """E7: what was built and sent is found again; nothing is built or sent twice."""
    rig.strategy.prepare(rig.work())
    again = rig.reborn().strategy.prepare(rig.work(new=False))
    assert rig.log.count("building: sh build.sh") == 1
    assert f"{release_of(again)} is on vps already" in rig.log
    rig.reborn().strategy.apply(rig.work(new=False), again)
    assert rig.judged(again).verdict is Verdict.GOOD


def test_files_that_were_cut_off_on_their_way_are_sent_again(rig: UnitRig) -> None:
    """A host that was restarted in the middle of a transfer has half a folder, not a release."""
    name = release_of(rig.prepare()).name
    rig.host.run("rm", "-r", rig.path(f"releases/{name}"))
    rig.host.write(rig.path(f"releases/{name}.partial/app"), "half")
    rig.host.write(rig.path(f"releases/{name}.partial/left-over"), "x")
    prepared = rig.strategy.prepare(rig.work(new=False))
    rig.strategy.apply(rig.work(new=False), prepared)
    assert rig.judged(prepared).verdict is Verdict.GOOD
    assert rig.host.run("ls", rig.path("releases")) == name
    assert rig.host.run("ls", rig.path("current")) == "app"


def test_e7_what_an_older_worker_sends_is_refused(rig: UnitRig) -> None:
    """A worker that was stopped for a while, and taken for dead, changes nothing any more."""
    stale = rig.work()
    prepared = rig.strategy.prepare(stale)
    rig.commit({"source.sh": app("two")})
    newer = rig.deploy()
    with pytest.raises(PreconditionFailed, match="is older"):
        rig.strategy.apply(stale, prepared)
    with pytest.raises(PreconditionFailed, match="is older"):
        rig.strategy.prepare(stale)
    assert rig.judged(newer).verdict is Verdict.GOOD


def test_a_daemon_that_starts_anew_is_let_in_after_a_set_up(rig: UnitRig) -> None:
    """Records that were restored from a backup number their deployments from an older one on."""
    rig.deployments = 50
    rig.deploy()
    rig.deployments = 9
    with pytest.raises(PreconditionFailed, match="set the target up again"):
        rig.deploy()
    rig.strategy.set_up(rig.work())
    assert rig.judged(rig.deploy()).verdict is Verdict.GOOD


def test_a_switch_waits_for_the_one_that_holds_the_lock(rig: UnitRig) -> None:
    prepared = rig.prepare()
    held = rig.path("held")
    hold = (
        f"flock {rig.path('.lock')} sh -c 'touch {held}; while [ -e {held} ]; do sleep 0.05; done'"
    )
    with ThreadPoolExecutor(2) as threads:
        holding = threads.submit(rig.host.run, "sh", "-c", hold)
        eventually(lambda: rig.host.run("ls", rig.target.folder).count("held"))
        applying = threads.submit(rig.strategy.apply, rig.work(new=False), prepared)
        assert not threading.Event().wait(0.5)
        assert not applying.done()
        rig.host.run("rm", held)
        holding.result(timeout=10)
        applying.result(timeout=20)
    assert rig.judged(prepared).verdict is Verdict.GOOD


def test_a_switch_goes_on_when_the_connection_is_lost(rig: UnitRig) -> None:
    """The host does not stop half-way; applied again, there is nothing left to do."""
    leave = rig.path("leave")
    stay = f"while [ ! -e {leave} ]; do sleep 0.1; done"
    slow = f"trap '{stay}; exit 0' TERM\nwhile :; do sleep 0.1; done"
    rig.commit({"source.sh": app("one", slow)})
    first = rig.deploy()
    rig.commit({"source.sh": app("two")})
    second = rig.prepare()
    with ThreadPoolExecutor(1) as threads:
        applying = threads.submit(rig.strategy.apply, rig.work(new=False), second)
        eventually(lambda: rig.current() != release_of(first).name)
        rig.hosts.machines.forget(rig.target.host)
        with pytest.raises(TargetUnreachable):
            applying.result(timeout=20)
    rig.host.run("touch", leave)
    rig.strategy.apply(rig.work(new=False), second)
    assert rig.log[-1].endswith("it runs already")
    assert rig.judged(second).verdict is Verdict.GOOD


@pytest.mark.slow
def test_after_a_power_cut_the_release_runs_again_and_is_known(rig: UnitRig) -> None:
    prepared = rig.deploy()
    rig.host.kill_power()
    rig.hosts.machines.forget(rig.target.host)
    assert rig.judged(prepared).verdict is Verdict.GOOD
    assert rig.sample().digests == {release_of(prepared).digest}


# ── Where the unit is the daemon ─────────────────────────────────────────────────────────────────


def be(rig: UnitRig, deployment: int | str) -> None:
    """Be the daemon that the unit started for ``deployment``."""
    invocation = rig.host.unit(rig.target.unit)["InvocationID"]
    rig.reborn(Myself(invocation, str(deployment)))


def test_c6_something_that_outlives_the_daemon_replaces_it(rig: UnitRig) -> None:
    """C6: the next process finds that it runs already, and only its word makes that permanent."""
    rig.deploy()
    be(rig, 1)
    rig.commit({"source.sh": app("two")})
    second = rig.prepare()
    with pytest.raises(HandedOver, match=f"reconciler-self-update-{rig.project.name}-2"):
        rig.strategy.apply(rig.work(new=False), second)
    eventually(lambda: rig.judged(second).verdict is Verdict.GOOD)
    be(rig, 2)
    rig.strategy.apply(rig.work(new=False), second)
    assert rig.log[-1].endswith("it runs already")
    timer = f"reconciler-revert-{rig.project.name}.timer"
    assert rig.host.unit(timer)["ActiveState"] == "active"
    rig.strategy.confirm(rig.work(new=False), second)
    assert rig.host.unit(timer)["ActiveState"] == "inactive"
    helper = f"reconciler-self-update-{rig.project.name}-2.service"
    eventually(lambda: rig.host.unit(helper)["LoadState"] == "not-found")
    process = rig.main_process()
    rig.strategy.apply(rig.work(new=False), second)
    assert rig.main_process() == process


@pytest.mark.slow
@pytest.mark.parametrize("then", ["exit 3", "exit 0"])
def test_c6_a_new_daemon_that_ends_is_taken_back_at_once(rig: UnitRig, then: str) -> None:
    """C6: and never tried again by itself: the old one is told why."""
    first = rig.deploy()
    be(rig, 1)
    rig.commit({"source.sh": app("two", then)})
    second = rig.prepare()
    with pytest.raises(HandedOver):
        rig.strategy.apply(rig.work(new=False), second)
    went_back = rig.path("went_back")
    eventually(lambda: rig.host.run("sh", "-c", f"cat {went_back} || true") == "2 2")
    eventually(lambda: rig.judged(first).verdict is Verdict.GOOD)
    be(rig, 1)
    with pytest.raises(RolloutError, match=r"did not hold, .* went back: it ended"):
        rig.strategy.apply(rig.work(new=False), second)
    process = rig.main_process()
    rig.strategy.apply(rig.work(new=False), first)
    assert rig.log[-1].endswith("it runs already")
    assert rig.main_process() == process


@pytest.mark.slow
def test_c6_a_new_daemon_that_finds_itself_unwell_goes_back(rig: UnitRig) -> None:
    """C6: by the same way, and the old one closes the record."""
    first = rig.deploy()
    be(rig, 1)
    rig.commit({"source.sh": app("two")})
    second = rig.prepare()
    with pytest.raises(HandedOver):
        rig.strategy.apply(rig.work(new=False), second)
    eventually(lambda: rig.judged(second).verdict is Verdict.GOOD)
    be(rig, 2)
    with pytest.raises(HandedOver, match="reconciler-revert"):
        rig.strategy.apply(rig.work(new=False), first)
    eventually(lambda: rig.judged(first).verdict is Verdict.GOOD)
    be(rig, 1)
    rig.strategy.apply(rig.work(new=False), first)
    assert rig.log[-1].endswith("it runs already")


@pytest.mark.slow
def test_c6_the_first_release_of_a_daemon_goes_back_to_the_unit_that_was_there(
    rig: UnitRig,
) -> None:
    """C6: nobody has a release of the daemon that was installed by hand."""
    unit = "[Service]\nExecStart=/bin/sleep 1234\n"
    rig.host.write(f"/etc/systemd/system/{rig.target.unit}", unit)
    rig.host.run("systemctl", "daemon-reload")
    rig.host.run("systemctl", "start", rig.target.unit)
    be(rig, "")
    rig.commit({"source.sh": app("two", "exit 3")})
    work = replace(rig.work(), may_take_over=True)
    prepared = rig.strategy.prepare(work)
    with pytest.raises(HandedOver):
        rig.strategy.apply(work, prepared)
    eventually(lambda: rig.host.run("cat", f"/etc/systemd/system/{rig.target.unit}") in unit)
    eventually(lambda: rig.host.unit(rig.target.unit)["ActiveState"] == "active")
    be(rig, "")
    with pytest.raises(RolloutError, match="went back"):
        rig.strategy.apply(replace(work, fence=2), prepared)


@pytest.mark.slow
def test_c6_a_new_daemon_that_is_never_ready_is_taken_back(rig: UnitRig) -> None:
    """C6: the host's timer does it, also where whatever replaced the daemon was killed."""
    first = rig.deploy()
    be(rig, 1)
    rig.change(confirm_within=timedelta(seconds=2))
    rig.commit({"source.sh": app("two")})
    second = rig.prepare()
    with pytest.raises(HandedOver):
        rig.strategy.apply(rig.work(new=False), second)
    helper = f"reconciler-self-update-{rig.project.name}-2.service"
    rig.host.run("systemctl", "kill", "--signal=KILL", helper)
    eventually(lambda: rig.current() == release_of(first).name, within=20)
    be(rig, 1)
    with pytest.raises(RolloutError, match="not ready in time"):
        rig.strategy.apply(rig.work(new=False), second)
    assert rig.judged(first).verdict is Verdict.GOOD


# ── Confirm or revert ─────────────────────────────────────────────────────────────────────────


def test_f9_the_host_goes_back_by_itself_unless_somebody_confirms(rig: UnitRig) -> None:
    """F9: link, unit and environment of the release before; and the confirmation comes too late."""
    rig.variables = {"VARIABLE": "first"}
    first = rig.deploy()
    rig.change(confirm_within=timedelta(seconds=1), port=4711)
    rig.variables = {"VARIABLE": "second"}
    rig.commit({"source.sh": app("two")})
    work = rig.work()
    second = rig.strategy.prepare(work)
    rig.strategy.apply(work, second)
    eventually(lambda: rig.current() == release_of(first).name, within=20)
    eventually(lambda: "went back" in dict(rig.strategy.report(rig.target).detail), within=20)
    assert rig.judged(first).verdict is Verdict.GOOD
    said = rig.host.journal(rig.target.unit)
    assert "version two, variable second" in said
    assert said.count("version one, variable first") == 2
    with pytest.raises(RolloutError, match="went back by itself"):
        rig.strategy.confirm(work, second)


@pytest.mark.slow
def test_f9_what_is_confirmed_stays(rig: UnitRig) -> None:
    """F9: confirmed over a new connection, the timer is gone for good; repeating is harmless."""
    rig.change(confirm_within=timedelta(seconds=60))
    first = rig.deploy()
    timer = f"reconciler-revert-{rig.project.name}.timer"
    assert rig.host.unit(timer)["ActiveState"] == "active"
    assert dict(rig.strategy.report(rig.target).detail)["unconfirmed"] == "deployment 1"
    logins = rig.host.journal("ssh.service").count("Accepted publickey")
    rig.strategy.confirm(rig.work(new=False), first)
    assert rig.host.journal("ssh.service").count("Accepted publickey") == logins + 1
    rig.strategy.confirm(rig.work(new=False), first)
    assert rig.host.unit(timer)["ActiveState"] == "inactive"
    assert "unconfirmed" not in dict(rig.strategy.report(rig.target).detail)


def test_f9_a_first_deployment_that_nobody_confirms_is_stopped(rig: UnitRig) -> None:
    """F9: there is nothing to go back to, so nothing runs."""
    rig.change(confirm_within=timedelta(seconds=1))
    rig.deploy()
    eventually(lambda: rig.sample().state is RunState.EXITED, within=20)


def test_f9_going_back_ourselves_stops_the_hosts_timer(rig: UnitRig) -> None:
    """F9: the way back is no change that has to be confirmed, and it is to what was confirmed."""
    first = rig.deploy()
    rig.change(confirm_within=timedelta(seconds=60))
    rig.commit({"source.sh": app("two")})
    rig.deploy()
    rig.commit({"source.sh": app("three")})
    rig.deploy()
    assert rig.host.read(rig.path("pending")) == "3 3 1"
    rig.strategy.apply(rig.work(new=False), first)
    timer = f"reconciler-revert-{rig.project.name}.timer"
    assert rig.host.unit(timer)["ActiveState"] == "inactive"
    assert rig.judged(first).verdict is Verdict.GOOD


# ── What is kept ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_what_nobody_goes_back_to_any_more_is_dropped(rig: UnitRig) -> None:
    """A deployment goes with those before it that failed, and never what runs or is needed."""
    prepared = []
    for version in ("one", "two", "three"):
        rig.commit({"source.sh": app(version)})
        prepared.append(rig.deploy())
    one, two, three = prepared
    rig.go_back(one)
    rig.commit({"source.sh": app("five")})
    five = rig.deploy()
    # The fourth one went back to the first, which is needed for as long as that is.
    for forgotten, left in ((two, "1 3 5"), (three, "1 5"), (five, "5")):
        rig.strategy.forget(rig.target, forgotten, [])
        assert rig.host.run("ls", rig.path("deployments")).split() == left.split()
    assert rig.host.run("ls", rig.path("releases")) == release_of(five).name
    assert rig.judged(five).verdict is Verdict.GOOD
    with pytest.raises(PreconditionFailed, match="not kept"):
        rig.go_back(two)


@pytest.mark.slow
def test_a_user_who_becomes_root_through_sudo_deploys_as_well(
    systemd_host: SystemdHost, tmp_path: Path
) -> None:
    """A login other than root needs sudo, and without it is told so before anything changes."""
    user = systemd_host.deploy_user
    sudoers = "/etc/sudoers.d/zz-deploy"
    with Hosts(tmp_path) as hosts:
        declare(hosts, systemd_host, user=user)
        name = f"sudo{next(_numbers)}"
        with open_unit_rig(systemd_host, hosts, tmp_path, name, user="nobody") as rig:
            rig.commit({"build.sh": BUILD, "source.sh": app("one")})
            for first in (rig.prepare, lambda: rig.strategy.set_up(rig.work())):
                with pytest.raises(PreconditionFailed, match="without a password"):
                    first()
            systemd_host.write(sudoers, f"{user} ALL=(root) NOPASSWD: ALL\n", mode=0o440)
            try:
                rig.change(confirm_within=timedelta(seconds=60))
                prepared = rig.deploy()
                assert rig.judged(prepared).verdict is Verdict.GOOD
                rig.strategy.confirm(rig.work(new=False), prepared)
                rig.change(strategy=TargetStrategy.SYSTEMD_REMOTE)
                rig.commit({"source.sh": app("two")})
                assert rig.judged(rig.deploy()).verdict is Verdict.GOOD
            finally:
                systemd_host.run("rm", sudoers)


# ── Built on the host ─────────────────────────────────────────────────────────────────────────


def builds(rig: UnitRig) -> int:
    """Return how often the build ran on the host."""
    return rig.host.read(rig.path("home/builds")).split().count("built")


def test_e1_a_remote_build_runs_on_the_host_and_going_back_builds_nothing(
    remote: UnitRig,
) -> None:
    """E1: the very commit is checked out there, built there, and switched to as any release."""
    first = remote.deploy()
    assert remote.judged(first).verdict is Verdict.GOOD
    assert remote.host.read(remote.path("source/source.sh")) == app("one").strip()
    remote.commit({"source.sh": app("two")})
    second = remote.deploy()
    assert remote.judged(second).verdict is Verdict.GOOD
    assert "building" in remote.log
    remote.go_back(first)
    assert remote.judged(first).verdict is Verdict.GOOD
    assert builds(remote) == 2
    remote.strategy.forget(remote.target, second, [])
    refs = remote.host.run("ls", remote.path("repository.git/refs/reconciler"))
    assert refs == str(first.revision.commit)


@pytest.mark.slow
def test_changed_files_in_the_work_tree_are_named_and_kept(remote: UnitRig) -> None:
    """Changes by hand are refused with the list; files that git does not know don't count."""
    remote.deploy()
    remote.host.write(remote.path("source/source.sh"), "mine")
    remote.host.write(remote.path("source/notes"), "untracked")
    remote.commit({"build.sh": f"{BUILD}# more\n"})
    with pytest.raises(WorkTreeDirty, match=r"source\.sh") as caught:
        remote.prepare()
    assert caught.value.evidence["files"] == "source.sh"
    assert remote.host.read(remote.path("source/source.sh")) == "mine"
    remote.host.write(remote.path("source/source.sh"), app("one"), mode=0o755)
    assert remote.judged(remote.deploy()).verdict is Verdict.GOOD
    assert remote.host.read(remote.path("source/notes")) == "untracked"


@pytest.mark.slow
def test_files_in_the_way_of_a_commit_are_named_and_kept(remote: UnitRig) -> None:
    remote.deploy()
    remote.host.write(remote.path("source/page"), "mine")
    remote.commit({"page": "theirs"})
    with pytest.raises(WorkTreeDirty, match="page"):
        remote.prepare()
    assert remote.host.read(remote.path("source/page")) == "mine"


@pytest.mark.slow
def test_a_checkout_that_was_cut_off_is_no_change_by_hand(remote: UnitRig) -> None:
    remote.deploy()
    commit = remote.commit({"source.sh": app("two"), "build.sh": f"{BUILD}# two\n"})
    remote.host.write(remote.path("checking-out"), commit)
    remote.host.write(remote.path("source/source.sh"), "half of")
    remote.host.write(remote.path("repository.git/index.lock"), "")
    prepared = remote.deploy()
    assert remote.judged(prepared).verdict is Verdict.GOOD
    assert remote.host.read(remote.path("source/source.sh")) == app("two").strip()


@pytest.mark.parametrize("how", ["connection", "daemon"])
def test_a_build_outlives_us_and_is_found_again(remote: UnitRig, how: str) -> None:
    """E7: whether the connection is lost or the daemon ends, the build goes on; it runs once."""
    remote.commit({"build.sh": PATIENT})
    work = remote.work()
    with ThreadPoolExecutor(1) as threads:
        preparing = threads.submit(remote.strategy.prepare, work)
        eventually(lambda: "waiting" in remote.log)
        if how == "connection":
            remote.hosts.machines.forget(remote.target.host)
        else:
            work.cancel.set()
        with pytest.raises((TargetUnreachable, Interrupted)):
            preparing.result(timeout=20)
    unit = f"reconciler-build-{remote.project.name}-1.service"
    assert remote.host.unit(unit)["ActiveState"] == "active"
    remote.log.clear()
    with ThreadPoolExecutor(1) as threads:
        preparing = threads.submit(remote.reborn().strategy.prepare, remote.work(new=False))
        eventually(lambda: "waiting" in remote.log)
        remote.host.write(remote.path("source/go"), "")
        prepared = preparing.result(timeout=20)
    assert remote.log[0] == "the build is under way or done already"
    assert "done" in remote.log
    assert builds(remote) == 1
    remote.strategy.apply(remote.work(new=False), prepared)
    assert remote.judged(prepared).verdict is Verdict.GOOD


def test_a_build_that_ended_meanwhile_is_taken_as_it_ended(remote: UnitRig) -> None:
    remote.prepare()
    remote.log.clear()
    remote.reborn().strategy.prepare(remote.work(new=False))
    assert builds(remote) == 1
    assert "building" in remote.log


@pytest.mark.slow
def test_a_build_that_the_host_lost_is_tried_again(remote: UnitRig) -> None:
    """A host that was restarted in the middle of a build knows neither the unit nor a result."""
    remote.commit({"build.sh": PATIENT})
    work = remote.work()
    with ThreadPoolExecutor(1) as threads:
        preparing = threads.submit(remote.strategy.prepare, work)
        eventually(lambda: "waiting" in remote.log)
        remote.host.run("systemctl", "stop", f"reconciler-build-{remote.project.name}-1")
        with pytest.raises(TargetUnreachable, match="restarted"):
            preparing.result(timeout=20)
    remote.host.write(remote.path("source/go"), "")
    remote.strategy.prepare(remote.work(new=False))
    assert builds(remote) == 2


@pytest.mark.slow
def test_a_newer_deployment_stops_the_build_of_an_older_one(remote: UnitRig) -> None:
    """Two builds in one work tree would spoil each other."""
    commit = remote.commit({"build.sh": PATIENT})
    work = remote.work(commit)
    with ThreadPoolExecutor(1) as threads:
        preparing = threads.submit(remote.strategy.prepare, work)
        eventually(lambda: "waiting" in remote.log)
        work.cancel.set()
        with pytest.raises(Interrupted):
            preparing.result(timeout=20)
    remote.commit({"build.sh": BUILD})
    assert remote.judged(remote.deploy()).verdict is Verdict.GOOD
    unit = f"reconciler-build-{remote.project.name}-1.service"
    assert remote.host.unit(unit)["LoadState"] == "not-found"


@pytest.mark.slow
def test_another_commit_under_the_same_number_is_built_anew(remote: UnitRig) -> None:
    """Numbers come again where records were restored; a build is known by its commit."""
    remote.prepare()
    remote.commit({"source.sh": app("two")})
    prepared = remote.strategy.prepare(remote.work(new=False))
    remote.strategy.apply(remote.work(new=False), prepared)
    assert builds(remote) == 2
    remote.change(strategy=TargetStrategy.SYSTEMD)
    eventually(lambda: "version two" in remote.host.journal(remote.target.unit))
    remote.strategy.prepare(remote.work(new=False))
    remote.commit({"source.sh": app("three")})
    assert release_of(remote.strategy.prepare(remote.work(new=False))).name.startswith(
        remote.repository.tip()[:12]
    )


@pytest.mark.slow
def test_a_remote_build_that_runs_for_ever_is_stopped_on_the_host(
    systemd_host: SystemdHost, hosts: Hosts, tmp_path: Path
) -> None:
    name, strategy = f"slow{next(_numbers)}", TargetStrategy.SYSTEMD_REMOTE
    limit = timedelta(seconds=2)
    with open_unit_rig(
        systemd_host, hosts, tmp_path, name, build_timeout=limit, strategy=strategy
    ) as rig:
        rig.commit({"build.sh": "echo waiting; sleep 1000"})
        with pytest.raises(CommandFailed, match="took longer"):
            rig.prepare()
        with pytest.raises(CommandFailed, match="took longer"):
            rig.strategy.prepare(rig.work(new=False))
        rig.commit({"build.sh": BUILD, "source.sh": app("one")})
        rig.prepare()
        assert not threading.Event().wait(2.2)
        rig.strategy.prepare(rig.work(new=False))
        assert builds(rig) == 1


@pytest.mark.slow
def test_a_remote_build_that_says_too_much_is_bounded_there_and_here(remote: UnitRig) -> None:
    remote.commit({"build.sh": "yes filler | head -n 7000000\necho the end\nexit 1"})
    with pytest.raises(CommandFailed, match="exit status 1"):
        remote.prepare()
    assert remote.log[-1] == "the end"
    assert len(remote.log) < 3000
    kept = remote.host.run("du", "--summarize", "--bytes", remote.path("builds"))
    assert int(kept.split()[0]) < 5_000_000


def test_a_remote_build_runs_as_the_units_user_and_reads_its_arguments_as_they_are(
    remote: UnitRig,
) -> None:
    """No service manager and no shell puts anything in place of what is declared."""
    remote.commit({"build.sh": '#!/bin/sh\nprintf "%s\\n" "$@"; id -un; cp source.sh app'})
    declared: Mapping[str, str] = {"VARIABLE": 'a $HOME %n "b"'}
    remote.change(
        user="nobody",
        environment=declared,
        build=("sh", "build.sh", "$HOME ${PATH}", "%n%%", "a  'b' \"c\"", "$$"),
    )
    prepared = remote.deploy()
    assert remote.judged(prepared).verdict is Verdict.GOOD
    for line in ("$HOME ${PATH}", "%n%%", "a  'b' \"c\"", "$$", "nobody"):
        assert line in remote.log
    remote.commit({"source.sh": app("two")})
    assert remote.judged(remote.deploy()).verdict is Verdict.GOOD


def test_what_a_build_left_in_the_work_tree_is_run_by_nobody_else(remote: UnitRig) -> None:
    """A repository in a submodule's place has a configuration too, which git obeys."""
    remote.change(user="nobody")
    lay = """
        [ -e sub/.git/HEAD ] || git init --quiet sub && cd sub && echo one >file && git add file
        echo "* filter=trap" >.git/info/attributes
        git config filter.trap.clean "id -un >>$HOME/trap; cat"
        touch -d tomorrow file
    """
    remote.commit({"build.sh": f"#!/bin/sh\ncp source.sh app\n({lay})\nexit 0\n"})
    entry = f"160000 commit {remote.repository.tip()}\tsub\n"
    listed = remote.repository.git("ls-tree", "main") + "\n" + entry
    tree = remote.repository.git("mktree", "--missing", stdin=listed.encode())
    commit = remote.repository.git("commit-tree", "-m", "module", "-p", "main", tree)
    remote.prepare(commit)
    remote.prepare(commit)
    trap = remote.path("home/trap")
    assert "root" not in remote.host.run("sh", "-c", f"cat {trap} 2>/dev/null || true")


def test_a_remote_build_leaves_no_process_behind(remote: UnitRig) -> None:
    """It could change what was made while that is looked at, and by somebody with more rights."""
    remote.change(user="nobody")
    remote.commit(
        {"build.sh": "cp source.sh app; setsid sleep 7654 >/dev/null 2>&1 & sleep 0.1; exit 0"}
    )
    remote.prepare()
    there = remote.host.run("sh", "-c", "ps -ef | grep '[s]leep 7654' || true")
    assert there.strip() == ""
    owner = remote.host.run("stat", "-c", "%U", remote.path("source"))
    assert owner.strip() == "root"


@pytest.mark.slow
def test_nothing_to_build_is_fine(remote: UnitRig) -> None:
    remote.commit({"app": app("as it is")})
    remote.change(build=())
    assert remote.judged(remote.deploy()).verdict is Verdict.GOOD
    remote.change(strategy=TargetStrategy.SYSTEMD)
    assert remote.judged(remote.deploy()).verdict is Verdict.GOOD
