"""Credentials are chosen per host, in one order; a broken source of them breaks nothing else."""

import base64
import json
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.adapters.process import LocalRunner
from reconciler.adapters.registry.credentials import (
    CredentialChain,
    CredentialHelpers,
    configured_credentials,
)
from reconciler.adapters.registry.docker_config import DockerConfigFile, find_registry_host
from reconciler.domain.references import ProjectName
from reconciler.domain.secret import Secret
from reconciler.ports import RegistryCredentials
from reconciler.testing import ManualClock, RecordingRunner

HOST = "registry.example:5000"


def credentials(username: str, host: str = HOST, *, identity: bool = False) -> RegistryCredentials:
    return RegistryCredentials(host, username, Secret.of(f"of {username}"), identity)


def auth(username: str) -> str:
    return base64.b64encode(f"{username}:of {username}".encode()).decode()


@pytest.fixture
def config_path(tmp_path: Path) -> Path:
    return tmp_path / "config.json"


@pytest.fixture
def write(config_path: Path) -> Callable[[object], None]:
    def write(content: object) -> None:
        config_path.write_text(content if isinstance(content, str) else json.dumps(content))

    return write


def from_file(path: Path) -> CredentialChain:
    return CredentialChain(lambda _host, _project: None, docker_config=DockerConfigFile(path))


class TestOrder:
    """Stored, configured, helper of the host, helper of all, the file itself, nobody."""

    def test_each_source_comes_before_the_next(
        self, config_path: Path, write: Callable[[object], None]
    ) -> None:
        """Taking one source away after the other shows the next."""
        answer = json.dumps({"ServerURL": HOST, "Username": "kept", "Secret": "of kept"})
        runner = RecordingRunner({("docker-credential-vault", "get"): (0, answer, "")})
        helpers = CredentialHelpers(runner, ManualClock())
        stored: dict[tuple[str, ProjectName | None], RegistryCredentials] = {
            (HOST, ProjectName("web")): credentials("stored")
        }
        write({"auths": {HOST: {"auth": auth("filed")}}, "credHelpers": {HOST: "vault"}})
        file = DockerConfigFile(config_path)
        configured = credentials("configured")
        find = stored.get

        def chain(*, given: RegistryCredentials | None) -> CredentialChain:
            return CredentialChain(
                lambda host, project: find((host, project)), given, file, helpers
            )

        assert chain(given=configured).find(HOST, ProjectName("web")) == credentials("stored")
        assert chain(given=configured).find(HOST, ProjectName("other")) == configured
        assert chain(given=configured).find(HOST) == configured
        assert chain(given=None).find(HOST) == credentials("kept")
        write({"auths": {HOST: {"auth": auth("filed")}}, "credsStore": ""})
        assert chain(given=None).find(HOST) == credentials("filed")
        assert chain(given=None).find("other.example") is None

    def test_configured_credentials_stay_with_their_host(self) -> None:
        """`REGISTRY_ADDR` names one registry, however it is written."""
        for address in (HOST, f"https://{HOST}", f"https://{HOST}/v2/", HOST.upper()):
            configured = configured_credentials(address, "u", Secret.of("p"))
            assert configured == RegistryCredentials(HOST, "u", Secret.of("p"))
            chain = CredentialChain(lambda _host, _project: None, configured)
            assert chain.find(HOST) == configured
            assert chain.find("registry.example") is None
            assert chain.find("docker.io") is None
        assert configured_credentials("", "u", Secret.of("p")) is None
        assert configured_credentials(HOST, "", Secret.of("p")) is None

    def test_stored_credentials_of_another_host_are_not_used(self) -> None:
        """A store that answers with the wrong row gives nothing away."""
        chain = CredentialChain(lambda _host, _project: credentials("u", "a.example"))
        assert chain.find("b.example") is None
        assert chain.find("a.example") == credentials("u", "a.example")


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ("ghcr.io", "ghcr.io"),
        ("https://ghcr.io", "ghcr.io"),
        ("http://ghcr.io/", "ghcr.io"),
        ("https://ghcr.io/v1/", "ghcr.io"),
        ("https://ghcr.io/v2", "ghcr.io"),
        ("GHCR.io", "ghcr.io"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
        ("localhost:5000", "localhost:5000"),
        ("https://gitlab.example/group/app", None),
        ("", None),
        ("https://", None),
    ],
)
def test_names_of_registries_are_brought_to_one_form(written: str, host: str | None) -> None:
    """What stands in config.json names the same host as the image does."""
    assert find_registry_host(written) == host


class TestDockerConfig:
    """Docker's own file."""

    def test_docker_hub_and_plain_names(
        self, config_path: Path, write: Callable[[object], None]
    ) -> None:
        """Hub's odd key, separate fields, NUL padding, and the plain name before the URL."""
        write(
            {
                "auths": {
                    "https://index.docker.io/v1/": {"auth": auth("hub")},
                    "https://r.example/v2/": {"auth": auth("by-url")},
                    "r.example": {"auth": auth("by-name")},
                    "b.example": {"username": "plain", "password": "of plain"},
                    "n.example": {"auth": base64.b64encode(b"nul:of nul\0\0").decode()},
                    "c.example": {"auth": base64.b64encode(b"colon:a:b").decode()},
                    "e.example": {},
                }
            }
        )
        chain = from_file(config_path)
        assert chain.find("docker.io") == credentials("hub", "docker.io")
        assert chain.find("r.example") == credentials("by-name", "r.example")
        assert chain.find("b.example") == credentials("plain", "b.example")
        assert chain.find("n.example") == credentials("nul", "n.example")
        colon = chain.find("c.example")
        assert colon is not None
        assert colon.password.reveal() == "a:b"
        assert chain.find("e.example") is None

    def test_identity_tokens(self, config_path: Path, write: Callable[[object], None]) -> None:
        """`docker login` at some registries leaves a refresh token in place of a password."""
        pair = base64.b64encode(b"00000000-0000-0000-0000-000000000000:").decode()
        write({"auths": {HOST: {"auth": pair, "identitytoken": "refresh"}}})
        found = from_file(config_path).find(HOST)
        assert found is not None
        assert found.identity_token
        assert found.password.reveal() == "refresh"

    def test_a_changed_file_is_read_again(
        self, config_path: Path, write: Callable[[object], None]
    ) -> None:
        """`docker login` counts from the next look-up on; so do its absence and its return."""
        chain = from_file(config_path)
        assert chain.find(HOST) is None
        write({"auths": {HOST: {"auth": auth("first")}}})
        assert chain.find(HOST) == credentials("first")
        write({"auths": {HOST: {"auth": auth("second one")}}})
        assert chain.find(HOST) == credentials("second one")
        config_path.unlink()
        assert chain.find(HOST) is None

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            pytest.param("", "not JSON", id="empty"),
            pytest.param("{,}", "not JSON", id="not-json"),
            pytest.param("[" * 100_000, "not JSON", id="too-deep"),
            pytest.param("[]", "not a JSON object", id="list"),
            pytest.param(" " * (2 << 20), "larger than", id="two-megabytes"),
            pytest.param({"auths": []}, "", id="auths-an-empty-list"),
            pytest.param({"auths": ["x"]}, "auths is not an object", id="auths-a-list"),
            pytest.param({"auths": {HOST: "x"}}, "not a registry", id="entry-a-text"),
            pytest.param({"auths": {HOST: {"auth": "%%%"}}}, "not base64", id="not-base64"),
            pytest.param({"auths": {HOST: {"auth": "YWJj"}}}, "not base64", id="no-colon"),
            pytest.param({"auths": {HOST: {"auth": 7}}}, "not base64", id="a-number"),
            pytest.param({"credsStore": "../x"}, "name a helper", id="store-with-a-path"),
            pytest.param({"credsStore": "-x"}, "name a helper", id="store-with-a-dash"),
            pytest.param({"credHelpers": {HOST: "a b"}}, "name a helper", id="helper-with-a-blank"),
            pytest.param({"credHelpers": {HOST: 7}}, "name a helper", id="helper-a-number"),
        ],
    )
    def test_what_cannot_be_used_is_said_once_and_left_out(
        self,
        config_path: Path,
        write: Callable[[object], None],
        caplog: pytest.LogCaptureFixture,
        content: object,
        problem: str,
    ) -> None:
        """The look-up goes on as nobody; the log names file and problem, never the content."""
        write(content)
        chain = from_file(config_path)
        with caplog.at_level(logging.WARNING):
            assert chain.find(HOST) is None
            assert chain.find(HOST) is None
        messages = [record.getMessage() for record in caplog.records]
        assert len(messages) == bool(problem)
        assert all(problem in message and str(config_path) in message for message in messages)

    def test_one_bad_entry_spares_the_others(
        self, config_path: Path, write: Callable[[object], None]
    ) -> None:
        """A registry with a broken entry does not cost the next one its password."""
        write({"auths": {"bad.example": {"auth": "%"}, HOST: {"auth": auth("good")}}})
        assert from_file(config_path).find(HOST) == credentials("good")


class TestHelpers:
    """``docker-credential-NAME get``, as a real process."""

    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A folder on `PATH` for the helpers of one test."""
        folder = tmp_path / "bin"
        folder.mkdir()
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        return folder

    @staticmethod
    def install(folder: Path, body: str) -> Path:
        """Write a helper that notes what it was asked, and then does ``body``."""
        calls = folder / "calls"
        calls.touch()
        program = folder / "docker-credential-tests"
        program.write_text(f'#!/bin/sh\nread -r host\necho "$# $1 $host" >>{calls}\n{body}\n')
        program.chmod(0o700)
        return calls

    @staticmethod
    def helpers(clock: ManualClock | None = None) -> CredentialHelpers:
        return CredentialHelpers(LocalRunner("tests"), clock or ManualClock())

    def test_the_host_goes_in_by_stdin_and_the_answer_is_kept(self, folder: Path) -> None:
        """One process for many look-ups, another one after some minutes."""
        calls = self.install(folder, 'echo \'{"Username": "u", "Secret": "of u"}\'')
        clock = ManualClock()
        helpers = self.helpers(clock)
        for _ in range(3):
            assert helpers.find("tests", HOST) == credentials("u")
        assert calls.read_text().splitlines() == [f"1 get {HOST}"]
        clock.advance(timedelta(minutes=5))
        assert helpers.find("tests", HOST) == credentials("u")
        assert len(calls.read_text().splitlines()) == 2

    def test_docker_hub_is_asked_for_by_its_key(self, folder: Path) -> None:
        """Helpers know Docker Hub under the name that `docker login` uses."""
        calls = self.install(folder, "exit 1")
        self.helpers().find("tests", "docker.io")
        assert calls.read_text() == "1 get https://index.docker.io/v1/\n"

    def test_an_identity_token(self, folder: Path) -> None:
        """The user name ``<token>`` says that the secret is a refresh token."""
        self.install(folder, 'echo \'{"Username": "<token>", "Secret": "refresh"}\'')
        found = self.helpers().find("tests", HOST)
        assert found == RegistryCredentials(HOST, "", Secret.of("refresh"), identity_token=True)

    def test_many_look_ups_at_once_run_it_once(self, folder: Path) -> None:
        """The others wait for the one that is running."""
        calls = self.install(folder, 'sleep 0.2; echo \'{"Username": "u", "Secret": "of u"}\'')
        helpers, start = self.helpers(), threading.Barrier(8)

        def look_up(_: int) -> RegistryCredentials | None:
            start.wait()
            return helpers.find("tests", HOST)

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(look_up, range(8))) == {credentials("u")}
        assert len(calls.read_text().splitlines()) == 1

    @pytest.mark.parametrize(
        ("body", "problem"),
        [
            pytest.param("echo credentials not found in native keychain; exit 1", "", id="nothing"),
            pytest.param("echo s3cret; exit 3", "exit status 3", id="failure"),
            pytest.param("echo s3cret", "it gave none", id="not-json"),
            pytest.param("echo '[]'", "it gave none", id="a-list"),
            pytest.param('echo \'{"Username": "u"}\'', "it gave none", id="no-secret"),
            pytest.param("head -c 100000 /dev/zero", "more than 65536 bytes", id="too-much"),
        ],
    )
    def test_one_that_fails_gives_nobody(
        self, folder: Path, caplog: pytest.LogCaptureFixture, body: str, problem: str
    ) -> None:
        """The log names the helper and the host, and never what the helper printed."""
        self.install(folder, body)
        assert self.helpers().find("tests", HOST) is None
        assert all(problem in record.getMessage() for record in caplog.records)
        assert len(caplog.records) == bool(problem)
        assert "s3cret" not in caplog.text

    def test_one_that_is_not_installed_gives_nobody(self, caplog: pytest.LogCaptureFixture) -> None:
        """The log says which program is missing."""
        assert self.helpers().find("not-installed", HOST) is None
        assert "docker-credential-not-installed can't be started" in caplog.text
