"""Expand the commands that a LaTeX source defines itself, so that formulas need only standard ones.

The definitions of `\\newcommand`, `\\def`, `\\DeclareMathOperator` and their relatives are read and
removed; their uses are replaced. Expansion is bounded, because a definition may grow without end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["balanced", "expand_macros", "without_comments"]

_MAX_PASSES = 6
_MAX_GROWTH = 2
_EXTRA_CHARACTERS = 50_000
_MAX_ARGUMENT_CHARACTERS = 20_000
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)%[^\n]*(?:\n(?![ \t]*\n)[ \t]*)?")
_VERBATIM = re.compile(
    r"\\begin\{(verbatim\*?|lstlisting|minted|Verbatim)\}.*?\\end\{\1\}|\\(?:verb|lstinline)\*?([^\w\s*]).*?\2",
    re.DOTALL,
)
_NEW_COMMAND = re.compile(
    r"\\(?:new|renew|provide)command\*?\s*\{?\s*\\(?P<name>[A-Za-z]+)\s*\}?\s*"
    r"(?:\[(?P<count>\d)\])?\s*(?:\[(?P<default>[^\]]*)\])?\s*(?=\{)"
)
_DEF = re.compile(r"\\def\s*\\(?P<name>[A-Za-z]+)\s*(?P<parameters>(?:#\d)*)\s*(?=\{)")
_OPERATOR = re.compile(
    r"\\DeclareMathOperator(?P<star>\*?)\s*\{?\s*\\(?P<name>[A-Za-z]+)\s*\}?\s*(?=\{)"
)


@dataclass(frozen=True)
class _Macro:
    body: str
    count: int = 0
    default: str | None = None  # of an optional first argument


def without_comments(source: str) -> str:
    """Remove comments, but not from listings, where a percent sign is text."""
    pieces: list[str] = []
    end = 0
    for match in _VERBATIM.finditer(source):
        pieces += [_COMMENT.sub(_comment_text, source[end : match.start()]), match[0]]
        end = match.end()
    return "".join(pieces) + _COMMENT.sub(_comment_text, source[end:])


def _comment_text(match: re.Match[str]) -> str:
    return match[1]


def balanced(source: str, start: int, limit: int = _MAX_ARGUMENT_CHARACTERS) -> str | None:
    """Return the text inside the braces that open at `start`.

    Return None if no brace opens there, or if it is not closed within `limit` characters.
    """
    if source[start : start + 1] != "{":
        return None
    depth = 0
    for match in _BRACE.finditer(source, start, start + limit):
        depth += (match[0] == "{") - (match[0] == "}")
        if depth == 0 and match[0] == "}":
            return source[start + 1 : match.start()]
    return None


def expand_macros(source: str) -> str:
    """Return a source without its own definitions, their uses replaced by what they stand for."""
    source, macros = _take_definitions(source)
    if not macros:
        return source
    limit = _MAX_GROWTH * len(source) + _EXTRA_CHARACTERS
    use = re.compile(rf"\\({'|'.join(sorted(macros, key=len, reverse=True))})(?![A-Za-z])")
    for _ in range(_MAX_PASSES):
        expanded = _expand_once(source, use, macros)
        if expanded == source or len(expanded) > limit:
            break
        source = expanded
    return source


def _take_definitions(source: str) -> tuple[str, dict[str, _Macro]]:
    macros: dict[str, _Macro] = {}
    for pattern in (_NEW_COMMAND, _DEF, _OPERATOR):
        pieces: list[str] = []
        end = 0
        for match in pattern.finditer(source):
            body = balanced(source, match.end())
            if body is None or match.start() < end:
                continue
            macros[match["name"]] = _macro(match, body)
            pieces.append(source[end : match.start()])
            end = match.end() + len(body) + 2
        source = "".join(pieces) + source[end:]
    return source, macros


def _macro(match: re.Match[str], body: str) -> _Macro:
    if match.re is _OPERATOR:
        return _Macro(rf"\operatorname{match['star']}{{{body}}}")
    if match.re is _DEF:
        return _Macro(body, match["parameters"].count("#"))
    return _Macro(body, int(match["count"] or 0), match["default"])


def _expand_once(source: str, use: re.Pattern[str], macros: dict[str, _Macro]) -> str:
    pieces: list[str] = []
    end = 0
    for match in use.finditer(source):
        if match.start() < end:
            continue
        macro = macros[match[1]]
        arguments, stop = _arguments(source, match.end(), macro)
        if arguments is None:
            continue
        body = re.sub(r"#(\d)", lambda m, a=arguments: a.get(m[1], m[0]), macro.body)  # type: ignore[misc]
        needs_space = body[-1:].isalpha() and source[stop : stop + 1].isalpha()
        pieces += [source[end : match.start()], body, " " if needs_space else ""]
        end = stop
    return "".join(pieces) + source[end:]


def _arguments(source: str, position: int, macro: _Macro) -> tuple[dict[str, str] | None, int]:
    """Return the arguments after a command by their numbers, and where they end."""
    arguments: dict[str, str] = {}
    for number in range(1, macro.count + 1):
        start = _after_spaces(source, position)
        opening = source[start : start + 1]
        if number == 1 and macro.default is not None:
            close = source.find("]", start) if opening == "[" else -1
            arguments["1"] = source[start + 1 : close] if close > 0 else macro.default
            position = close + 1 if close > 0 else position
            continue
        if opening == "{":
            inner = balanced(source, start)
            if inner is None:
                return None, position
            arguments[str(number)], position = inner, start + len(inner) + 2
        elif opening and opening not in "\\}$&":
            arguments[str(number)], position = opening, start + 1
        else:
            return None, position
    return arguments, position


def _after_spaces(source: str, position: int) -> int:
    while source[position : position + 1] in (" ", "\t", "\n"):
        position += 1
    return position
