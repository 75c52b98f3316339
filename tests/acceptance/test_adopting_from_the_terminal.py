"""What docs/adopt.md tells, with nothing but commands, on what a person brought up by hand."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.parts.child import free_port
from tests.parts.daemon import Daemon, Said
from tests.parts.docker_engine import DockerEngine
from tests.parts.shop import Images

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]
CMD = ("sh", "-c", "cat /version > /data/started; exec httpd -f -p 8080 -h /data")


@dataclass
class Folder:
    """A stack that somebody brought up from a folder."""

    daemon: Daemon
    images: Images
    path: Path
    name: str
    image: str = ""

    def write(self, more: str = "") -> None:
        (self.path / "compose.yaml").write_text(
            f"name: {self.name}\n"
            "services:\n"
            "  web:\n"
            f"    image: {self.image}\n"
            "    stop_signal: KILL\n"
            '    ports: ["127.0.0.1:${PORT}:8080"]\n'
            "    env_file: settings.env\n"
            "    volumes: [./data:/data]\n" + more
        )

    def up(self) -> None:
        file = self.path / "compose.yaml"
        self.images.engine.docker("compose", "--file", file, "up", "--detach")

    def cli(self, *words: str) -> Said:
        said = self.daemon.cli(*words)
        assert said.status == 0, said.err
        return said

    def row(self) -> list[str]:
        """Return the words of its line in the list, but for its name."""
        lines = [line.split() for line in self.cli("adopt", "local").out.splitlines()]
        (found,) = [words[1:] for words in lines if words[:1] == [self.name]]
        return found

    def runs(self) -> tuple[str, str]:
        """Return which version started last, and the container."""
        (container,) = self.images.engine.containers(self.name)
        assert "FROM_FILE=1" in container["Config"]["Env"]
        return (self.path / "data/started").read_text().strip(), container["Id"]


@pytest.fixture
def folder(
    daemon: Daemon, engine: DockerEngine, images: Images, tmp_path: Path
) -> Iterator[Folder]:
    made = Folder(daemon, images, tmp_path / "shop", engine.unique("by-hand"))
    (made.path / "data").mkdir(parents=True)
    (made.path / ".env").write_text(f"PORT={free_port()}\n")
    (made.path / "settings.env").write_text("FROM_FILE=1\n")
    tag = f"{made.name}:1"
    images.push(tag, version="one", cmd=CMD)
    made.image = images.at(tag)
    made.write()
    made.up()
    images.push(tag, version="two", cmd=CMD)
    yield made
    engine.remove_project(made.name)


def test_what_was_brought_up_by_hand_is_deployed_from_then_on(folder: Folder) -> None:
    """Listed, adopted, deployed as it ran, followed in its folder, and let go of."""
    cli, name = folder.cli, folder.name
    _, container = folder.runs()
    assert folder.row() == [str(folder.path), "web", "web:8080", "yes"]
    assert cli("adopt", "local", name).out == f"adopted {name}\n"
    assert folder.runs() == ("one", container)
    assert folder.row()[-3:] == ["already", "project", name]

    # What its tag means by now is another image.
    assert "for the first time" in cli("plan", name).out
    cli("deploy", name, "--wait")
    version, ours = folder.runs()
    assert version == "one"
    assert ours != container

    folder.write("    environment: {EDITED: in the folder}\n")
    assert "+      EDITED: in the folder" in cli("plan", name).out
    cli("project", "enable", name)
    folder.daemon.deployed(name, count=2)
    assert folder.runs()[0] == "two"

    cli("project", "remove", name, "--yes")
    cli("repo", "remove", name, "--yes")
    assert "is not below its folder" in " ".join(folder.row())
    folder.up()
    assert folder.row()[-1] == "yes"
