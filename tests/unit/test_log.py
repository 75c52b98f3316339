"""Logs: one record a line, and no secret in any form of it."""

import base64
import io
import json
import logging
import shlex
import threading
import time
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.domain.secret import Secret
from reconciler.log import (
    LINE_LIMIT,
    MASK,
    Redactor,
    correlated,
    correlation_id,
    fields,
    log_fields,
    plain,
    set_up_logs,
    shorten,
)

PASSWORD = "pa/ss \"wörd'+$&@"


def redactor(*texts: str) -> Redactor:
    made = Redactor()
    made.register(*(Secret.of(text) for text in texts))
    return made


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


# ── redaction ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(PASSWORD, id="raw"),
        pytest.param(quote(PASSWORD), id="url-path"),
        pytest.param(quote(PASSWORD, safe=""), id="url-quoted"),
        pytest.param(quote(PASSWORD, safe="").lower(), id="url-quoted-lower-case"),
        pytest.param(quote_plus(PASSWORD), id="form"),
        pytest.param(json.dumps(PASSWORD)[1:-1], id="json"),
        pytest.param(json.dumps(PASSWORD, ensure_ascii=False)[1:-1], id="json-utf8"),
        pytest.param(shlex.quote(PASSWORD)[1:-1], id="shell"),
        pytest.param(b64(PASSWORD), id="base64"),
    ],
)
def test_encoding_of_a_secret_is_hidden(form: str) -> None:
    """However a secret is written, it is not shown."""
    cleaned = redactor(PASSWORD).clean(f"before {form} after")
    assert cleaned.startswith("before ***")
    assert cleaned.endswith(" after")
    assert form not in cleaned


@pytest.mark.parametrize("user", ["a", "ab", "abc", "x-access-token"])
def test_basic_authorization_is_hidden(user: str) -> None:
    """Base64 of user and password gives the password away, whatever the user is called."""
    line = redactor("correct-horse-battery").redact(f"sent {b64(f'{user}:correct-horse-battery')}")
    shown = line.removeprefix("sent ").split(MASK)
    whole = base64.b64decode(shown[0] + "A" * (-len(shown[0]) % 4))
    assert b"correct" not in whole
    assert MASK in line


def test_lines_of_a_key_are_hidden_one_by_one() -> None:
    """A key comes out in lines; its frame and short lines are no secret."""
    key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE\nAAAABG5vbmUAAAAE\nAA==\n"
    hide = redactor(key + "-----END OPENSSH PRIVATE KEY-----\n")
    assert hide.clean("  b3BlbnNzaC1rZXktdjE") == "  ***"
    assert hide.clean("AAAABG5vbmUAAAAE") == MASK
    assert (
        hide.clean("-----BEGIN OPENSSH PRIVATE KEY-----") == "-----BEGIN OPENSSH PRIVATE KEY-----"
    )
    assert hide.clean("AA==") == "AA=="
    assert "AAAABG5v" not in hide.clean(json.dumps(key))


@pytest.mark.parametrize(
    ("secret", "line", "shown"),
    [
        pytest.param("1", "1 of 1 done", "1 of 1 done", id="one-character"),
        pytest.param("abc", "abc", "abc", id="three"),
        pytest.param("prod", "prod, production, prod.", "***, production, ***.", id="whole-word"),
        pytest.param("s3cretword", "xs3cretwordx", "x***x", id="long-within-words"),
        pytest.param("  padded-secret\n", "padded-secret", "***", id="padding"),
        pytest.param("", "all of it", "all of it", id="empty"),
    ],
)
def test_short_secret(secret: str, line: str, shown: str) -> None:
    """Short texts are hidden as words or not at all, so that the log stays readable."""
    assert redactor(secret).clean(line) == shown


def test_overlapping_secrets_leave_nothing_between_them() -> None:
    """Where two secrets overlap, neither one's rest is shown."""
    assert redactor("abcdefgh1234", "1234ijklmnop").clean("<abcdefgh1234ijklmnop>") == "<***>"
    assert redactor("longsecret", "longsecret-and-more").clean("longsecret-and-more") == MASK


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        pytest.param("https://u:p@h/x", "https://***@h/x", id="password"),
        pytest.param("https://ghp_token@h/x", "https://***@h/x", id="token-as-user"),
        pytest.param("https://u:p@ss@h/x", "https://***@h/x", id="at-in-password"),
        pytest.param("ssh://git@h/x", "ssh://git@h/x", id="ssh-user"),
        pytest.param("ssh://git:pw@h/x", "ssh://***@h/x", id="ssh-password"),
        pytest.param("https://h/x mail a@b", "https://h/x mail a@b", id="no-credentials"),
        pytest.param("Authorization: Bearer abc.def", "Authorization: Bearer ***", id="bearer"),
        pytest.param(
            '{"authorization": "Basic eHg="}', '{"authorization": "Basic ***"}', id="json"
        ),
    ],
)
def test_credentials_that_nobody_registered(line: str, shown: str) -> None:
    """What stands where credentials stand is hidden even if it is unknown."""
    assert Redactor().clean(line) == shown


@settings(max_examples=60)
@given(st.text(min_size=8, max_size=40), st.text(max_size=30), st.text(max_size=30))
def test_registered_text_never_comes_through(secret: str, before: str, after: str) -> None:
    """For any secret of 8 or more characters, anywhere in a line."""
    stripped = secret.strip()
    if len(stripped) < 8 or len(secret.splitlines()) != 1 or not stripped.isprintable():
        return
    shown = redactor(secret).redact(before + stripped + after)
    assert stripped not in shown.replace(MASK, "\n")


def test_thousands_of_secrets_do_not_slow_a_line_down() -> None:
    """A line costs the same with one secret as with many: its own length."""
    many = redactor(*(f"{number * 7919:08x}-secret-number" for number in range(3000)))
    line = f"pulling layer 3/7 {1234 * 7919:08x}-secret-number done"
    assert many.clean(line) == f"pulling layer 3/7 {MASK} done"


def test_registering_while_others_clean() -> None:
    """Threads may register and clean at the same time; what is registered is hidden at once."""
    shared, failures = Redactor(), list[str]()

    def register_and_look(number: int) -> None:
        for count in range(50):
            secret = f"thread-{number}-secret-{count}"
            shared.register(Secret.of(secret))
            if secret in shared.clean(f"said {secret}!"):
                failures.append(secret)

    threads = [threading.Thread(target=register_and_look, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


# ── plain text ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("\x1b[31mred\x1b[0m", "red", id="colour"),
        pytest.param("\x1b]0;title\x07text", "text", id="title"),
        pytest.param("\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\", "click", id="link"),
        pytest.param("\x1b[2J\x1b[Hgone", "gone", id="screen"),
        pytest.param("a\x1b", "a", id="lone-escape"),
        pytest.param("50%\r100%", "50%100%", id="carriage-return"),
        pytest.param("a\nERROR forged", "a\\nERROR forged", id="newline"),
        pytest.param("end\r\n", "end", id="line-end"),
        pytest.param("a\tb", "a\tb", id="tab"),
        pytest.param("\x00\x07\x9b31m", "31m", id="controls"),
        pytest.param("abc\u202egnp.exe", "abcgnp.exe", id="direction"),
        pytest.param("Grüße 你好 ✓", "Grüße 你好 ✓", id="letters"),
    ],
)
def test_plain(text: str, shown: str) -> None:
    """What could move a cursor or forge a line is gone; letters stay."""
    assert plain(text) == shown


@pytest.mark.parametrize("piece", ["\x1b]", "\x1b[0", "\x1b ", "\x1b"], ids=repr)
def test_a_hostile_text_takes_no_time(piece: str) -> None:
    """What is repeated for 60 kB and never ends costs what other text does."""
    started = time.process_time()
    assert plain(f"{piece * (60_000 // len(piece))}\nend").endswith("\\nend")
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        pytest.param("\x1b[1;31mno\x1b[0m!\r\n", "\x1b[1;31mno\x1b[0m!", id="colours stay"),
        pytest.param("\x1b[2Ka\x1b]0;t\x07b\x1b[1A\x08", "ab", id="nothing else does"),
        pytest.param("10%\r50%\r\x1b[32m100%", "\x1b[32m100%", id="written over"),
        pytest.param("\x1b[32mhunter2hunter2", f"\x1b[32m{MASK}", id="a secret in colour"),
        pytest.param("hunter2\x1b[32mhunter2", MASK, id="a colour in a secret"),
        pytest.param("\x1b[32mhunt\x1b[0mer2\x1b[33mhunter2", MASK, id="several in one"),
        pytest.param("\x1b[31mprod", MASK, id="a short secret after a colour"),
        pytest.param("\x1b[31m" + "x" * 9000, shorten("x" * 9000), id="too long"),
        pytest.param(f"\x1b[{'1;' * 50}1mno", "no", id="no colour is so long"),
    ],
)
def test_output_keeps_its_colours_and_no_secret(line: str, kept: str) -> None:
    assert redactor("hunter2hunter2", "prod").clean_output(line) == kept


def test_long_line_is_cut_and_says_so() -> None:
    """A line is bounded, and its end says how much is missing."""
    line = Redactor().clean("x" * (LINE_LIMIT + 5))
    assert line == "x" * LINE_LIMIT + " … (5 more characters)"


def test_secret_across_the_limit_leaves_no_half() -> None:
    """Cutting comes after hiding."""
    line = redactor("correct-horse-battery").clean("x" * (LINE_LIMIT - 7) + "correct-horse-battery")
    assert "correct" not in line


# ── records ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Give the logs a place, and put back what was there."""
    root, own = logging.getLogger(), logging.getLogger("reconciler")
    handlers, levels = root.handlers[:], (root.level, own.level)
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    own.setLevel(levels[1])
    logging.captureWarnings(False)


def test_text_record(stream: io.StringIO) -> None:
    """Time in UTC, level, logger, message, then fields; those of the block first."""
    set_up_logs(redactor("hunter2hunter2"), stream=stream)
    log = logging.getLogger("reconciler.tests")
    with log_fields(project="web"):
        log.warning(
            "pushed by %s\x1b[31m",
            "hunter2hunter2",
            extra=fields(commit="1f2e", why="a b", ok=True, none=None),
        )
    log.debug("unseen")
    at, rest = stream.getvalue().split(" ", 1)
    assert at.endswith("Z")
    assert rest == (
        'WARNING reconciler.tests pushed by *** project=web commit=1f2e why="a b" ok=true\n'
    )


def test_json_record(stream: io.StringIO) -> None:
    """One JSON object a line; fields can't overwrite what every record has."""
    set_up_logs(redactor('se"cret-value'), style="json", level="debug", stream=stream)
    logging.getLogger("reconciler.tests").debug(
        'x se"cret-value\ny', extra=fields(deployment=12, level="forged")
    )
    (line,) = stream.getvalue().splitlines()
    record = json.loads(line)
    assert record.pop("at").endswith("Z")
    assert record == {
        "level": "debug",
        "logger": "reconciler.tests",
        "message": "x ***\\ny",
        "deployment": 12,
    }


@pytest.mark.parametrize(("level", "seen"), [("info", False), ("debug", True)])
def test_libraries_are_quiet_unless_asked(stream: io.StringIO, level: str, seen: bool) -> None:
    """Their everyday news would bury ours; their warnings come through."""
    set_up_logs(Redactor(), level=level, stream=stream)
    logging.getLogger("alembic.runtime").info("set up a plugin")
    logging.getLogger("alembic.runtime").warning("something is odd")
    assert ("set up a plugin" in stream.getvalue()) is seen
    assert "something is odd" in stream.getvalue()


@pytest.mark.parametrize("style", ["text", "json"])
def test_traceback_is_redacted(stream: io.StringIO, style: str) -> None:
    """Neither the error's text nor the code around it gives a secret away."""
    set_up_logs(redactor("hunter2hunter2"), style=style, stream=stream)
    try:
        raise ValueError("hunter2hunter2\nforged line")
    except ValueError:
        logging.getLogger("reconciler.tests").exception("failed")
    text = stream.getvalue()
    assert "hunter2" not in text
    assert "ValueError" in text
    assert not any(line.startswith("forged") for line in text.splitlines())


def test_fields_of_a_block_end_with_it(stream: io.StringIO) -> None:
    """Blocks nest, and each takes its own fields away."""
    set_up_logs(Redactor(), stream=stream)
    log = logging.getLogger("reconciler.tests")
    with log_fields(project="web"):
        with log_fields(deployment=1):
            log.info("inner")
        log.info("outer")
    log.info("after")
    endings = [line.split("tests ")[1] for line in stream.getvalue().splitlines()]
    assert endings == ["inner project=web deployment=1", "outer project=web", "after"]


def test_what_belongs_together_is_logged_under_one_id(stream: io.StringIO) -> None:
    """A new id, unless one is given or in force; it ends with its block."""
    set_up_logs(Redactor(), stream=stream)
    log = logging.getLogger("reconciler.tests")
    with correlated() as outer:
        with correlated() as inner:
            log.info("inner")
        with correlated("given") as other:
            assert correlation_id() == other == "given"
    assert inner == outer
    assert correlation_id() == ""
    assert stream.getvalue().endswith(f"inner correlation={outer}\n")
    with correlated() as later:
        assert later != outer
