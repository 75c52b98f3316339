"""Where the daemon keeps what it has, and where others find it."""

from dataclasses import dataclass, field
from pathlib import Path

from reconciler.config.setting import setting
from reconciler.config.values import HOSTS, LISTEN, PATH, SECRET, URL, Listen
from reconciler.domain.forge import WebAddress
from reconciler.domain.secret import Secret


@dataclass(frozen=True, kw_only=True)
class PlaceSettings:
    """The part of ``Config`` that says so."""

    data_folder: Path = field(
        metadata=setting(
            PATH,
            "",
            "Where everything is kept: database, keys, hosted repositories, checkouts. "
            "Empty: $XDG_STATE_HOME/reconciler, or ~/.local/state/reconciler.",
        )
    )
    listen: Listen | None = field(
        metadata=setting(
            LISTEN,
            "127.0.0.1:8484",
            "Address and port of API and page; port 0 takes a free one. Empty: the unix socket "
            "only. An address that other machines reach needs tls_certificate, or trusted_proxies.",
        )
    )
    host_names: tuple[str, ...] = field(
        metadata=setting(
            HOSTS,
            [],
            "More names by which people reach it, e.g. the proxy's. Requests for other hosts are "
            "refused, so that no web page elsewhere can talk to it through a name of its own.",
        )
    )
    public_url: WebAddress | None = field(
        metadata=setting(
            URL,
            "",
            "URL by which forges reach this daemon, e.g. the proxy's: https://deploy.example.com. "
            "Its host counts among host_names. Empty: each `reconciler webhook create` says it.",
        )
    )
    socket: Path = field(
        metadata=setting(
            PATH,
            "",
            "The unix socket of the command line: who can open it is the operator. At most 107 "
            "bytes. Empty: run/reconciler.sock in the data folder.",
        )
    )
    database_url: Secret = field(
        metadata=setting(
            SECRET,
            "",
            "postgresql://user:password@host/name. Empty: SQLite in the data folder.",
        )
    )
    master_key_file: Path | None = field(
        metadata=setting(
            PATH,
            "",
            "The key that stored secrets are sealed with, where systemd's credential master_key "
            "doesn't bring it: 32 random bytes, as they are, as base64 or as hex. Empty: "
            "master_key in the data folder, made at the first start.",
        )
    )
    docker_socket: Path = field(
        metadata=setting(PATH, "/var/run/docker.sock", "The Docker engine that deployments run on.")
    )
    emergency_file: Path = field(
        metadata=setting(
            PATH,
            "",
            "While this file exists nothing deploys by itself, even if nobody can reach the "
            "daemon: `touch` it. Empty: STOP in the data folder.",
        )
    )
