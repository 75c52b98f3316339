"""What replaces the daemon from beside it: a compose project is switched, watched, brought back."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.adapters.engine import DockerEngine as Engine
from reconciler.adapters.process import LocalRunner
from reconciler.app.self_update import Replacement
from reconciler.strategies.compose.cli import ComposeCli, ComposeOptions
from reconciler.strategies.compose.switch import Plan, Switch
from tests.parts.docker_engine import RUN_LABEL, DockerEngine
from tests.parts.waiting import eventually

#: What happens most is shown by the whole daemon, in every run.
pytestmark = [pytest.mark.needs_docker, pytest.mark.slow]


class Rig:
    """A compose project with the service ``daemon``, which runs and says ``old``."""

    def __init__(self, engine: DockerEngine, folder: Path) -> None:
        self.engine, self.folder = engine, folder
        self.name = engine.unique("itself")
        self.host = f"unix://{engine.socket}"
        self.reader = Engine(self.host)
        path = folder / "compose.yaml"
        path.write_text(self.file("old"))
        engine.docker("compose", "-p", self.name, "-f", path, "up", "--detach")
        self.container = self.running()

    def file(self, version: str, then: str = "exec sleep 1000", **changes: object) -> str:
        service = {
            "image": self.engine.busybox_image(),
            "command": ["sh", "-c", f"echo {version}; {then}"],
            "stop_signal": "KILL",
            "restart": "unless-stopped",
            "labels": {RUN_LABEL: self.engine.run_id},
            **changes,
        }
        return json.dumps({"services": {"daemon": service}})

    def switch(self, forward: str, *, patience: float = 30) -> Switch:
        made = Switch(self.folder / "2-override-2")
        plan = Plan(self.name, "daemon", self.container, self.host, "nobody", "", patience)
        made.make(plan, forward, self.file("old"))
        return made

    def carry_out(self, switch: Switch) -> None:
        """Do what the container beside the daemon does, to its end."""
        options = ComposeOptions(self.folder, docker_host=self.host)
        cli = ComposeCli(LocalRunner(f"test-{self.name}"), options)
        Replacement(switch, switch.plan, cli, self.reader).carry_out()

    def running(self) -> str:
        """Return the id of the one container, which runs."""
        (one,) = self.engine.containers(self.name)
        assert one["State"]["Running"]
        return str(one["Id"])

    def says(self) -> str:
        """Return which version runs."""
        return self.engine.docker("logs", self.running())


@pytest.fixture
def rig(engine: DockerEngine, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(engine, tmp_path)
    yield made
    made.reader.close()
    engine.remove_project(made.name)


def test_what_is_confirmed_stays(rig: Rig) -> None:
    """And the renderings, which have secrets in them, are gone."""
    switch = rig.switch(rig.file("new"))
    thread = threading.Thread(target=rig.carry_out, args=(switch,))
    thread.start()
    eventually(lambda: switch.read("switched"), within=20)
    assert switch.confirm()
    thread.join(20)
    assert rig.says() == "new"
    assert switch.read("done")
    assert not list(switch.folder.glob("*ward.json")) + list(switch.folder.glob("back.json"))


def test_one_that_ends_is_taken_back_with_its_last_words(rig: Rig) -> None:
    switch = rig.switch(rig.file("new", "exit 3"))
    rig.carry_out(switch)
    assert switch.went_back.startswith("it ended")
    assert switch.went_back.endswith(": new")
    assert rig.says() == "old"
    assert not switch.confirm()


def test_one_that_is_never_ready_is_taken_back(rig: Rig) -> None:
    switch = rig.switch(rig.file("new"), patience=0.5)
    rig.carry_out(switch)
    assert switch.went_back == "it was not ready in time"
    assert rig.says() == "old"


def test_one_that_can_t_be_brought_up_is_taken_back(rig: Rig) -> None:
    switch = rig.switch(rig.file("new", image="localhost:1/gone:1"))
    rig.carry_out(switch)
    assert "compose can't bring the project up" in switch.went_back
    assert rig.says() == "old"


def test_a_replacement_that_was_killed_goes_on_where_it_was(rig: Rig) -> None:
    """After the switch it doesn't switch again; after the verdict it brings back what was there."""
    switch = rig.switch(rig.file("new"), patience=0.5)
    path = rig.folder / "2-override-2" / "forward.json"
    rig.engine.docker("compose", "-p", rig.name, "-f", path, "up", "--detach")
    switched = rig.running()
    assert switched != rig.container
    thread = threading.Thread(target=rig.carry_out, args=(switch,))
    thread.start()
    eventually(lambda: switch.read("switched"))
    assert rig.running() == switched
    thread.join(30)
    assert rig.says() == "old"
    rig.carry_out(Switch(switch.folder.rename(switch.folder.with_name("x"))))


def test_a_verdict_without_its_end_is_carried_out(rig: Rig) -> None:
    switch = rig.switch(rig.file("new"))
    rig.engine.docker("compose", "-p", rig.name, "down", "--timeout", "0")
    switch.go_back("killed before it was brought back")
    rig.carry_out(switch)
    assert rig.says() == "old"
