"""The Markdown of Obsidian, Quarto, MyST, Hugo and GitHub, as rules for the CommonMark parser.

Each rule turns a notation into HTML that the page reader knows, or removes marks that are no text.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from mdit_py_plugins.admon import admon_plugin
from mdit_py_plugins.attrs import attrs_block_plugin
from mdit_py_plugins.colon_fence import colon_fence_plugin
from mdit_py_plugins.deflist import deflist_plugin
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.front_matter import front_matter_plugin
from mdit_py_plugins.myst_blocks import myst_block_plugin
from mdit_py_plugins.myst_role import myst_role_plugin
from mdit_py_plugins.tasklists import tasklists_plugin

from data.pictures import PICTURE_SUFFIXES

__all__ = ["markdown_parser", "parse_attributes"]

_ATTRIBUTE = r"""#[\w:.-]+|\.[\w:-]+|[\w:-]+=(?:"[^"\n]*"|'[^'\n]*'|[^\s"'{}]+)|-"""
_ATTRIBUTES = re.compile(rf"\{{:?[ \t]*((?:{_ATTRIBUTE})(?:[ \t]+(?:{_ATTRIBUTE}))*)[ \t]*\}}")
_HEADING_ATTRIBUTES = re.compile(rf"[ \t]*{_ATTRIBUTES.pattern}[ \t]*$")
_NAME_AND_VALUE = re.compile(r"""([\w:-]+)=(?:"([^"]*)"|'([^']*)'|(\S+))""")
_SPACED_PICTURE = re.compile(
    r"!\[(?P<alt>[^\[\]\n]{0,500})\]"
    r"\((?P<path>[^()\[\]<>\"\n]{0,300}[^()<>\"\s]\.\w{2,5})(?:\s+\"(?P<title>[^\"\n]*)\")?\)"
)
_WIKI_LINK = re.compile(
    r"!?\[\[(?P<target>[^\[\]|\n]{1,300})(?:\|(?P<label>[^\[\]\n]{0,500}))?\]\]"
)
_SPAN = re.compile(rf"\[(?P<words>[^\[\]\n]{{1,300}})\]{_ATTRIBUTES.pattern}")
_SIZE = re.compile(r"\d+(?:x\d+)?")
_SHORTCODE = re.compile(r"\{\{[<%]\s*/?\s*(?P<name>[\w-]*)(?P<rest>[^{}\n]{0,1000}?)/?\s*[>%]\}\}")
_COMMENT = re.compile(r"%%.{0,5000}?%%", re.DOTALL)
_CALLOUT = re.compile(r"\[!(?P<kind>[\w-]+)(?:\|[^\]\n]*)?\][+-]?[ \t]*(?P<title>[^\n]*)")
_PICTURE_NAMES = (*PICTURE_SUFFIXES, ".svg", ".avif", ".heic")
_SHORTCODES_OF_PAGES = ("include", "video", "youtube", "vimeo", "audio")

RenderFence = Callable[[str, str, str], str]  # of the fence's marks, its first line and its content


def markdown_parser(render_fence: RenderFence) -> MarkdownIt:
    """Return a parser of CommonMark with tables and all the notations of this file.

    `render_fence` returns the HTML of a block between fences.
    """
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    for plugin in (front_matter_plugin, footnote_plugin, deflist_plugin, tasklists_plugin):
        parser.use(plugin)
    for plugin in (admon_plugin, colon_fence_plugin, myst_block_plugin, myst_role_plugin):
        parser.use(plugin)
    parser.use(attrs_block_plugin)
    for name, rule in _INLINE_RULES.items():
        parser.inline.ruler.before("image", name, rule)
    parser.inline.ruler.before("escape", "shortcode", _shortcode)
    parser.inline.ruler.after("image", "attributes", _attributes)
    parser.inline.add_terminator_char("%")
    parser.core.ruler.before("inline", "callout", _callouts)
    parser.core.ruler.before("inline", "heading_attributes", _heading_attributes)
    parser.add_render_rule("myst_role", _render_role)
    parser.add_render_rule("myst_target", lambda *_: "")
    parser.add_render_rule("myst_line_comment", lambda *_: "")
    parser.add_render_rule("footnote_anchor", lambda *_: "")

    def fence(_: object, tokens: Sequence[Token], index: int, *__: object) -> str:
        token = tokens[index]
        return render_fence(token.markup, token.info.strip(), token.content)

    parser.add_render_rule("fence", fence)
    parser.add_render_rule("colon_fence", fence)
    # keep every link: `find_linked` refuses unsafe ones with a message
    parser.validateLink = lambda url: bool(url)  # type: ignore[method-assign]
    return parser


def parse_attributes(text: str) -> tuple[list[str], dict[str, str]]:
    """Return the classes and the named values of `.class #name key="value"`; `#` is `id`."""
    values = {m[1]: next(filter(None, m.groups()[1:]), "") for m in _NAME_AND_VALUE.finditer(text)}
    words = _NAME_AND_VALUE.sub(" ", text).split()
    names = [word[1:] for word in words if word.startswith("#")]
    values |= {"id": names[-1]} if names else {}
    return [word[1:] for word in words if word.startswith(".")], values


# -- inline rules ----------------------------------------------------------------------------------


def _push_html(state: StateInline, text: str) -> None:
    state.push("html_inline", "", 0).content = text


def _spaced_picture(state: StateInline, silent: bool) -> bool:
    """Read a picture whose path has spaces, which CommonMark does not."""
    match = _SPACED_PICTURE.match(state.src, state.pos)
    if not match or " " not in match["path"].strip():
        return False
    if not silent:
        token = state.push("image", "img", 0)
        token.attrs = {"src": match["path"].strip(), "alt": ""}
        if match["title"]:
            token.attrs["title"] = match["title"]
        token.content = match["alt"]
        token.children = []
        state.md.inline.parse(match["alt"], state.md, state.env, token.children)
    state.pos = match.end()
    return True


def _wiki_link(state: StateInline, silent: bool) -> bool:
    """Read `[[Page|words]]`, and `![[picture.png|words]]`, which Obsidian finds by its name."""
    match = _WIKI_LINK.match(state.src, state.pos)
    if not match:
        return False
    target, label = match["target"].strip(), (match["label"] or "").strip()
    label = "" if _SIZE.fullmatch(label) else label.split("|")[0]
    if not silent:
        if match[0].startswith("!") and target.lower().endswith(_PICTURE_NAMES):
            source, alt = html.escape(target), html.escape(label)
            _push_html(state, f'<img src="{source}" alt="{alt}" data-by-name="">')
        else:
            page, _, heading = target.partition("#")
            words = label or ", ".join(filter(None, [page.strip(), heading.strip("^ ")]))
            state.push("text", "", 0).content = words
    state.pos = match.end()
    return True


def _comment(state: StateInline, _: bool) -> bool:
    match = _COMMENT.match(state.src, state.pos)
    if match:
        state.pos = match.end()
    return match is not None


def _highlight(state: StateInline, _: bool) -> bool:
    """Remove the marks of `==highlighted==` words; `a == b` and `a==b` stay."""
    start, end = state.pos, state.pos + 2
    if state.src[start:end] != "==" or state.src[end : end + 1] == "=":
        return False
    before, after = state.src[start - 1 : start] if start else "", state.src[end : end + 1]
    is_opening = not before.isalnum() and after.strip() and "==" in state.src[end:]
    is_closing = before.strip() and before != "=" and not after.isalnum()
    if not (is_opening or is_closing):
        return False
    state.pos = end
    return True


def _shortcode(state: StateInline, silent: bool) -> bool:
    """Read `{{< figure src="…" >}}` of Hugo and `{{< video … >}}` of Quarto; remove others."""
    match = _SHORTCODE.match(state.src, state.pos)
    if not match:
        return False
    if not silent:
        _, values = parse_attributes(match["rest"])
        if match["name"] == "figure" and values.get("src"):
            caption = html.escape(values.get("caption") or values.get("title") or "")
            source, alt = html.escape(values["src"]), html.escape(values.get("alt", ""))
            _push_html(
                state,
                f'<figure><img src="{source}" alt="{alt}">'
                f"<figcaption>{caption}</figcaption></figure>",
            )
        elif match["name"] in _SHORTCODES_OF_PAGES:
            source = values.get("src") or match["rest"].strip()
            _push_html(state, f'<iframe src="{html.escape(source)}"></iframe>')
    state.pos = match.end()
    return True


def _attributes(state: StateInline, silent: bool) -> bool:
    """Remove `{width=50%}` after a picture, link or code; give a picture its name and words."""
    match = _ATTRIBUTES.match(state.src, state.pos)
    previous = state.tokens[-1] if state.tokens else None
    if not match or state.pending or previous is None:
        return False
    if previous.type not in ("image", "link_close", "code_inline", "html_inline"):
        return False
    if not silent and previous.type == "image":
        _, values = parse_attributes(match[1])
        if values.get("id"):
            previous.attrs["id"] = values["id"]
        if values.get("fig-alt"):
            # the words in brackets are then the caption
            previous.attrs["title"] = previous.attrs.get("title") or previous.content
            previous.content = values["fig-alt"]
            previous.children = [Token("text", "", 0, content=values["fig-alt"])]
    state.pos = match.end()
    return True


def _span(state: StateInline, silent: bool) -> bool:
    """Read the words of `[words]{.class}`."""
    match = _SPAN.match(state.src, state.pos)
    if not match:
        return False
    if not silent:
        if state.pending:
            state.pushPending()
        state.md.inline.parse(match["words"], state.md, state.env, state.tokens)
    state.pos = match.end()
    return True


_INLINE_RULES = {
    "span": _span,
    "spaced_picture": _spaced_picture,
    "wiki_link": _wiki_link,
    "comment": _comment,
    "highlight": _highlight,
}


# -- rules for blocks ------------------------------------------------------------------------------


def _heading_attributes(state: StateCore) -> None:
    """Remove `{#name .class}` at the end of a heading."""
    for heading, inline in zip(state.tokens, state.tokens[1:], strict=False):
        if heading.type == "heading_open":
            inline.content = _HEADING_ATTRIBUTES.sub("", inline.content)


def _callouts(state: StateCore) -> None:
    """Make a quotation that starts with `[!NOTE] Title` a note beside the text."""
    ends: list[Token | None] = []
    for index, token in enumerate(state.tokens):
        if token.type == "blockquote_open":
            inline = state.tokens[index + 2] if index + 2 < len(state.tokens) else None
            match = _CALLOUT.match(inline.content) if inline and inline.type == "inline" else None
            if match and inline:
                rest = inline.content[match.end() :].lstrip("\n")
                lines = filter(None, [match["title"].strip(), rest])
                inline.content = "  \n".join(lines)
                token.tag = "aside"
            ends.append(token if match else None)
        elif token.type == "blockquote_close" and ends.pop():
            token.tag = "aside"


def _render_role(_: object, tokens: Sequence[Token], index: int, *__: object) -> str:
    """Return the HTML of a MyST role: `{math}`, `{sub}`, `{sup}`, or a reference with its words."""
    name, content = tokens[index].meta["name"], tokens[index].content
    if name == "math":
        return html.escape(f"\\({' '.join(content.split())}\\)")
    if name in ("sub", "sup", "subscript", "superscript"):
        return f"<{name[:3]}>{html.escape(content)}</{name[:3]}>"
    link = re.fullmatch(r"(?P<words>.*?)\s*<(?P<target>[^<>]*)>", content, re.DOTALL)
    words = (link["words"] if link else content).replace("%s", "").replace("{number}", "")
    if name in ("ref", "numref", "eq"):
        target = link["target"] if link else content
        return f'<a href="#{html.escape(target)}">{html.escape(words)}</a>'
    return html.escape(words)
