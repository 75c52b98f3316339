"""A secret of every kind goes through real deployments, and is found nowhere afterwards."""

import base64
import json
import signal
import subprocess
import traceback
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest

from reconciler.adapters.system_clock import SystemClock
from reconciler.adapters.vault import Vault
from reconciler.domain.errors import StoreError
from reconciler.domain.secret import Secret
from reconciler.domain.webhook import Provider
from reconciler.domain.webhook_payload import make_push
from reconciler.domain.webhook_signature import sign
from reconciler.store.backup import write_backup
from reconciler.store.opening import open_store
from tests.parts.canaries import Kinds, sampled
from tests.parts.daemon import Daemon
from tests.parts.docker_engine import DockerEngine
from tests.parts.git_server import GitServer, Login
from tests.parts.registry import PASSWORD, USERNAME, Registry
from tests.parts.shop import Images, Shop, declare, hosted_shop
from tests.parts.ssh_keys import make_key, public_key
from tests.parts.sshd import Sshd
from tests.parts.stores import KEY
from tests.parts.waiting import eventually

pytestmark = [
    *(pytest.mark.needs_docker, pytest.mark.needs_registry),
    *(pytest.mark.needs_git, pytest.mark.needs_sshd),
]


def test_a_secret_in_a_process_is_found() -> None:
    """In its arguments and in its environment, or the test below could not fail."""
    kinds = Kinds()
    text = kinds.make("password")
    encoded = base64.b64encode(f"me:{text}".encode()).decode()
    for arguments, environment in (([text], {}), ([], {"LOGIN": encoded})):
        with sampled(kinds.needles(sampled=True)) as sampler:
            command = ["sh", "-c", "read line", *arguments]
            with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE) as process:
                eventually(lambda sampler=sampler: sampler.found, what="it is found")  # type: ignore[misc]
                process.communicate()
        (found,) = sampler.found
        assert found.startswith(f"password: {'environ' if environment else 'cmdline'}")


def test_t48_no_secret_is_in_a_process_a_log_an_answer_or_a_file(
    engine: DockerEngine, sshd: Sshd, tmp_path: Path
) -> None:
    """Argv, environment, log, errors, API, database, backup, exports, disk, cores: none of them."""
    kinds = Kinds()
    login = Login("deploy", kinds.make("git token"))
    config = {
        "log_level": "debug",
        "registry": {
            "address": "localhost:1",
            "user": "puller",
            "password": kinds.make("registry in the configuration"),
        },
        "public_url": "https://deploy.example.com",
        "oidc_issuer": "https://127.0.0.1:1",
        "oidc_client_id": "reconciler",
        "oidc_client_secret": kinds.make("identity provider's secret"),
    }
    with Registry("htpasswd") as registry, GitServer(login=login, tls=True) as server:
        server.repository("ops.git").commit({"fleet.toml": "# nothing yet\n"})
        fleet = {
            "fleet_repository": server.url("ops.git"),
            "fleet_user": login.username,
            "fleet_token": kinds.keep("fleet token", login.password),
            "git_ca_file": str(server.ca_path),
        }
        images = Images(engine, registry)
        push_image(images)
        with (
            Daemon({**config, **fleet}, prepare=False) as daemon,
            hosted_shop(daemon, images, tmp_path) as shop,
        ):
            declare_all(shop, kinds, server, sshd, tmp_path)
            folders = (daemon.data / "run", daemon.data / "private")
            with sampled(kinds.needles(sampled=True), folders) as sampler:
                deploy(shop, kinds)
            assert sampler.samples > 50
            assert not sampler.found
            # Some have to be in a file while they are used: in one that is ours alone.
            assert sampler.in_files
            assert {one[-4:] for one in sampler.in_files} == {"0600"}
            look_everywhere(shop, kinds.needles(sampled=False), tmp_path)


def push_image(images: Images) -> None:
    """Push what is deployed, and see to it that it has to be pulled."""
    engine, host = images.engine, images.registry.host
    engine.docker("login", "-u", USERNAME, "--password-stdin", host, stdin=PASSWORD.encode())
    images.plain()
    engine.docker("logout", host)
    engine.docker("rmi", "--force", images.plain(), f"{engine.run_id}/plain:1")


def declare_all(shop: Shop, kinds: Kinds, server: GitServer, sshd: Sshd, folder: Path) -> None:
    """Give the daemon a secret of each kind; a further kind is a line here, or in `deploy`."""
    daemon = shop.daemon
    kinds.keep("administrator's token", daemon.admin_token)
    master_key = (daemon.data / "master_key").read_bytes()
    kinds.keep("master key in hex", master_key.hex())
    kinds.keep("master key in base64", base64.b64encode(master_key).decode())
    kinds.keep("push token", shop.remote.partition("git:")[2].partition("@")[0], pushed_with=True)
    key = kinds.keep("git ssh key", sshd.key_path.read_text())
    host_key = make_key(folder / "host_key")
    kinds.keep("host key", host_key.read_text())
    with (sshd.directory / "authorized_keys").open("a") as allowed:
        allowed.write(public_key(host_key) + "\n")
    kept = f"projects/{shop.name}/secrets"
    login = {"value": kinds.keep("registry", PASSWORD), "username": USERNAME}
    daemon.put(f"{kept}/registry:{shop.images.registry.host}", login)
    daemon.put(f"{kept}/variable:TOKEN", {"value": kinds.make("variable")})
    token = {"value": kinds.texts["git token"], "username": "deploy"}
    for url, secret, repository in (
        (server.url("team/app.git"), {"git-token": token}, server.repository("team/app.git")),
        (sshd.url("app.git"), {"git-ssh-key": {"value": key}}, sshd.repository("app.git")),
    ):
        # Fetched, looked at and refused: nothing of it has to run.
        repository.commit({"compose.yaml": "services: {}\n"})
        name = declare(daemon, shop.engine, url=url, auto_deploy=False)
        for one, body in secret.items():
            daemon.put(f"projects/{name}/secrets/{one}", body)
        if "git-token" in secret:
            daemon.patch(f"projects/{name}", {"forge": "forgejo"})
            daemon.put(f"projects/{name}/secrets/forge-token", {"value": kinds.make("forge token")})
            daemon.patch(f"projects/{name}", {"commit_statuses": True})
    hook = daemon.post("webhooks", {"name": "forgejo", "provider": "forgejo"})
    kinds.keep("webhook secret", hook["secret"])
    address = quote(kinds.make("notification URL"), safe="")
    channel = {"name": "ops", "url": f"http://127.0.0.1:1/{address}"}
    kinds.keep("key of a channel", daemon.post("channels", channel)["signing_key"])
    person = {"name": "ada", "password": kinds.make("person's password")}
    daemon.post("people", {**person, "role": "viewer"})
    signed_in = enter(daemon, **person)
    assert signed_in.status_code == 204, signed_in.text
    for cookie, text in signed_in.cookies.items():
        kinds.keep(f"cookie {cookie}", text)
    host = {"name": "web1", "address": "127.0.0.1", "port": sshd.port, "user": sshd.user}
    daemon.post("hosts", host)
    daemon.put("hosts/web1/key", {"value": host_key.read_text()})


def enter(daemon: Daemon, name: str, password: str) -> httpx2.Response:
    """Sign in with a password, as a page of the daemon does."""
    given, headers = {"name": name, "password": password}, {"origin": daemon.url}
    return httpx2.post(
        f"{daemon.url}/api/v1/sign-in", json=given, headers=headers, timeout=5, trust_env=False
    )


def deploy(shop: Shop, kinds: Kinds) -> None:
    """Have each of the secrets used, well and badly."""
    daemon = shop.daemon
    others = [one["name"] for one in daemon.get("projects")["items"] if one["name"] != shop.name]
    for name in others:
        daemon.patch(f"projects/{name}", {"auto_deploy": True})
        daemon.look(name)
    (offered,) = daemon.get("hosts/web1/offered-keys")["items"]
    daemon.post("hosts/web1/trust", {"fingerprint": offered["fingerprint"]})
    assert daemon.post("hosts/web1/check")["health"]["reachable"] is True
    bearer = {"authorization": f"Bearer {daemon.admin_token}"}
    assert httpx2.get(f"{daemon.url}/api/v1/tokens", headers=bearer, trust_env=False).is_success
    cookies = {
        kind.removeprefix("cookie "): text
        for kind, text in kinds.texts.items()
        if kind.startswith("cookie ")
    }
    assert httpx2.get(f"{daemon.url}/api/v1/me", cookies=cookies, trust_env=False).is_success
    password = kinds.texts["person's password"]
    assert enter(daemon, password, password).status_code == 403, "a password in the wrong place"
    assert httpx2.get(f"{daemon.url}/sign-in/oidc", trust_env=False).status_code >= 400
    assert announce(daemon, kinds.texts["webhook secret"]) < 300
    good = shop.version("one") + 'x-canary: "${TOKEN}"\n'
    shop.push(good)
    shop.deployed(1)
    # Quoted by what refuses it: compose's own parser.
    shop.push(good.replace("stop_signal: KILL", "mem_limit: '${TOKEN}'"))
    assert shop.settled(2)["status"] == "failed"
    for name in others:
        daemon.settled(name)
    eventually(
        lambda: daemon.get("channels/ops/messages")["items"], what="the channel is to be told"
    )
    eventually(lambda: daemon.get("status")["fleet"]["version"], what="the fleet file is followed")
    refuse_database(daemon, kinds)


def announce(daemon: Daemon, secret: str) -> int:
    body = json.dumps(make_push(Provider.FORGEJO, "team/shop", "main")).encode()
    headers = {
        "content-type": "application/json",
        "x-forgejo-event": "push",
        "x-forgejo-delivery": "1",
        **sign(Provider.FORGEJO, body, Secret.of(secret), "1", datetime.now(UTC)),
    }
    url = f"{daemon.url}/webhook/forgejo"
    return httpx2.post(url, content=body, headers=headers, timeout=5, trust_env=False).status_code


def refuse_database(daemon: Daemon, kinds: Kinds) -> None:
    """Have a database refuse us: what is said of it goes to the log that is searched."""
    password = quote(kinds.make("database URL"), safe="")
    with pytest.raises(StoreError) as refused:
        open_store(f"postgresql://me:{password}@127.0.0.1:1/x", lambda _: Vault(KEY), SystemClock())
    with (daemon.folder / "daemon.log").open("a") as log:
        log.write("".join(traceback.format_exception(refused.value)))


def look_everywhere(shop: Shop, needles: dict[bytes, str], folder: Path) -> None:
    """Look for them in all that is kept, shown and written."""
    daemon = shop.daemon
    paths = [path.replace("NAME", shop.name) for path in SHOWN]
    answers = [answer.text for answer in map(daemon.api.get, paths) if answer.is_success]
    assert len(answers) == len(paths)
    pages = [httpx2.get(f"{daemon.url}{path}", trust_env=False).text for path in PAGES]
    write_backup(daemon.data / "state.db", folder / "backup.db")
    limits = Path(f"/proc/{daemon.pid}/limits").read_text()
    assert limits.partition("Max core file size")[2].split()[:2] == ["0", "0"]
    daemon.signal(signal.SIGABRT)  # as a watchdog does: the log has the stacks then
    eventually(lambda: "Fatal Python error: Aborted" in daemon.log)
    texts = {
        "answers": "\n".join([*answers, *pages]).encode(),
        "backup": (folder / "backup.db").read_bytes(),
        **{
            str(path.relative_to(daemon.folder)): path.read_bytes()
            for path in daemon.folder.rglob("*")
            if path.is_file() and path.name != "config.toml"
        },
    }
    assert "data/state.db" in texts
    found = {
        (needles[needle], place)
        for place, text in texts.items()
        for needle in needles
        if needle in text
    }
    assert found == {
        # For as long as the connection to the host is kept; a start takes it away.
        ("host key", "data/run/hosts/web1/key"),
    }


SHOWN = (
    *("projects", "projects/NAME", "projects/NAME/why", "projects/NAME/secrets"),
    *("projects/NAME/triggers", "projects/NAME/images", "deployments", "status", "settings"),
    *(f"deployments/{number}{what}" for number in range(1, 5) for what in ("", "/log")),
    *("tokens", "hosts", "webhooks", "webhooks/forgejo/deliveries", "people", "sessions"),
    *("channels", "channels/ops/messages", "receipts", "receipts/export", "deployments/1/receipt"),
    *("audit", "audit/export", "audit/check", "fleet"),
)
PAGES = ("/", "/docs", "/openapi.json")
