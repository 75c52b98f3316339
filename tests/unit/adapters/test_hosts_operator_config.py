"""What is taken over from the operator's SSH configuration, and how hops are taken."""

from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.adapters.hosts.operator_config import DIRECT, OperatorConfig
from reconciler.domain.errors import PreconditionFailed
from reconciler.testing import RecordingRunner

FILE = Path("/etc/my config")
OPTIONS = (
    "-o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=10 -o ControlMaster=no "
    "-o ControlPath=none -o LogLevel=ERROR"
)


def resolved(said: str) -> dict[str, str]:
    """Return what is taken over where ssh says that the configuration is so."""
    runner = RecordingRunner({("ssh",): (0, said, "")})
    found = dict(OperatorConfig(runner, FILE).resolve("prod"))
    assert runner.commands[0].argv == ("ssh", "-F", str(FILE), "-G", "--", "prod")
    assert runner.commands[0].timeout <= timedelta(seconds=10)
    return found


def test_only_what_leads_there_is_taken_over() -> None:
    """Nothing that would open, run or trust anything else."""
    said = (
        "hostname prod.example\nuser ada\nport 2222\nidentityfile ~/.ssh/a key\n"
        "stricthostkeychecking false\nuserknownhostsfile /dev/null\nforwardagent yes\n"
        "localforward 80 [db]:80\nremotecommand rm\npermitlocalcommand yes\n"
        "controlpath /x\nsetenv A=b\n"
    )
    assert resolved(said) == {
        "hostname": "prod.example",
        "user": "ada",
        "port": "2222",
        "identityfile": "~/.ssh/a key",
        "proxycommand": DIRECT,
    }


@pytest.mark.parametrize(
    ("jump", "arguments"),
    [
        ("hop", "-W '[%h]:%p' -- hop"),
        ("ada@hop:2222", "-l ada -p 2222 -W '[%h]:%p' -- hop"),
        ("ssh://ada@hop:2222/", "-l ada -p 2222 -W '[%h]:%p' -- hop"),
        ("[2001:db8::1]:22", "-p 22 -W '[%h]:%p' -- 2001:db8::1"),
        ("one,ada@two", "-J one -l ada -W '[%h]:%p' -- two"),
        ("one,two:1,three", "-J one,two:1 -W '[%h]:%p' -- three"),
        ("100%hop", "-W '[%h]:%p' -- 100%%hop"),
        ("a;b", "-W '[%h]:%p' -- 'a;b'"),
    ],
)
def test_a_jump_becomes_the_command_that_ssh_would_make_of_it(jump: str, arguments: str) -> None:
    """With the operator's file, and strict; what is no token stays what it is."""
    way = resolved(f"hostname prod\nproxyjump {jump}\n")["proxycommand"]
    inner = way.removeprefix("setsid sh -c ").replace("'\"'\"'", "\0").strip("'")
    assert inner.replace("\0", "'") == f"ssh -F '{FILE}' {OPTIONS} {arguments}"


@pytest.mark.parametrize("said", ["proxycommand none", "proxyjump none", "proxyjump NONE"])
def test_none_is_no_way_of_its_own(said: str) -> None:
    """So ssh writes that a default was taken back."""
    assert resolved(f"hostname prod\n{said}\n")["proxycommand"] == DIRECT


def test_a_configuration_that_ssh_refuses_is_the_operators_to_mend() -> None:
    """With ssh's own words."""
    runner = RecordingRunner({("ssh",): (255, "", "config line 3: Bad configuration option: x\n")})
    with pytest.raises(PreconditionFailed, match="line 3: Bad configuration option: x"):
        OperatorConfig(runner).resolve("prod")
