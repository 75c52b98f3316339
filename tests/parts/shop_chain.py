"""A shop of two environments: test gets what is pushed, production what was verified there."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.domain.health_check import declaration_of
from reconciler.domain.version_check import declaration_of as declaration_of_version
from tests.parts.child import free_port
from tests.parts.daemon import Daemon
from tests.parts.git_server import GitServer
from tests.parts.promotion_rig import APP_SERVICE, VERSION, check, push_app
from tests.parts.shop import Images, Pushed, Shop, external_shop, hosted_shop, removing


@dataclass
class ShopChain:
    """Both environments on one daemon."""

    test: Shop
    production: Shop

    @property
    def daemon(self) -> Daemon:
        """Which carries both."""
        return self.test.daemon

    @property
    def tag(self) -> str:
        """Of the image that both compose files name."""
        return f"{self.test.name}:1"

    def commit(self, note: str) -> str:
        """Commit a version whose image tells that commit, and push the image; return the commit."""
        web = f"{self.test.images.at(self.tag)}\n{APP_SERVICE}"
        commit = self.test.commit(self.test.compose(web), README=note)
        push_app(self.test.engine, self.test.images.registry, self.tag, commit)
        return commit

    def release(self, note: str) -> Pushed:
        """As `commit`, and then push that."""
        commit = self.commit(note)
        pushed = self.test.push()
        assert pushed.ok, pushed.said
        return replace(pushed, commit=commit)


@contextmanager
def shop_chain(daemon: Daemon, images: Images, folder: Path) -> Iterator[ShopChain]:
    """Give both until the block ends; what test verified goes on by itself."""
    declared = {"version": declaration_of_version(VERSION)}
    with hosted_shop(daemon, images, folder, **declared) as test, next_of(test) as production:
        yield ShopChain(test, production)


@contextmanager
def external_chain(daemon: Daemon, images: Images, server: GitServer) -> Iterator[ShopChain]:
    """As `shop_chain`, of a repository elsewhere, which is polled."""
    version = declaration_of_version(VERSION)
    repository, url = server.repository("shop.git"), server.url("shop.git")
    with (
        external_shop(daemon, images, repository, url, version=version, auto_deploy=False) as test,
        next_of(test) as production,
    ):
        test.enable()
        yield ShopChain(test, production)


@contextmanager
def next_of(test: Shop) -> Iterator[Shop]:
    """Give production until the block ends; both have the contract's checks."""
    daemon, name = test.daemon, f"{test.name}-production"
    _give_contract(daemon, test.name)
    environment = {"name": "production", "promoted_from": test.name}
    daemon.post("projects", {"name": name, "environment": environment, "auto_deploy": True})
    _give_contract(daemon, name)
    with removing(daemon, test.engine, name):
        yield replace(test, name=name)


def _give_contract(daemon: Daemon, name: str) -> None:
    port = free_port()
    checks = {
        "health": declaration_of(check(port, "/healthz")),
        "ready": declaration_of(check(port, "/ready")),
    }
    daemon.post(f"projects/{name}/targets", {"host": "local", **checks})
    daemon.put(f"projects/{name}/secrets/variable:PORT", {"value": str(port)})
