"""Compose files of strangers: what is read, and what is refused before it can hurt."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.adapters.compose_file import RuamelComposeReader
from reconciler.domain.compose import ComposeFile, Reach, ReachKind
from reconciler.domain.errors import InvalidComposeFile

READER = RuamelComposeReader()


def read(text: str) -> ComposeFile:
    return READER.read(text.encode())


def test_services_are_read_in_file_order() -> None:
    """Name, image, labels, profiles and whether it could be built, as written."""
    file = read(
        "x-base: &base {restart: always, labels: [a=b, c]}\n"
        "services:\n"
        "  web:\n    <<: *base\n    image: acme/web:${TAG:-1}\n    build: .\n"
        "  db:\n    image: postgres:16\n    labels: {reconciler.stateful: true, n: 1}\n"
        "    profiles: [data]\n"
    )
    web, db = file.services
    assert (web.name, web.image, web.builds) == ("web", "acme/web:${TAG:-1}", True)
    assert web.labels == {"a": "b", "c": ""}
    assert db.labels == {"reconciler.stateful": "true", "n": "1"}
    assert (db.profiles, db.builds) == (("data",), False)
    assert db.is_stateful(())


def test_what_is_built_is_told_by_the_file_itself() -> None:
    """Without a name for its image, or by compose's own policy; that has to be text."""
    one, two, three = read(
        "services:\n"
        "  one: {build: .}\n"
        "  two: {build: ., image: a, pull_policy: build}\n"
        "  three: {build: ., image: a, pull_policy: always}\n"
    ).services
    assert (one.is_built, two.is_built, three.is_built) == (True, True, False)
    with pytest.raises(InvalidComposeFile, match=r"services.web.pull_policy must be text"):
        read("services: {web: {image: a, pull_policy: [build]}}")


@pytest.mark.parametrize(
    ("text", "image"),
    [
        pytest.param("22:22", "22:22", id="not-base-60"),
        pytest.param("on", "on", id="not-a-boolean"),
        pytest.param("0755", "0755", id="not-octal"),
        pytest.param("1e3", "1e3", id="not-a-float"),
        pytest.param("2026-01-01", "2026-01-01", id="not-a-date"),
        pytest.param("'null'", "null", id="quoted-null-is-text"),
        pytest.param("null", None, id="null"),
        pytest.param("~", None, id="tilde"),
        pytest.param("!override a:1", "a:1", id="override"),
        pytest.param("!reset a:1", None, id="reset"),
        pytest.param("!!str 12", "12", id="core-tag"),
        pytest.param("''", None, id="empty"),
    ],
)
def test_scalars_mean_what_yaml_1_2_says(text: str, image: str | None) -> None:
    """Compose reads YAML 1.2; an image is the text that was written."""
    assert read(f"services: {{web: {{image: {text}}}}}").services[0].image == image


def test_merge_keys_yield_to_what_is_written_and_to_earlier_sources() -> None:
    """``<<`` adds only what is not there."""
    file = read(
        "x-a: &a {image: a}\nx-b: &b {image: b, profiles: [b]}\n"
        "services:\n  one: {<<: [*a, *b]}\n  two: {<<: *b, image: own}\n"
    )
    assert [service.image for service in file.services] == ["a", "own"]
    assert file.services[0].profiles == ("b",)


LAUGHS = "".join(
    f"{this}: &{this} [{','.join(['*' + last] * 9)}]\n"
    for last, this in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "".join(
    f"{this}: &{this}\n  <<: [{','.join(['*' + last] * 40)}]\n  z{this}: 1\n"
    for last, this in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("", "is empty", id="empty"),
        pytest.param("# nothing\n", "is empty", id="only-a-comment"),
        pytest.param("hello", "must be a mapping", id="text"),
        pytest.param("- a", "must be a mapping", id="list"),
        pytest.param("volumes: {}", "no services", id="no-services"),
        pytest.param("services:", "no services", id="services-null"),
        pytest.param("services: [web]", "services must be a mapping", id="services-list"),
        pytest.param("services: {web: text}", "services.web must be", id="service-text"),
        pytest.param("services: {web: }", "services.web must be", id="service-null"),
        pytest.param("services: {web: {image: [a]}}", "services.web.image", id="image-list"),
        pytest.param("services: {-web: {image: a}}", "services: '-web'", id="service-name"),
        pytest.param("services: {a: {provider: {type: x}}}", "provider", id="provider"),
        pytest.param("services: {a: {image: b, labels: 3}}", "labels must be", id="labels"),
        pytest.param("services: {a: {image: b, labels: {c: []}}}", "labels must", id="label-list"),
        pytest.param("services:\n\tweb: {}", r"cannot start any token .line 2, column 1", id="tab"),
        pytest.param("a: \0x", "not YAML", id="nul"),
        pytest.param("a: [b\nc: d", "line 2", id="unclosed"),
        pytest.param("services: {}\n---\nb: 1", "second document", id="two-documents"),
        pytest.param("a: 1\nb: 2\na: 3", "'a' is there twice .line 3, column 1", id="duplicate"),
        pytest.param("a: {b: 1, b: 2}", "'b' is there twice", id="duplicate-in-flow"),
        pytest.param("? [a]\n: b", "a key must be text", id="list-as-key"),
        pytest.param("? *a\n: b", "names nothing", id="alias-as-key"),
        pytest.param("a: *b", "names nothing", id="unknown-alias"),
        pytest.param("a: &a [*a]", "names nothing", id="self-alias"),
        pytest.param("a: &a {b: *a}", "names nothing", id="self-alias-in-map"),
        pytest.param("<<: 3", "takes a mapping", id="merge-of-text"),
        pytest.param("a: !!python/object/apply:os.system [id]", "tag", id="python-tag"),
        pytest.param("a: !include x", "tag !include", id="unknown-tag"),
        pytest.param("a: &a [x,x,x,x,x,x,x,x,x]\n" + LAUGHS, "aliases expand", id="alias-bomb"),
        pytest.param(
            "a: &a {" + ",".join(f"k{i}: 1" for i in range(50)) + "}\n" + MERGES,
            "aliases expand",
            id="merge-bomb",
        ),
        pytest.param("a: &a x\nb: [" + "*a," * 501 + "]", "500 aliases", id="many-aliases"),
        pytest.param("[" * 100_000, "deeper than 40", id="deep"),
        pytest.param("? " * 3000 + "x", "a key must be text", id="nested-keys"),
        pytest.param("- " * 3000 + "x", "deeper than 40", id="nested-lists"),
        pytest.param("".join(f"k{i}: 1\n" for i in range(30_000)), "20000 values", id="keys"),
        pytest.param("#" * (2 << 20), "2097152 bytes; the limit is 1048576", id="two-megabytes"),
    ],
)
def test_bad_files_are_refused_with_the_place(text: str, problem: str) -> None:
    """Each says what is wrong, in under two seconds, whatever it was meant to grow into."""
    began = time.process_time()
    with pytest.raises(InvalidComposeFile, match=problem):
        read(text)
    assert time.process_time() - began < 2


def test_bytes_that_are_no_text_are_refused_with_their_line() -> None:
    """Compose files are UTF-8."""
    with pytest.raises(InvalidComposeFile, match=r"not UTF-8 text .line 2"):
        READER.read(b"services:\n  a\xff: {}")


def test_a_byte_order_mark_is_no_part_of_the_file() -> None:
    """Editors write one; compose ignores it."""
    assert READER.read(b"\xef\xbb\xbfservices: {a: {image: b}}").services[0].name == "a"


def test_a_file_may_consist_of_includes() -> None:
    """Then there is nothing to watch in it, and nothing wrong with it."""
    assert read("include: [a.yaml]").services == ()


def test_every_path_that_compose_would_open_is_found() -> None:
    """Includes, extends, environment files, configs, secrets and mounts, in all their spellings."""
    file = read(
        """
        include:
          - a.yaml
          - {path: [b.yaml, c.yaml], env_file: b.env, project_directory: x}
        services:
          web:
            image: a
            extends: {file: base.yaml, service: web}
            env_file: [one.env, {path: two.env, required: false}]
            label_file: labels
            volumes:
              - ./data:/data:ro
              - named:/named
              - /etc:/etc
              - ${DIR:-./d}:/d
              - ~/home:/home
              - {type: bind, source: ../up, target: /up}
              - {type: volume, source: named, target: /x}
          side: {image: a, extends: {service: web}, env_file: side.env}
        configs: {c: {file: ./c.conf}}
        secrets: {s: {file: ../s}, t: {environment: T}}
        volumes: {v: {driver_opts: {type: none, o: bind, device: ./v}}, w: {}}
        """
    )
    kinds: dict[ReachKind, list[str]] = {}
    for reach in file.reaches:
        kinds.setdefault(reach.kind, []).append(reach.path)
    assert kinds == {
        ReachKind.COMPOSE: ["a.yaml", "b.yaml", "c.yaml", "base.yaml"],
        ReachKind.ENVIRONMENT: ["b.env", "one.env", "two.env", "labels", "side.env"],
        ReachKind.FOLDER: ["x"],
        ReachKind.FILE: ["./c.conf", "../s"],
        ReachKind.MOUNT: ["./v", "./data", "${DIR:-./d}", "~/home", "../up"],
    }
    assert Reach(ReachKind.ENVIRONMENT, "two.env", "services.web.env_file", True) in file.reaches


@given(st.text(max_size=300))
def test_whatever_is_read_is_read_or_refused(text: str) -> None:
    """No text makes the reader fail otherwise."""
    with suppress(InvalidComposeFile):
        assert READER.read(text.encode("utf-8", "surrogatepass")).services


@given(st.text(alphabet="abk:-[]{}&*<!?|> \n\t'\"#,0", max_size=60))
def test_yaml_like_noise_is_read_or_refused(text: str) -> None:
    """The same for text that looks like YAML."""
    with suppress(InvalidComposeFile):
        assert read(text).services


# ── .env ──────────────────────────────────────────────────────────────────────────────────────

#: What compose 2.26 makes of each; the integration suite asks compose itself.
ENVIRONMENT_FILES = [
    pytest.param("A=b", {"A": "b"}, id="plain"),
    pytest.param("export A=b", {"A": "b"}, id="export"),
    pytest.param("A = b ", {"A": "b"}, id="spaces"),
    pytest.param("A: b", {"A": "b"}, id="colon"),
    pytest.param("A=", {"A": ""}, id="empty"),
    pytest.param("# c\n\nA=b # c", {"A": "b"}, id="comments"),
    pytest.param("A=b#c", {"A": "b#c"}, id="hash-inside"),
    pytest.param("A='b $C'", {"A": "b $C"}, id="single-quotes"),
    pytest.param('A="b\\nc"', {"A": "b\nc"}, id="escape"),
    pytest.param('A="b\nc"\nD=e', {"A": "b\nc", "D": "e"}, id="several-lines"),
    pytest.param("A=b\nC=${A}d$A", {"A": "b", "C": "bdb"}, id="earlier-line"),
    pytest.param("A=${NONE:-x}", {"A": "x"}, id="default"),
    pytest.param("A=$NONE", {"A": ""}, id="unset-is-empty"),
    pytest.param('A="a\\$b"', {"A": "a$b"}, id="escaped-dollar"),
    pytest.param("A=b\r\nC=d\r\n", {"A": "b", "C": "d"}, id="windows-lines"),
    pytest.param("A=b\nA=c", {"A": "c"}, id="last-wins"),
]


@pytest.mark.parametrize(("text", "variables"), ENVIRONMENT_FILES)
def test_environment_files_read_as_compose_reads_them(text: str, variables: dict[str, str]) -> None:
    """Quotes, escapes, comments and references to earlier lines."""
    assert READER.read_environment(text.encode()) == variables


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("A=b\n1A=c", "line 2 is not NAME=value", id="bad-name"),
        pytest.param("A=b\nB='c", "line 2 opens a quote", id="open-quote"),
        pytest.param("A=${B:?no}", "line 1 can't be resolved", id="required"),
        pytest.param("\n".join(f"A{i}=1" for i in range(2001)), "2000", id="too-many"),
        pytest.param("A=" + "x" * (1 << 20), "1 MiB", id="too-large"),
        pytest.param(
            "A0=xxxxxxxxxx\n" + "".join(f"A{i + 1}={f'$A{i}' * 10}\n" for i in range(40)),
            "line 7 makes the values longer",
            id="bomb",
        ),
    ],
)
def test_bad_environment_files_are_refused_with_their_line(text: str, problem: str) -> None:
    """The line is named, and no value is shown."""
    with pytest.raises(InvalidComposeFile, match=problem):
        READER.read_environment(text.encode())


@pytest.mark.parametrize(
    "text",
    ["a: !<" + "x" * 900_000 + "> b", "a: !" + "x" * 900_000, "%TAG ! " + "x" * 900_000 + "\n"],
    ids=["verbatim", "shorthand", "directive"],
)
def test_a_tag_that_takes_minutes_to_scan_is_refused(text: str) -> None:
    """The scanner's time grows with the square of its length; nobody else has the GIL meanwhile."""
    started = time.process_time()
    with pytest.raises(InvalidComposeFile, match="a tag of more than"):
        READER.read(text.encode())
    assert time.process_time() - started < 5


@given(st.text(max_size=200))
def test_whatever_environment_file_is_read_or_refused(text: str) -> None:
    """No text makes the reader fail otherwise, or go on for ever."""
    with suppress(InvalidComposeFile):
        assert all(READER.read_environment(text.encode("utf-8", "surrogatepass")))
