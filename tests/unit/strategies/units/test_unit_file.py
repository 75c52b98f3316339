"""The unit and its environment, as systemd reads them."""

import pytest

from reconciler.domain.deployment import DeploymentId
from reconciler.domain.errors import InvalidInput
from reconciler.domain.host import HostPath
from reconciler.domain.references import CommitSha, ProjectName, RepositoryPath
from reconciler.domain.secret import Secret
from reconciler.domain.target import Target
from reconciler.strategies.units.site import Site
from reconciler.strategies.units.unit_file import environment_text, unit_text

TWELFTH = DeploymentId(12)
COMMIT = CommitSha("a" * 40)
WEB = Target(ProjectName("web"), binary=RepositoryPath("bin/web"))


def lines_of(target: Target) -> list[str]:
    return unit_text(Site.of(target), target).splitlines()


def target(**declared: object) -> Target:
    return Target(ProjectName("web"), binary=RepositoryPath("bin/web"), **declared)  # type: ignore[arg-type]


def test_the_unit_names_only_the_links_to_what_it_runs() -> None:
    """Another release is another end of the links; the unit stays, and systemd reads nothing."""
    lines = lines_of(WEB)
    assert lines[0] == Site.of(WEB).marker
    assert "WorkingDirectory=/opt/apps/web/current" in lines
    assert 'ExecStart="/opt/apps/web/current/bin/web"' in lines
    assert "EnvironmentFile=/opt/apps/web/deployed/environment" in lines


def test_the_unit_may_write_to_its_state_alone() -> None:
    lines = lines_of(target(user="app"))
    hardening = {"NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes"}
    assert {*hardening, "StateDirectory=web", "User=app"} <= set(lines)


def test_without_a_user_it_runs_as_root() -> None:
    assert not [line for line in lines_of(WEB) if line.startswith(("User=", "Ambient"))]


@pytest.mark.parametrize(("port", "granted"), [(80, True), (1023, True), (1024, False)])
def test_a_low_port_needs_a_capability_only_where_a_user_listens(port: int, granted: bool) -> None:
    capability = "AmbientCapabilities=CAP_NET_BIND_SERVICE"
    assert (capability in lines_of(target(user="app", port=port))) is granted
    assert capability not in lines_of(target(port=port))


@pytest.mark.parametrize(
    ("folder", "line"),
    [
        ("/home/deploy/web", "ProtectHome=read-only"),
        ("/root/apps/web", "ProtectHome=read-only"),
        ("/srv/web", "ProtectHome=yes"),
    ],
)
def test_a_program_below_a_home_can_still_be_read(folder: str, line: str) -> None:
    assert line in lines_of(target(folder=HostPath(folder)))


def test_a_program_below_tmp_can_still_be_read() -> None:
    assert "PrivateTmp=yes" not in lines_of(target(folder=HostPath("/tmp/apps/web")))


def test_the_environment_has_port_declaration_and_secrets_and_secrets_win() -> None:
    declared = target(port=80, environment={"A": "1", "TOKEN": "public"})
    text = environment_text(declared, {"TOKEN": Secret.of("hidden")}, TWELFTH, COMMIT)
    ours = f'RECONCILER_BUILD_COMMIT="{COMMIT.text}"\nRECONCILER_DEPLOYMENT="12"\n'
    assert text.reveal() == f'A="1"\nPORT="80"\n{ours}TOKEN="hidden"\n'


def test_what_systemd_reads_in_quotes_is_escaped() -> None:
    text = environment_text(target(environment={"A": 'a"b\\c$d`e\nf'}), {}, TWELFTH, COMMIT)
    assert text.reveal().startswith('A="a\\"b\\\\c\\$d\\`e\nf"\n')


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "A=B", "A\nB", "Ä"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        environment_text(target(environment={name: "x"}), {}, TWELFTH, COMMIT)


@pytest.mark.parametrize("value", ["a\0b", "a\x1bb", "a\rb"])
def test_a_control_character_in_a_value_is_refused_without_showing_it(value: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        environment_text(WEB, {"TOKEN": Secret.of(f"hidden{value}")}, TWELFTH, COMMIT)
    assert "hidden" not in str(caught.value)
