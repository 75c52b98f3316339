"""An engine that tells of compose's containers as a test wants them, and of nothing else."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from reconciler.domain.host import LOCAL, HostName
from reconciler.domain.references import Digest
from reconciler.domain.stack import ComposeContainer
from reconciler.ports import Engine, Machine, Machines

_FILE = "containers.json"
_LABEL = "com.docker.compose"


@dataclass(frozen=True)
class FoundStacks:
    """``Machines`` whose local one is but that ``Engine``, once ``write_containers`` was called."""

    folder: Path  #: the daemon's
    real: Machines

    def get(self, name: HostName) -> Machine:
        is_told = name == LOCAL and (self.folder / _FILE).exists()
        return cast("Machine", self) if is_told else self.real.get(name)

    def engine(self) -> Engine:
        return cast("Engine", self)

    def compose_containers(self) -> Sequence[ComposeContainer]:
        return [_made(one) for one in json.loads((self.folder / _FILE).read_text())]


def write_containers(folder: Path, *containers: Mapping[str, object]) -> None:
    """Have the daemon whose data is in ``folder`` find these from now on."""
    unfinished = folder / f"{_FILE}.new"
    unfinished.write_text(json.dumps(containers))
    unfinished.replace(folder / _FILE)


def container(
    stack: str, service: str, base: object, *published: int, **more: object
) -> Mapping[str, object]:
    """Return a container of a stack that was brought up in the folder ``base``."""
    labels = {
        f"{_LABEL}.project": stack,
        f"{_LABEL}.service": service,
        f"{_LABEL}.project.working_dir": str(base),
        f"{_LABEL}.project.config_files": f"{base}/compose.yaml",
    }
    name = f"{stack} {service}".encode(errors="replace")
    made = {"id": hashlib.sha256(name).hexdigest(), "image": f"registry.example/{service}:1"}
    return {**made, "is_running": True, "labels": labels, "published": published, **more}


def _made(told: Mapping[str, object]) -> ComposeContainer:
    published = cast("Sequence[int]", told["published"])
    made = {**told, "image_id": Digest.parse(f"sha256:{told['id']}"), "published": tuple(published)}
    return ComposeContainer(**made)  # type: ignore[arg-type]  # as ``container`` has them
