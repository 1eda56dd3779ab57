"""Turn a parsed LaTeX document into HTML for the page reader.

pylatexenc parses. We compared pandoc 3: of the source in our tests it read the same words, and it
knows more packages. But it takes 155 MB on disk instead of 1.3 MB, is under the GPL, and sets no
header of a table apart.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pylatexenc.latex2text import LatexNodes2Text
from pylatexenc.latexwalker import (
    LatexCharsNode,
    LatexCommentNode,
    LatexEnvironmentNode,
    LatexGroupNode,
    LatexMacroNode,
    LatexMathNode,
    LatexSpecialsNode,
    LatexWalker,
    get_default_latex_context_db,
)
from pylatexenc.macrospec import std_environment, std_macro

from data.readers.latex_tables import table_html

__all__ = ["LatexConverter", "formula_text"]

Nodes = Sequence[Any]

_HEADINGS = {
    name: f"h{level}"
    for level, name in enumerate(
        ("part", "chapter", "section", "subsection", "subsubsection", "paragraph"), 1
    )
} | {"subparagraph": "h6"}
_FORMULAS = frozenset(
    "equation align alignat gather multline eqnarray flalign displaymath math dmath".split()
)
_PLAIN_FORMULAS = frozenset({"equation", "displaymath", "math", "dmath"})
_STYLES = {
    "textbf": "b",
    "emph": "i",
    "textit": "i",
    "textsubscript": "sub",
    "textsuperscript": "sup",
}
_LISTS = {"itemize": "ul", "enumerate": "ol", "description": "dl"}
_FLOATS = ("figure", "table", "wrapfigure", "wraptable", "sidewaysfigure", "sidewaystable")
_TABLES = ("tabular", "tabularx", "tabulary", "longtable", "tblr")
_ASIDES = ("marginfigure", "remark", "note", "infobox", "tcolorbox", "mdframed")
_THEOREMS = frozenset(
    "theorem lemma corollary proposition conjecture definition example exercise problem solution "
    "remark proof".split()
)
_SPECIALS = {"~": " ", "``": "“", "''": "”", "--": "–", "---": "—", "!`": "¡", "?`": "¿", "&": "&"}
_BREAKS = frozenset({"\\", "newline", "par", "linebreak"})
_DROPPED = frozenset(
    "label index vspace hspace vskip hskip vfill hfill bibliography bibliographystyle maketitle "
    "tableofcontents listoffigures listoftables centering thispagestyle pagestyle setcounter "
    "addtocounter setlength addtolength todo nocite phantomsection addcontentsline markboth "
    "usepackage includeonly pagenumbering newpage clearpage cleardoublepage color pagecolor "
    "captionsetup graphicspath glsresetall protect noindent raggedright selectfont rule".split()
)
_CITATIONS = re.compile(r"(?:no)?(?:[Cc]ite|[a-z]*cite)[a-z]*\*?")
_LABEL = re.compile(r"\\(?:label|tag)\*?\{[^{}]*\}|\\(?:nonumber|notag)\b")
# commands that pylatexenc does not know, with their arguments in its notation
_MACROS = {
    **dict.fromkeys(("caption", "subcaption", "multicolumn"), "[{"),
    **dict.fromkeys(("paragraph", "subparagraph"), "*[{"),
    **dict.fromkeys(("href", "textcolor", "captionof", "texorpdfstring", "hyperref"), "{{"),
    **dict.fromkeys(("cref", "Cref", "autoref", "eqref", "pageref", "nameref", "index"), "{"),
    **dict.fromkeys(("todo", "vspace", "enquote", "ce", "unit", "gls", "Gls", "glspl"), "{"),
    **dict.fromkeys(("listing", "drawing", "setcounter", "setlength", "addtocounter"), "{"),
    **dict.fromkeys(("textsubscript", "textsuperscript", "thispagestyle", "pagestyle"), "{"),
    **dict.fromkeys(("cline", "cmidrule", "graphicspath", "captionsetup"), "{"),
    "multicolumn": "{{{",
    "multirow": "[{[{{",
    "textcolor": "[{{",
    "hyperref": "[{",
    "parbox": "[{{",
    "setlength": "{{",
    "setcounter": "{{",
    "rule": "[{{",
}
_ENVIRONMENTS = {
    **dict.fromkeys(("wrapfigure", "wraptable"), "[{{"),
    **dict.fromkeys(("minipage", "longtable", "tblr", "multicols", "subfigure"), "[{"),
    **dict.fromkeys(("tabularx", "tabulary"), "{{"),
    **dict.fromkeys(("tcolorbox", "mdframed", "sidewaysfigure", "sidewaystable", "frame"), "["),
    **dict.fromkeys(("column", "adjustbox"), "[{"),
    "frame": "[{",
    "tblr": "{",
}


@dataclass
class LatexConverter:
    """Converts one document. `picture_link` returns the link of a picture's file.

    `listings` and `drawings` are the sources that were cut out before parsing, `numbers` the
    printed numbers of figures and tables by label, `theorems` the titles of own environments.
    """

    picture_link: Callable[[str], str]
    listings: Sequence[str] = ()
    drawings: Sequence[str] = ()
    numbers: Mapping[str, str] = field(default_factory=dict)
    theorems: Mapping[str, str] = field(default_factory=dict)
    _footnotes: list[str] = field(default_factory=list)

    def html(self, source: str) -> str:
        """Return the HTML of a LaTeX source. Errors of the source are tolerated."""
        context = get_default_latex_context_db()
        environments = dict.fromkeys(self.theorems, "[") | _ENVIRONMENTS
        context.add_context_category(
            "unirag",
            macros=[std_macro(name, arguments) for name, arguments in _MACROS.items()],
            environments=[std_environment(n, a) for n, a in environments.items()],
            prepend=True,
        )
        walker = LatexWalker(source, latex_context=context, tolerant_parsing=True)
        nodes, _, _ = walker.get_latex_nodes()
        return f"<p>{self._nodes(nodes)}{self._take_footnotes()}</p>"

    def _nodes(self, nodes: Nodes | None) -> str:
        pieces: list[str] = []
        for node in nodes or ():
            if isinstance(node, LatexMacroNode) and _CITATIONS.fullmatch(node.macroname):
                pieces[-1:] = [piece.rstrip() for piece in pieces[-1:]]  # the space before it
            elif node is not None:
                pieces.append(self._node(node))
        return "".join(pieces)

    def _node(self, node: Any) -> str:
        if isinstance(node, LatexCharsNode):
            return self._text(node.chars)
        if isinstance(node, LatexSpecialsNode):
            return html.escape(_SPECIALS.get(node.specials_chars, node.specials_chars))
        if isinstance(node, LatexMathNode):
            return formula_text(_math_body(node), is_displayed=node.displaytype == "display")
        if isinstance(node, LatexGroupNode):
            return self._nodes(node.nodelist)
        if isinstance(node, LatexEnvironmentNode):
            return self._environment(node)
        if isinstance(node, LatexMacroNode):
            return self._macro(node)
        assert isinstance(node, LatexCommentNode)
        return ""

    def _text(self, text: str) -> str:
        paragraphs = re.split(r"\n[ \t]*\n\s*", html.escape(text))
        if len(paragraphs) == 1:
            return paragraphs[0]
        return f"{paragraphs[0]}{self._take_footnotes()}</p><p>" + "</p><p>".join(paragraphs[1:])

    def _take_footnotes(self) -> str:
        notes, self._footnotes = self._footnotes, []
        return "".join(f"<br>({note})" for note in notes)

    # -- commands ----------------------------------------------------------------------------------

    def _macro(self, node: Any) -> str:
        name = node.macroname
        arguments = _arguments(node)
        last = arguments[-1:] or [None]
        if name in _HEADINGS:
            tag = _HEADINGS[name]
            return f"</p>{self._take_footnotes()}<{tag}>{self._nodes(last)}</{tag}><p>"
        if name in _BREAKS:
            return "<br>" if name != "par" else f"{self._take_footnotes()}</p><p>"
        if name in _DROPPED:
            return ""
        if name == "includegraphics":
            return f'<img src="{html.escape(self.picture_link(_source(last[0])))}" alt="">'
        if name == "listing":
            return f"</p><pre>\n{html.escape(self.listings[int(_source(last[0]))])}</pre><p>"
        if name == "drawing":
            return self._drawing(self.drawings[int(_source(last[0]))])
        if name in ("footnote", "footnotetext"):
            self._footnotes.append(self._nodes(last))
            return ""
        if name in ("ref", "cref", "Cref", "autoref", "eqref", "pageref", "nameref"):
            return self._reference(name, _source(last[0]))
        if name == "caption" or name == "captionof":
            return f"<figcaption>{self._nodes(last)}</figcaption>"
        if name in _STYLES:
            tag = _STYLES[name]
            return f"<{tag}>{self._nodes(last)}</{tag}>"
        if name == "texorpdfstring":
            return self._nodes(arguments[:1])
        if name == "enquote":
            return f"“{self._nodes(last)}”"
        if name == "item":
            return f"- {self._nodes(last)}"
        return self._other_macro(node, last)

    def _other_macro(self, node: Any, last: Nodes) -> str:
        """Return accents and symbols as characters, and of an unknown command its words."""
        if last[0] is not None and not _is_simple(last[0]):
            return self._nodes(last)
        if last[0] is None and _arguments(node):
            return ""
        if node.macroname in ("TeX", "LaTeX", "LaTeXe", "BibTeX"):
            return node.macroname + " "
        text = LatexNodes2Text(math_mode="verbatim").node_to_text(node)
        if not text and last[0] is not None:
            return self._nodes(last)
        space = " " if node.macro_post_space and text else ""
        return html.escape(text) + space

    def _reference(self, name: str, label: str) -> str:
        labels = [part.strip() for part in label.split(",")]
        texts = [self.numbers.get(part, part) for part in labels]
        if name in ("cref", "Cref", "autoref"):
            kind = "Figure" if any("fig" in part.lower() for part in labels) else ""
            kind = "Table" if any("tab" in part.lower() for part in labels) else kind
            texts[:1] = [f"{kind} {texts[0]}".strip()]
        text = ", ".join(texts)
        link = f'<a href="#{html.escape(labels[0])}">{html.escape(text)}</a>'
        return f"({link})" if name == "eqref" else link

    def _drawing(self, source: str) -> str:
        """Return the labels of a drawing made of commands, and a mark that it is not drawn."""
        labels = re.findall(r"node[^{};]*\{([^{}]*)\}", source)
        words = "; ".join(filter(None, (html.escape(" ".join(t.split())) for t in labels)))
        return f'<canvas title="drawing"></canvas>{words}'

    # -- environments ------------------------------------------------------------------------------

    def _environment(self, node: Any) -> str:
        name = node.environmentname.rstrip("*")
        if name in _FORMULAS:
            return formula_text(_environment_body(node), is_displayed=name != "math")
        return f"</p>{self._block(node, name)}<p>"

    def _block(self, node: Any, name: str) -> str:
        nodes = node.nodelist
        if name in _LISTS:
            return self._list(nodes, _LISTS[name])
        if name in _TABLES:
            return table_html(nodes, self._nodes)
        if name in _FLOATS or name == "subfigure":
            return self._float(nodes)
        if name == "abstract":
            return f"<h3>Abstract</h3><p>{self._nodes(nodes)}</p>"
        if name == "frame":
            title = self._nodes(_arguments(node)[-1:])
            return (f"<h4>{title}</h4>" if title else "") + f"<p>{self._nodes(nodes)}</p>"
        title = self.theorems.get(name, name.capitalize() if name in _THEOREMS else "")
        option = next((self._nodes([a]) for a in _arguments(node) if a is not None), "")
        if title:
            heading = f"<b>{title}{f' ({option})' if option else ''}.</b> "
            return f"<div><p>{heading}{self._nodes(nodes)}</p></div>"
        tag = "aside" if name in _ASIDES else "div"
        return f"<{tag}><p>{self._nodes(nodes)}</p></{tag}>"

    def _list(self, nodes: Nodes, tag: str) -> str:
        items: list[tuple[str, list[Any]]] = []
        for node in nodes or ():
            if isinstance(node, LatexMacroNode) and node.macroname == "item":
                items.append((self._nodes(_arguments(node)[-1:]), []))
            elif items:
                items[-1][1].append(node)
        if tag == "dl":
            lines = (f"<dt>{term}</dt><dd>{self._nodes(body)}</dd>" for term, body in items)
        else:
            lines = (f"<li>{term} {self._nodes(body)}</li>" for term, body in items)
        return f"<{tag}>{''.join(lines)}</{tag}>"

    def _float(self, nodes: Nodes) -> str:
        """Return a figure or table with its caption, which starts with its number."""
        body = self._nodes(nodes)
        labels = re.findall(r"\\label\{([^{}]*)\}", "".join(n.latex_verbatim() for n in nodes))
        name = next((label for label in labels if label in self.numbers), "")
        kind = "Table" if "<table>" in body and "<img" not in body else "Figure"
        if name:
            number = f"{kind} {self.numbers[name]}. "
            body = number.join(body.rsplit("<figcaption>", 1)) if "<figcaption>" in body else body
            head, caption, rest = body.rpartition(number)
            body = f"{head}<figcaption>{caption}{rest}" if caption else body
        return f'<figure id="{html.escape(name)}">{body}</figure>'


def formula_text(body: str, *, is_displayed: bool) -> str:
    """Return a formula between its delimiters, as text of an HTML page."""
    body = " ".join(_LABEL.sub("", body).split())
    if not body:
        return ""
    return html.escape(f"\\[{body}\\]" if is_displayed else f"\\({body}\\)")


def _math_body(node: Any) -> str:
    opening, closing = node.delimiters
    return str(node.latex_verbatim())[len(opening) :].removesuffix(closing)


def _environment_body(node: Any) -> str:
    """Return a displayed formula; an environment with several lines keeps its name."""
    source = str(node.latex_verbatim())
    if node.environmentname.rstrip("*") not in _PLAIN_FORMULAS:
        return source
    return source.split("}", 1)[1].rpartition("\\end")[0]


def _arguments(node: Any) -> list[Any]:
    return list(node.nodeargd.argnlist or ()) if node.nodeargd else []


def _source(node: Any) -> str:
    """Return the source of an argument, without its braces."""
    return str(node.latex_verbatim()).strip("{} \n") if node is not None else ""


def _is_simple(node: Any) -> bool:
    nodes = node.nodelist if isinstance(node, LatexGroupNode) else [node]
    return all(isinstance(n, LatexCharsNode | LatexSpecialsNode) for n in nodes or ())
