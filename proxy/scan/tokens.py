"""The patterns of what a path consists of in source code of any language.

Each part of each pattern is bounded or possessive, so the time grows linearly with the text.
"""

import re

_QUOTE = "[\"'`]"
_OPEN = f"(?:[$@]{{1,2}}|[rbfuRBFU]{{1,2}})?{_QUOTE}{{1,3}}"
_ARGUMENTS = r"\([^()\n]{0,80}+(?:\([^()\n]{0,80}+\)[^()\n]{0,80}+){0,2}+\)"
_NAME = r"[$@]?[A-Za-z_]\w{0,80}+"
_VALUE = rf"{_NAME}(?:(?:\.|->|::|\?\.)[$@]?[A-Za-z_]\w{{0,80}}+|{_ARGUMENTS}|\[[^\[\]\n]{{0,60}}+\]){{0,8}}+"
_TO_QUOTE = r"\s{0,80}+(?:\+\+?|\.\.?|~|&|\|\||<>)\s{0,80}+"
# A dot behind a string calls a method in most languages; it joins in PHP and Perl.
_TO_VALUE = r"(?:\s{0,80}+(?:\+\+?|\.\.)\s{0,80}+|\s{1,80}+\.\s{1,80}+|\s{0,80}+\.\s{0,80}+(?=\$))"
_VALUES = rf"{_VALUE}(?:{_TO_VALUE}{_VALUE}){{0,3}}+"

_BELOW = rf"{_QUOTE}[ \t]{{0,80}}+\\?\r?\n[ \t]{{0,80}}+{_OPEN}"

_TEMPLATES = (
    r"\$?\{{2,3}[^{}\n]{1,160}+\}{2,3}",  # {{ org }}, ${{ github.org }}
    r"(?:\\?\${1,2}|[#%@])\{[^{}\n]{0,120}+(?:\{[^{}\n]{0,80}+\}[^{}\n]{0,80}+){0,2}+\}",  # ${ORG:-${TEAM}}, #{org}
    r"\{[^{}\n/]{0,120}+\}",  # {org}, {}, {quote(org, safe='')}
    rf"[$\\]{_ARGUMENTS}",  # $(ORG), $(urlencode "$NAME"), \(org)
    r"\$env:\w{1,80}+",
    r"\\?\${1,2}[A-Za-z_]\w{0,80}+(?:->\w{1,80}+|\[['\"]?\w{1,80}+['\"]?\]){0,3}+",  # $ORG, $$ORG, $this->org
    r"\$[0-9@*]",
    r"%(?:[A-Za-z_]\w{2,80}+|(?![0-9A-Fa-f]{2})[A-Za-z_]\w)%(?![0-9A-Fa-f]{2})",  # %ORG% of a batch file
    r"%(?![0-9A-Fa-f]{2})(?:\(\w{1,80}+\)|\d\$)?[sdvq]",  # %s, %(org)s, %1$s
    r"<[A-Za-z][\w .-]{0,40}+>",
    r"(?<=[/\"'`]):[A-Za-z_]\w{0,80}+",  # :org
    r"\*(?=/)|(?<=/)\*",
    r"\((?:\?P?<\w{1,40}+>)?(?:\[[^\]\n]{1,20}+\]|\.|\\\w)[+*]\??\)",  # ([^/]+), (?P<org>.+)
    r"\[\^[^\]\n]{1,20}+\][+*]",
)
_TOKENS = (
    rf"(?P<joined>{_QUOTE}{{1,3}}{_TO_VALUE}(?P<values>{_VALUES})(?P<again>{_TO_QUOTE}{_OPEN})?)",
    rf"(?P<closed>{_QUOTE}{_TO_QUOTE}(?P<value>{_VALUE}){_TO_QUOTE}{_OPEN})",
    rf"(?P<glue>{_QUOTE}{_TO_QUOTE}{_OPEN})",
    # Strings one below the other are one in Python and C, and may be two anywhere else: a slash must be at the seam.
    rf"(?P<adjacent>(?:(?<=/){_BELOW}|{_BELOW}(?=/)))",
    rf"(?P<template>{'|'.join(_TEMPLATES)})",
    r"(?P<slash>\\?/)",
    r"(?P<text>(?<=ci_workflows/)[\w.-]{1,80}+(?: [\w.-]{1,80}+){1,8}+(?=/trigger\b)"
    r"|(?:[\w.~@-]|%[0-9A-Fa-f]{2}|(?<=\w)\+(?=\w))++)",
    r"(?P<colon>:)",
    rf"(?P<quote>{_QUOTE}{{1,3}}(?=[\w/$%{{~@-]))",
    r"(?P<other>[\s,;=)}\]|>?&!^]++|.)",
)
INSIDE = re.compile("|".join(_TOKENS), re.DOTALL)
"""The next token of an expression; the name of its group is its kind."""

FIRST = re.compile(rf"(?P<head>(?<![\w.$@])(?P<first>{_VALUES}){_TO_QUOTE}{_OPEN})|{INSIDE.pattern}", re.DOTALL)
"""The same where no expression has begun: a value may come first that a string is joined to."""

_ITEM_VALUE = (
    rf"{_NAME}(?:\.[A-Za-z_]\w{{0,80}}+|\([^(),\"'`\n]{{0,80}}+\)|\(['\"][A-Z_]{{1,40}}+['\"]\)"
    r"|\[['\"]?\w{1,80}+['\"]?\]){0,8}+"
)
_ITEM = rf"(?:{_OPEN}[^\"'`\n]{{0,120}}+{_QUOTE}|{_ITEM_VALUE})"
_BETWEEN = r"\s{0,80}+(?:,|/|\)\s{0,80}+\.\s{0,80}+\w{1,30}+\s{0,8}+\()\s{0,80}+"
LIST = re.compile(rf"(?<![\w.$@]){_ITEM}(?:{_BETWEEN}{_ITEM}){{1,40}}+")
"""Items of a list, or arguments of calls in a chain."""

NEXT_ITEM = re.compile(rf"(?:{_BETWEEN})?(?P<item>{_ITEM})")
"""One item of such a list."""
