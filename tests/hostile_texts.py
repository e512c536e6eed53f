"""Texts that try to do something to their reader, and what a terminal and a CI service make of a line."""

from __future__ import annotations

import re

TEXTS = {
    "script": "</script><script>alert(1)</script>",
    "image": '"><img src=x onerror=alert(1)>',
    "attribute": "' onmouseover='alert(1)' x=\"",
    "comment": "<!--<script> --> &lt;b&gt; &amp; ]]> <![CDATA[",
    "template": "{{7*7}}{% raw %}{#",
    "colour": "\x1b[31mred\x1b[2J\x1b[1A",
    "link": "\x1b]8;;http://example.org\x1b\\link\x1b]8;;\x1b\\",
    "clipboard": "\x1b]52;c;cm0gLXJmIC8=\x07",
    "eight bits": "\x9b31m\x9d0;title\x9c",
    "controls": "a\0b\x07\x08\x7fc",
    "direction": "abc\u202etxt.exe\u2066\u200e\u2069\ufeff\u200b",
    "surrogates": "\ud800 \udcff \udfff",
    "outside": "\ufffe\U000e0001\U0010ffff",
    "breaks": "one\r\ntwo\x0bthree\x0cfour\x85five\u2028six\u2029seven",
    "markup": "[red]x[/red] [link=http://example.org]y[/link] :boom:",
    "workflow": "::error file=a,line=1::x",
    "workflow on its own line": "x\n  ::add-mask::a\n::stop-commands::b",
    "other workflows": "x ##[error]y ##vso[task.complete result=Failed]z\n##teamcity[testFailed name='a']",
    "table": "a | b [c](javascript:alert(1)) ~~d~~ `e` $f$ **g** <b>h</b> finish",
}
"""What each begins with is left as it is, or escaped."""

LONG = "\u202e" + "long " * 210_000
"""1 MB on one line, and no fast way for who looks at each character."""

# The commands of GitHub's runner (https://github.com/actions/runner, ActionCommand.cs): these names, in any case.
_NAMES = "add-mask|add-matcher|add-path|debug|echo|endgroup|error|group|notice|remove-matcher|save-state"
_NAMES += "|set-env|set-output|stop-commands|warning|internal-set-repo-path"
_OBEYED = re.compile(rf"\s*::(?:{_NAMES})(?: .*?)?::|.*##(?:vso)?\[|\s*##teamcity\[", re.IGNORECASE)


def is_obeyed(line: str) -> bool:
    """Whether GitHub's runner, Azure's agent or TeamCity would take this line of a log for a command."""
    return _OBEYED.match(line) is not None


# What rich writes without colours: styles, a hidden or shown cursor, and the redrawing of its line of progress.
_OF_RICH = re.compile(r"\x1b\[(?:[012](?:;[12])?)m|\x1b\[\?25[lh]|\x1b\[1A|\x1b\[2K|\r")


def shown(text: str, of_rich: bool = False) -> list[str]:
    """The lines that a terminal shows; fails for a text that does anything else to it.

    Args:
        of_rich: the text may have what rich itself writes to a terminal without colours.
    """
    lines = (_OF_RICH.sub("", text) if of_rich else text).split("\n")
    for line in lines:
        assert line.isprintable(), f"this does more than to be shown: {line[:300]!a}"
        assert not is_obeyed(line), f"this is a command to a CI service: {line[:300]!a}"
    return lines
