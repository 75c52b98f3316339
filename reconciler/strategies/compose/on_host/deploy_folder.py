"""The ``.deploy/`` folder of a work tree on a host."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reconciler.domain.deployment import PreparedTarget
from reconciler.domain.errors import ReconcilerError
from reconciler.domain.secret import Secret
from reconciler.ports import Command
from reconciler.strategies.compose.checkout import DEPLOY_FOLDER
from reconciler.strategies.compose.deploy_folder import facts_of, names_of, override_text
from reconciler.strategies.compose.on_host.shell import HostShell, length_of


@dataclass(frozen=True, slots=True)
class DeployFolderOnHost:
    """``DeployFolder`` on a machine that is reached over a connection."""

    shell: HostShell
    tree: Path
    left_over: Path  #: here: notes what the host keeps because it could not be reached

    @property
    def path(self) -> Path:
        """The folder."""
        return self.tree / DEPLOY_FOLDER

    def record(self, prepared: PreparedTarget) -> Path:
        """Write the override and the facts; see ``DeployFolder``."""
        facts = [part for fact in facts_of(prepared).items() for part in fact]
        text = Secret.of(override_text(prepared.services))
        arguments = (str(self.path), Path(prepared.override_file).name, length_of(text))
        self.shell.feed("record", text, *arguments, *facts)
        return self.tree / prepared.override_file

    def write(self, name: str, text: str) -> Path:
        """Write one file in a single step; see ``DeployFolder``."""
        self.shell.run("keep", str(self.path))
        self.shell.write(self.path / name, text)
        return self.path / name

    def has(self, name: str) -> bool:
        """Tell whether there is such a file; see ``DeployFolder``."""
        return self.shell.machine.run(Command(("test", "-f", str(self.path / name)))).ok

    def facts(self) -> Mapping[str, str]:
        """Return what was recorded last; see ``DeployFolder``."""
        lines = self.shell.run("facts", str(self.path)).splitlines()
        return {name: line for name, _, line in (one.partition(" ") for one in lines)}

    def forget(self, prepared: PreparedTarget) -> None:
        """Delete what is kept for a deployment, its commit too; see ``DeployFolder``.

        Commits that another deployment needs as well are pushed again when they are. What a host
        keeps that can't be reached goes the next time.
        """
        gone = [f"{DEPLOY_FOLDER}/{name}" for name in names_of(prepared)]
        gone += [prepared.revision.commit.text] if prepared.revision.commit else []
        noted = self.left_over.read_text().split() if self.left_over.exists() else []
        every = list(dict.fromkeys([*noted, *gone]))
        try:
            self.shell.run("forget", str(self.tree), *every)
            self.left_over.unlink(missing_ok=True)
        except ReconcilerError:
            self.left_over.parent.mkdir(parents=True, exist_ok=True)
            self.left_over.write_text("".join(f"{one}\n" for one in every))
