"""Configuration: one declaration, every problem at once, and an example that can't drift."""

import re
import tomllib
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from reconciler.config import Config, Listen, find_api, load_config
from reconciler.config.keys import keys
from reconciler.config.setting import Key
from reconciler.domain.errors import ConfigError
from reconciler.domain.settings import MASTER_SWITCH, POLL_INTERVAL, SETTINGS

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"


def load(tmp_path: Path, text: str = "", **environment: str) -> Config:
    file = tmp_path / "config.toml"
    file.write_text(text)
    return load_config(file, {"HOME": "/home/ada", **environment})


def problems(tmp_path: Path, text: str = "", **environment: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, **environment)
    return caught.value.problems


# ── the example ───────────────────────────────────────────────────────────────────────────────


def example_blocks() -> dict[str, tuple[str, str]]:
    """Return setting → (its comment as one line, its value as TOML text), from the example."""
    blocks, comment, table = {}, list[str](), ""
    for line in EXAMPLE.read_text().splitlines():
        if match := re.fullmatch(r"\[(\w+)\]", line):
            table, comment = f"{match[1]}.", []
        elif match := re.fullmatch(r"# (\w+) = (.+)", line):
            blocks[table + match[1]] = (" ".join(comment), match[2])
            comment = []
        elif line.startswith("# "):
            comment.append(line[2:])
        else:
            comment = []
    return blocks


def as_the_example_says(key: Key) -> str:
    limits = f": {key.limits()}" if key.limits() else ""
    return f"{key.meaning} {key.variable}{limits}"


def test_example_has_every_setting_and_no_other() -> None:
    """The example and the code name the same settings, in the same order."""
    assert list(example_blocks()) == [key.name for _, key in keys()]


@pytest.mark.parametrize("key", [pytest.param(key, id=key.name) for _, key in keys()])
def test_example_says_what_the_code_does(key: Key) -> None:
    """Meaning, variable, unit, limits and default stand in the example as they are in the code."""
    comment, value = example_blocks()[key.name]
    assert comment == as_the_example_says(key)
    assert tomllib.loads(f"it = {value}")["it"] == key.default


def test_example_with_every_line_taken_in_is_the_default(tmp_path: Path) -> None:
    """Uncommented, the example loads, and changes nothing."""
    text = re.sub(r"(?m)^# (\w+ = )", r"\1", EXAMPLE.read_text())
    whole, bare = load(tmp_path, text), load(tmp_path)
    assert whole == bare


# ── values ────────────────────────────────────────────────────────────────────────────────────


def test_defaults(tmp_path: Path) -> None:
    """Without any setting it listens on loopback and keeps its state below the home folder."""
    config = load(tmp_path)
    assert config.listen == Listen("127.0.0.1", 8484)
    assert config.data_folder == Path("/home/ada/.local/state/reconciler")
    assert config.socket == config.data_folder / "run/reconciler.sock"
    assert config.emergency_file == config.data_folder / "STOP"
    assert config.poll_timeout == timedelta(seconds=30)
    assert config.settings == {key: setting.default for key, setting in SETTINGS.items()}
    assert config.warnings == ()


@pytest.mark.parametrize(
    ("text", "environment", "field", "expected"),
    [
        pytest.param(
            'data_folder = "/srv/r"',
            {},
            "socket",
            Path("/srv/r/run/reconciler.sock"),
            id="below-data",
        ),
        pytest.param('data_folder = "~/r"', {}, "data_folder", Path("/home/ada/r"), id="home"),
        pytest.param("", {"XDG_STATE_HOME": "/s"}, "data_folder", Path("/s/reconciler"), id="xdg"),
        pytest.param("kept_revisions = 7", {}, "kept_revisions", 7, id="file"),
        pytest.param(
            "kept_revisions = 7",
            {"RECONCILER_KEPT_REVISIONS": "9"},
            "kept_revisions",
            9,
            id="environment-wins",
        ),
        pytest.param(
            "kept_revisions = 7",
            {"RECONCILER_KEPT_REVISIONS": ""},
            "kept_revisions",
            7,
            id="empty-is-unset",
        ),
        pytest.param(
            "",
            {"RECONCILER_HOST_NAMES": "a.example, B.example"},
            "host_names",
            ("a.example", "b.example"),
            id="list",
        ),
        pytest.param('listen = "[::1]:0"', {}, "listen", Listen("::1", 0), id="ipv6"),
        pytest.param('listen = ""', {}, "listen", None, id="socket-only"),
        pytest.param(
            "",
            {"REGISTRY_ADDR": "Registry.example:5000"},
            "registry_address",
            "registry.example:5000",
            id="registry",
        ),
        pytest.param(
            "[registry]\nuser = 'u'",
            {"REGISTRY_USER": "v"},
            "registry_user",
            "v",
            id="registry-user",
        ),
        pytest.param(
            'allowed_realms = ["r.example:5000=auth.example"]',
            {},
            "allowed_realms",
            (("r.example:5000", "auth.example"),),
            id="realms",
        ),
    ],
)
def test_value(
    tmp_path: Path, text: str, environment: dict[str, str], field: str, expected: object
) -> None:
    """The environment wins over the file, and the file over the default."""
    assert getattr(load(tmp_path, text, **environment), field) == expected


def test_live_settings(tmp_path: Path) -> None:
    """Initial values of live settings come from their table or their variable."""
    config = load(
        tmp_path,
        f"[settings]\n{POLL_INTERVAL} = 15",
        RECONCILER_AUTO_DEPLOY_MASTER_ENABLED="off",
    )
    assert config.settings[POLL_INTERVAL] == 15
    assert config.settings[MASTER_SWITCH] is False


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(
            "data_foldr = '/x'",
            "data_foldr: there is no such setting; did you mean data_folder?",
            id="unknown",
        ),
        pytest.param("zzz = 1", "zzz: there is no such setting", id="unknown-unlike-any"),
        pytest.param(
            f"{POLL_INTERVAL} = 60",
            f"{POLL_INTERVAL}: there is no such setting; did you mean settings.{POLL_INTERVAL}?",
            id="wrong-table",
        ),
        pytest.param("settings = 5", "settings: there is no such setting", id="table-is-no-table"),
        pytest.param(
            "poll_timeout_seconds = 45",
            "poll_timeout_seconds: 45 is above the maximum of 30 seconds",
            id="maximum",
        ),
        pytest.param(
            "poll_timeout_seconds = 0",
            "poll_timeout_seconds: 0 is below the minimum of 1 seconds",
            id="minimum",
        ),
        pytest.param(
            "kept_revisions = true",
            "kept_revisions: true must be a whole number",
            id="switch-for-number",
        ),
        pytest.param(
            "kept_revisions = 1.5", "kept_revisions: 1.5 must be a whole number", id="fraction"
        ),
        pytest.param(
            "kept_revisions = '5'",
            'kept_revisions: "5" must be a whole number',
            id="text-for-number",
        ),
        pytest.param(
            "kept_revisions = 2026-01-01",
            'kept_revisions: "2026-01-01" must be a whole number',
            id="date-for-number",
        ),
        pytest.param(
            "log_level = 'loud'",
            'log_level: "loud" must be one of debug, info, warning, error',
            id="choice",
        ),
        pytest.param(
            "listen = 'nope'",
            'listen: "nope" must be an address and a port, e.g. 127.0.0.1:8484 or [::1]:8484',
            id="listen",
        ),
        pytest.param(
            "listen = '127.0.0.1:70000'",
            'listen: "127.0.0.1:70000" must be an address and a port, '
            "e.g. 127.0.0.1:8484 or [::1]:8484",
            id="port",
        ),
        pytest.param(
            "docker_socket = 'run/docker.sock'",
            'docker_socket: "run/docker.sock" must be an absolute path, or begin with ~/',
            id="relative",
        ),
        pytest.param(
            'data_folder = "/x\\ny"',
            'data_folder: "/x\\ny" must not hold control characters',
            id="newline",
        ),
        pytest.param(
            "host_names = 'a'", 'host_names: "a" must be a list, e.g. ["one", "two"]', id="list"
        ),
        pytest.param(
            "host_names = ['http://a']",
            'host_names: ["http://a"] must hold host names, without https:// and without ports',
            id="host",
        ),
        pytest.param(
            "[registry]\naddress = 'https://r'",
            'registry.address: "https://r" must be a host, or host:port, without https:// '
            "and without a path",
            id="registry",
        ),
        pytest.param(
            "allowed_realms = ['a']",
            'allowed_realms: ["a"] must hold pairs like registry.example.com=auth.example.com',
            id="realms",
        ),
        pytest.param(
            f"[settings]\n{POLL_INTERVAL} = 3",
            f"settings.{POLL_INTERVAL}: 3 is below the minimum of 10 seconds",
            id="live-minimum",
        ),
        pytest.param(
            f"[settings]\n{MASTER_SWITCH} = 1",
            f"settings.{MASTER_SWITCH}: 1 must be true or false",
            id="live-switch",
        ),
    ],
)
def test_problem(tmp_path: Path, text: str, problem: str) -> None:
    """A problem names the key, the value and what would be right."""
    assert problems(tmp_path, text) == (problem,)


def test_every_problem_is_named_at_once(tmp_path: Path) -> None:
    """Nobody has to start the daemon once per mistake."""
    named = problems(
        tmp_path,
        "polls_at_one = 1\nkept_revisions = 0\n[registry]\npassword = 7\n[settings]\nx = 1",
        RECONCILER_LOG_FORMAT="xml",
    )
    assert [problem.partition(":")[0] for problem in named] == [
        "polls_at_one",
        "settings.x",
        "kept_revisions",
        "RECONCILER_LOG_FORMAT (environment)",
        "registry.password",
    ]


def test_secret_is_never_shown(tmp_path: Path) -> None:
    """Neither a problem nor the configuration itself prints a password."""
    assert problems(tmp_path, 'database_url = ["hunter2"]') == (
        "database_url: must be text in quotes",
    )
    assert "hunter2" not in repr(load(tmp_path, 'database_url = "postgresql://u:hunter2@h/d"'))


def test_socket_path_that_the_system_refuses(tmp_path: Path) -> None:
    """A path too long for a unix socket is named with its length and the limit."""
    (problem,) = problems(tmp_path, f"data_folder = '/{'d' * 100}'")
    assert problem.startswith("socket: ")
    assert "has 121 bytes" in problem
    assert "107" in problem
    assert len(str(load(tmp_path, f"socket = '/{'s' * 106}'").socket)) == 107


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"listen = ", "is not TOML", id="syntax"),
        pytest.param(b"a = 1\na = 2", "is not TOML", id="twice"),
        pytest.param(b"\xff\xfe", "is not TOML", id="not-utf8"),
        pytest.param(b"a=" + b"[" * 5000, "is not TOML", id="deep"),
        pytest.param(b"#" * (1 << 20) + b"#", "is over 1 MiB", id="large"),
    ],
)
def test_file_that_is_no_configuration(tmp_path: Path, content: bytes, said: str) -> None:
    """What can't be read as TOML is one problem that names the file."""
    file = tmp_path / "config.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        load_config(file, {})


def test_file_that_was_named_and_is_not_there(tmp_path: Path) -> None:
    """A file asked for by name is never silently left out."""
    with pytest.raises(ConfigError, match="can't be read"):
        load_config(None, {"RECONCILER_CONFIG": str(tmp_path / "no.toml")})


def test_file_below_the_home_folder_is_found() -> None:
    """Without a name, the operator's own file is taken."""
    # Short, as homes are: the socket's path in it has 107 bytes at most.
    with TemporaryDirectory(dir="/tmp") as home:
        file = Path(home) / ".config/reconciler/config.toml"
        file.parent.mkdir(parents=True)
        file.write_text("kept_revisions = 8")
        config = load_config(None, {"HOME": home})
    assert (config.kept_revisions, config.file) == (8, file)


# ── what is allowed, and perhaps not meant ────────────────────────────────────────────────────


def test_password_that_others_can_read_is_warned_of(tmp_path: Path) -> None:
    """The warning ends with the command that helps."""
    text = "[registry]\naddress = 'r.example'\nuser = 'u'\npassword = 'p4ssw0rd'"
    (warning,) = load(tmp_path, text).warnings
    assert warning.endswith(f"chmod 600 {tmp_path}/config.toml")
    (tmp_path / "config.toml").chmod(0o600)
    assert load_config(tmp_path / "config.toml", {}).warnings == ()


@pytest.mark.parametrize(
    ("environment", "count"),
    [
        pytest.param({"RECONCILER_KEPT_REVISION": "5"}, 1, id="slip-of-the-pen"),
        pytest.param({"RECONCILER_SERVICE_HOST": "10.0.0.1"}, 0, id="orchestrator"),
        pytest.param({"RECONCILER_TOKEN": "x", "RECONCILER_URL": "y"}, 0, id="command-line"),
        pytest.param({"REGISTRY_USER": "u"}, 1, id="user-without-password"),
    ],
)
def test_warning(tmp_path: Path, environment: dict[str, str], count: int) -> None:
    """Likely mistakes are named, and stop nothing."""
    assert len(load(tmp_path, **environment).warnings) == count


# ── who reaches it ────────────────────────────────────────────────────────────────────────────

TLS = {"RECONCILER_TLS_CERTIFICATE": "/c.pem", "RECONCILER_TLS_KEY_FILE": "/k.pem"}
PROXY = {"RECONCILER_TRUSTED_PROXIES": "127.0.0.1, 172.18.0.0/16"}


@pytest.mark.parametrize(
    "listen",
    ["0.0.0.0:8484", "[::]:8484", "0:8484", "10.0.0.7:80", "127.example:80", "deploy.example:0"],
)
def test_nothing_is_served_to_other_machines_in_clear_text(tmp_path: Path, listen: str) -> None:
    """One line names the setting, its value and the three ways out; each of them is one."""
    (problem,) = problems(tmp_path, RECONCILER_LISTEN=listen)
    assert problem.startswith(f"listen: {listen} can be reached from other machines")
    for remedy in ("tls_certificate", "trusted_proxies", "listen on 127.0.0.1:"):
        assert remedy in problem
    for remedied in (TLS, PROXY):
        assert str(load(tmp_path, RECONCILER_LISTEN=listen, **remedied).listen) == listen


@pytest.mark.parametrize("listen", ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "localhost:1", ""])
def test_loopback_needs_neither(tmp_path: Path, listen: str) -> None:
    """Nor does a daemon that listens on its socket alone."""
    assert load(tmp_path, f'listen = "{listen}"').warnings == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('tls_certificate = "/c.pem"', "tls_certificate: goes with tls_key_file"),
        ('tls_key_file = "/k.pem"', "tls_key_file: goes with tls_certificate"),
        ('trusted_proxies = ["0.0.0.0/0"]', "anybody could say who they are"),
        ('trusted_proxies = ["::/0"]', "anybody could say who they are"),
        ('trusted_proxies = ["traefik"]', "must hold addresses and networks"),
        ('trusted_proxies = ["10.0.0.1/8"]', "must hold addresses and networks"),
        ("trusted_proxies = [1]", "must be text in quotes"),
        ('sign_in_header = "Remote-User"', "name the proxy that sets it in trusted_proxies"),
        ('sign_in_header = "Remote User"', "must be the name of a header"),
        ('sign_in_header = "Cookie"', "a meaning of its own"),
        ('sign_in_role = "root"', "must be one of viewer, operator, admin"),
        ('oidc_issuer = "http://id.example"', "must begin with https://"),
        (
            'oidc_issuer = "https://id.example"\npublic_url = "https://d.example"',
            "needs oidc_client_id too",
        ),
        ('oidc_issuer = "https://id.example"\noidc_client_id = "r"', "needs public_url too"),
        ('oidc_claim = "name"', "must be one of preferred_username, email, sub"),
    ],
)
def test_sign_in_that_could_not_be_relied_on_is_refused(
    tmp_path: Path, text: str, problem: str
) -> None:
    """Half a pair, a proxy that is everybody, a header that nobody vouches for."""
    (found,) = problems(tmp_path, text)
    assert problem in found


def test_an_issuer_is_kept_letter_by_letter(tmp_path: Path) -> None:
    """Some end in a slash, and what does not match exactly is another one."""
    text = 'oidc_client_id = "r"\npublic_url = "https://d.example"\noidc_issuer = '
    config = load(tmp_path, f'{text}"https://id.example/application/o/r/"')
    assert config.oidc_issuer == "https://id.example/application/o/r/"


# ── the command line's way to the daemon ──────────────────────────────────────────────────────


def test_command_line_and_daemon_find_the_same_socket(tmp_path: Path) -> None:
    """One rule for both, the file included."""
    file = tmp_path / "config.toml"
    file.write_text(f"data_folder = '{tmp_path}'\nlisten = 'wrong, and none of its business'")
    assert find_api(environment={"RECONCILER_CONFIG": str(file)}).socket == (
        tmp_path / "run/reconciler.sock"
    )
    assert find_api(environment={"RECONCILER_SOCKET": "/run/r.sock"}).socket == Path("/run/r.sock")


def test_file_that_may_not_be_read(tmp_path: Path) -> None:
    """It is named, and not taken for absent; who names the socket does not need it."""
    folder = tmp_path / ".config/reconciler"
    folder.mkdir(parents=True)
    (folder / "config.toml").mkdir()
    environment = {"HOME": str(tmp_path)}
    for read in (load_config, lambda file, environment: find_api("", environment)):
        with pytest.raises(ConfigError, match=r"config\.toml: can't be read"):
            read(None, environment)
    assert find_api("", {**environment, "RECONCILER_SOCKET": "/s"}).socket == Path("/s")


def test_url_and_token_come_from_the_environment() -> None:
    """A URL wins over the socket, and the token never prints itself."""
    api = find_api(
        environment={"RECONCILER_URL": "https://d.example", "RECONCILER_TOKEN": "t0ken\n"}
    )
    assert api.url == "https://d.example"
    assert api.token
    assert api.token.reveal() == "t0ken"
    assert "t0ken" not in repr(api)


# ── the fleet file ────────────────────────────────────────────────────────────────────────────


def test_a_fleet_file_is_here_or_in_a_repository(tmp_path: Path) -> None:
    """Kept here by its name, or elsewhere by its URL."""
    here = load(tmp_path, 'fleet_repository = "ops"\nfleet_path = "prod.yaml"')
    assert (here.fleet_repository, here.fleet_path) == ("ops", "prod.yaml")
    elsewhere = load(tmp_path, 'fleet_repository = "git@git.example:ops.git"')
    assert str(elsewhere.fleet_repository) == "ssh://git@git.example/ops.git"
    assert load(tmp_path).fleet_file is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('fleet_file = "/f.toml"\nfleet_repository = "ops"', "exclude each other"),
        ('fleet_file = "/f.ini"', "fleet_file: '/f.ini' does not end in .toml, .yaml"),
        ('fleet_path = "f"', "fleet_path: 'f' does not end in .toml, .yaml"),
        ('fleet_path = "../f.toml"', "fleet_path: "),
        ('fleet_branch = "-x"', "fleet_branch: "),
        ('fleet_repository = "Ops"', "fleet_repository: "),
        ('fleet_repository = "https://me:hunter2@git.example/o.git"', "set fleet_user"),
        ('fleet_repository = "https://hunter2@git.example/o%20.git"', "is not a plain"),
    ],
)
def test_a_fleet_file_that_can_not_be(tmp_path: Path, text: str, problem: str) -> None:
    """Named before the start, and no password in a URL is shown."""
    (found,) = problems(tmp_path, text)
    assert problem in found
    assert "hunter2" not in found


def test_the_public_url_is_a_plain_one_and_its_host_is_ours(tmp_path: Path) -> None:
    """Forges are given it; requests for its host are answered."""
    config = load(tmp_path, 'public_url = "https://deploy.example.com:8443/hooks/"')
    assert str(config.public_url) == "https://deploy.example.com:8443/hooks"
    assert config.own_names == ("deploy.example.com",)
    assert load(tmp_path).public_url is None
    for wrong in (
        "deploy.example.com",
        "ftp://a.example",
        "https://me:pw@a.example",
        "https://a?b",
    ):
        (problem,) = problems(tmp_path, f'public_url = "{wrong}"')
        assert problem.startswith("public_url:")
        assert "pw@" not in problem
