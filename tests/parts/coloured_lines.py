"""Lines of programs' output, and how they look: the server and the browser show the same."""

from collections.abc import Sequence

#: The line, and what is seen of it: each text with its classes.
CASES: Sequence[tuple[str, list[tuple[str, str]]]] = (
    ("plain", [("plain", "")]),
    ("", []),
    ("\x1b[31mred\x1b[0m and not", [("red", "a-r"), (" and not", "")]),
    ("\x1b[1;32mbold green\x1b[22mgreen", [("bold green", "a-g a-1"), ("green", "a-g")]),
    ("\x1b[2mfaint\x1b[mend", [("faint", "a-d"), ("end", "")]),
    ("\x1b[2;33myellow", [("yellow", "a-y")]),
    ("\x1b[34mb\x1b[35mm\x1b[36mc\x1b[37mw", [("b", "a-b"), ("m", "a-m"), ("c", "a-c"), ("w", "")]),
    ("\x1b[90mgrey\x1b[91mred\x1b[39mplain", [("grey", "a-d"), ("red", "a-r"), ("plain", "")]),
    ("\x1b[38;5;9mred\x1b[38;5;200mother", [("red", "a-r"), ("other", "")]),
    ("\x1b[38;2;31;32;33mparts\x1b[32mgreen", [("parts", ""), ("green", "a-g")]),
    ("\x1b[48;5;1;4mground\x1b[41;7malso", [("groundalso", "")]),
    ("\x1b[48;2;1;31;3;32mgreen", [("green", "a-g")]),
    ("\x1b[31mred\x1b[31m, still", [("red, still", "a-r")]),
    ("\x1b[99999999;31mred", [("red", "a-r")]),
    ("\x1b[38;5mcut short", [("cut short", "")]),
    ("10%\r50%\r100%", [("100%", "")]),
    ("10%\r50%\r\r", [("50%", "")]),
    ("a\tb", [("a\tb", "")]),
    ("up\x1b[2J\x1b[1A\x1b[?25l down", [("up down", "")]),
    ("\x1b]8;;https://example.net\x07link\x1b]8;;\x1b\\ed", [("linked", "")]),
    ("\x1b]0;title never ends", []),
    ("\x1bPsecret\x1b\\shown", [("shown", "")]),
    ("bell\x07 back\x08 c1\x9b31m", [("bell back c131m", "")]),
    ("safe\u202ecod.exe\u2066", [("safecod.exe", "")]),
    ("<script>alert(1)</script> & <b>", [("<script>alert(1)</script> & <b>", "")]),
    ("\x1b[31m<img src=x onerror=alert(1)>", [("<img src=x onerror=alert(1)>", "a-r")]),
    ("ends with escape\x1b", [("ends with escape", "")]),
    ("ends in one\x1b[31", [("ends in one31", "")]),
)
