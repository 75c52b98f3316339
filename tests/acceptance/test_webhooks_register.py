"""One command makes a project's webhook at its forge, and says whether the forge gets through."""

from reconciler.domain.webhook import Provider
from tests.parts.daemon import Daemon, Said
from tests.parts.forge import TOKEN, Forge


def create(daemon: Daemon, forge: Forge) -> Said:
    """Run the command; the token comes from a pipe."""
    where = ("--provider", "forgejo", "--forge-url", forge.url, "--url", daemon.url)
    return daemon.cli("webhook", "create", "shop", *where, stdin=f"{TOKEN}\n")


def test_a_webhook_is_made_at_its_forge_and_tried() -> None:
    """E9: the forge's own delivery arrives, and asking again leaves one webhook."""
    with Forge(Provider.FORGEJO) as forge, Daemon() as daemon:
        url = "https://git.example/team/app.git"
        daemon.post("projects", {"name": "shop", "kind": "compose", "url": url})
        for made in (create(daemon, forge), create(daemon, forge)):
            assert made.status == 0, made.err
            assert "its test arrived from 127.0.0.1, and is verified" in made.out
            assert "this machine alone" in made.out  # what often is not meant
            assert TOKEN not in made.out + made.err
        (there,) = forge.hooks.values()
        assert there.url == f"{daemon.url}/webhook/shop"
        assert set(forge.answered) == {202}
        assert TOKEN not in daemon.log
        for file in daemon.data.rglob("state.db*"):
            assert TOKEN.encode() not in file.read_bytes()
