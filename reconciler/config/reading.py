"""File and environment → ``Config``, or every problem at once."""

import json
import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.config.declaration import Config
from reconciler.config.front import check_front
from reconciler.config.keys import keys
from reconciler.config.setting import Key
from reconciler.domain.document import form_of
from reconciler.domain.errors import ConfigError, InvalidInput
from reconciler.domain.secret import Secret

#: Longest path of a unix socket, without its closing NUL. Source: unix(7), sun_path.
SOCKET_PATH_LIMIT_BYTES = 107
_FILE_LIMIT_BYTES = 1 << 20
#: Variables of ours that are no settings.
_OTHER_VARIABLES = (
    *("RECONCILER_CONFIG", "RECONCILER_URL", "RECONCILER_TOKEN"),
    *("RECONCILER_MASTER_KEY", "RECONCILER_MASTER_KEY_OLD"),
)


@dataclass(frozen=True, slots=True)
class Api:
    """Where the command line finds the daemon: at ``url`` with ``token``, else at ``socket``."""

    socket: Path | None = None
    url: str = ""
    token: Secret | None = None


def load_config(file: Path | None = None, environment: Mapping[str, str] | None = None) -> Config:
    """Return the configuration of the daemon.

    Args:
        file: else ``RECONCILER_CONFIG``; else config.toml in ~/.config/reconciler (or
            $XDG_CONFIG_HOME/reconciler) or /etc/reconciler; else all is default.
        environment: a variable that is set and not empty wins over the file.

    Raises:
        ConfigError: with every wrong key.
    """
    environment = os.environ if environment is None else environment
    file = file or _find_file(environment)
    given, problems = _read_file(file)
    problems += _unknown(given)
    values: dict[str, Any] = {"settings": {}}
    for field, key in keys():
        try:
            value = _value(key, given, environment)
        except ConfigError as error:
            problems += error.problems
            continue
        if field == "settings":
            values[field][key.name.removeprefix("settings.")] = value
        else:
            values[field] = value
    problems += _place(values, environment)
    problems += _check_fleet(values)
    problems += check_front(values)
    if problems:
        raise ConfigError(tuple(problems))
    return Config(**values, file=file, warnings=tuple(_warnings(values, file, environment)))


def find_api(url: str = "", environment: Mapping[str, str] | None = None) -> Api:
    """Return where the daemon is, from ``url``, the environment and the configuration.

    Only what leads to the socket is looked at; the rest is for the daemon to complain about.

    Raises:
        ConfigError: the file can't be read, or the socket's path can't be used.
    """
    environment = os.environ if environment is None else environment
    if url := url or environment.get("RECONCILER_URL", ""):
        token = environment.get("RECONCILER_TOKEN", "").strip()
        return Api(url=url, token=Secret.of(token) if token else None)
    # A socket that is named leads there whether or not this user may read the daemon's file.
    file = None if environment.get("RECONCILER_SOCKET") else _find_file(environment)
    given, problems = _read_file(file)
    values: dict[str, Any] = {}
    if not problems:
        wanted = ((field, key) for field, key in keys() if field in {"data_folder", "socket"})
        values = {field: _value(key, given, environment) for field, key in wanted}
        problems += _place(values, environment)
    if problems:
        raise ConfigError(tuple(problems))
    return Api(socket=values["socket"])


# ── the file ──────────────────────────────────────────────────────────────────────────────────


def _find_file(environment: Mapping[str, str]) -> Path | None:
    if named := environment.get("RECONCILER_CONFIG"):
        return Path(named)
    own = environment.get("XDG_CONFIG_HOME") or f"{_home(environment)}/.config"
    candidates = (Path(own, "reconciler/config.toml"), Path("/etc/reconciler/config.toml"))
    return next((path for path in candidates if _may_be_there(path)), None)


def _may_be_there(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:
        return True  # reading it says so, instead of going on as if there were none


def _read_file(file: Path | None) -> tuple[dict[str, object], list[str]]:
    """Return (name with its table → TOML value, problems)."""
    if file is None:
        return {}, []
    try:
        with file.open("rb") as stream:
            content = stream.read(_FILE_LIMIT_BYTES + 1)
        if len(content) > _FILE_LIMIT_BYTES:
            return {}, [f"{file}: is over {_FILE_LIMIT_BYTES >> 20} MiB"]
        parsed = tomllib.loads(content.decode())
    except OSError as error:
        return {}, [f"{file}: can't be read ({error.strerror})"]
    except (ValueError, RecursionError) as error:
        return {}, [f"{file}: is not TOML: {error}"]
    return dict(_flatten(parsed)), []


def _flatten(parsed: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    tables = {key.name.partition(".")[0] for _, key in keys() if "." in key.name}
    for name, value in parsed.items():
        if name in tables and isinstance(value, dict):
            yield from ((f"{name}.{inner}", deep) for inner, deep in value.items())
        else:
            yield name, value


def _unknown(given: Mapping[str, object]) -> Iterator[str]:
    known = [key.name for _, key in keys()]
    for name in given:
        if name not in known:
            subject = name[:80] if name.isprintable() else _shown(name)
            yield f"{subject}: there is no such setting{_did_you_mean(name, known)}"


def _did_you_mean(name: str, known: list[str], alike: float = 0.6) -> str:
    import difflib  # only needed to report a mistake

    # The last part alone finds a key that was put into the wrong table.
    last = name.rpartition(".")[2]
    near = [other for other in known if other.rpartition(".")[2] == last]
    near = near or difflib.get_close_matches(name, known, n=1, cutoff=alike)
    return f"; did you mean {near[0]}?" if near else ""


# ── one value ─────────────────────────────────────────────────────────────────────────────────


def _value(key: Key, given: Mapping[str, object], environment: Mapping[str, str]) -> object:
    """Return the parsed value of the environment, the file, or the default; that order."""
    name, value = key.name, given.get(key.name, key.default)
    if text := environment.get(key.variable):
        name, value = f"{key.variable} (environment)", key.kind.from_text(text)
    try:
        return key.parse(value)
    except ValueError as error:
        seen = "" if key.kind.secret else f"{_shown(value)} "
        raise ConfigError((f"{name}: {seen}{error}",)) from error


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    text = re.sub(r"://[^/\s]*@", "://…@", text)  # who is named there, and maybe how
    return text if len(text) <= 80 else f"{text[:79]}…"


def _check_fleet(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the fleet file's place."""
    if values.get("fleet_file") and values.get("fleet_repository"):
        yield "fleet_file and fleet_repository exclude each other; set one of them"
    for name in ("fleet_file", "fleet_path"):
        if path := values.get(name):
            try:
                form_of(str(path), name)
            except InvalidInput as error:
                yield error.message


# ── paths ─────────────────────────────────────────────────────────────────────────────────────


def _place(values: dict[str, Any], environment: Mapping[str, str]) -> Iterator[str]:
    """Complete the paths in ``values`` in place; yield what is wrong with them."""
    home = _home(environment)
    for name, value in values.items():
        if isinstance(value, Path) and value.parts[:1] == ("~",):
            values[name] = home.joinpath(*value.parts[1:])
    state = environment.get("XDG_STATE_HOME") or f"{home}/.local/state"
    data_folder = values.get("data_folder") or Path(state, "reconciler")
    values["data_folder"] = data_folder
    values["socket"] = values.get("socket") or data_folder / "run" / "reconciler.sock"
    values["docker_socket"] = values.get("docker_socket") or Path("/var/run/docker.sock")
    values["emergency_file"] = values.get("emergency_file") or data_folder / "STOP"
    if (length := len(bytes(values["socket"]))) > SOCKET_PATH_LIMIT_BYTES:
        yield (
            f"socket: {_shown(str(values['socket']))} has {length} bytes, and the system allows "
            f"{SOCKET_PATH_LIMIT_BYTES} for a unix socket; set a shorter one (RECONCILER_SOCKET)"
        )


def _home(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("HOME") or Path.home())


# ── allowed, and perhaps not meant ────────────────────────────────────────────────────────────


def _warnings(
    values: Mapping[str, Any], file: Path | None, environment: Mapping[str, str]
) -> Iterator[str]:
    variables = [key.variable for _, key in keys()]
    for name in sorted(environment):
        # Only a likely slip of the pen: orchestrators set variables of services named like us.
        if not name.startswith("RECONCILER_") or name in {*variables, *_OTHER_VARIABLES}:
            continue
        if meant := _did_you_mean(name, variables, alike=0.9):
            yield f"{name} (environment): there is no such setting{meant}"
    if values["registry_user"] and not values["registry_password"].reveal():
        yield "registry.user: there is no registry.password to go with it"
    if file and _others_may_read(file) and _holds_secret(file):
        yield f"{file}: holds a password and can be read by others; chmod 600 {file}"


def _others_may_read(file: Path) -> bool:
    try:
        return bool(file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
    except OSError:
        return False


def _holds_secret(file: Path) -> bool:
    given, _ = _read_file(file)
    secrets = (key.name for _, key in keys() if key.kind.secret)
    return any(given.get(name) for name in secrets)
