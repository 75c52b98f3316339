"""What is this installation's own: its name, its private folders, its emergency file."""

import os
import secrets
from dataclasses import replace
from pathlib import Path

from reconciler.config import Config
from reconciler.domain.gate import MasterSwitch
from reconciler.pipeline.trigger import Brakes

#: What knows the daemon's user by its number: Docker, PostgreSQL, and terminals left open.
_SERVICES = ("/run/docker.sock", "/run/postgresql", "/run/screen")


def own_paths(config: Config) -> tuple[Path, ...]:
    """Return what no container may see, wherever the operator put it: who has it is operator."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    files = (config.file, config.fleet_file, config.fleet_key_file, config.master_key_file)
    places = (config.socket, *files, Path(credentials) if credentials else None)
    return tuple(place for place in places if place is not None)


def hidden_from_builds(config: Config) -> tuple[Path, ...]:
    """Return what builds must not reach: who does is operator, or the daemon's user elsewhere."""
    services = (config.docker_socket, *map(Path, _SERVICES))
    session = Path(f"/run/user/{os.getuid()}")  # its own service manager, agents and keyrings
    home = Path(os.environ.get("HOME") or "/")
    homes = () if home.resolve() == Path("/") else (home,)
    return (config.data_folder, *own_paths(config), *services, session, *homes)


def built_of() -> str:
    """Return the commit that this program was built of; empty where the build noted none."""
    return os.environ.get("RECONCILER_BUILD_COMMIT", "")


def make_private(folder: Path) -> Path:
    """Return ``folder``, closed to others, also where the one around it is open to them."""
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    return folder


def life_of(path: Path) -> str:
    """Return this installation's own name, made at its first start.

    One that a power cut left empty is made again: every worker's name begins with nothing.
    """
    if not path.exists() or not path.read_text():
        part = path.with_suffix(".part")
        part.write_text(secrets.token_hex(8))
        part.replace(path)
    return path.read_text()


def brakes_of(emergency_file: Path) -> Brakes:
    """Return what adds the emergency file to the switch. One that can't be looked at counts."""

    def brakes(switch: MasterSwitch) -> MasterSwitch:
        try:
            emergency_file.lstat()
        except FileNotFoundError:
            return switch
        except OSError:
            return replace(switch, emergency_file=f"{emergency_file} (which can't be looked at)")
        return replace(switch, emergency_file=str(emergency_file))

    return brakes
