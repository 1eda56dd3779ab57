"""The LaTeX commands of MathML's characters, for `data/readers/mathml.py`."""

from __future__ import annotations

__all__ = [
    "ACCENTS",
    "FUNCTIONS",
    "INFIX",
    "LABELLED_ARROWS",
    "LARGE_OPERATORS",
    "SYMBOLS",
    "UNDER_ACCENTS",
]

_FUNCTION_NAMES = (
    "arccos arcsin arctan arg cos cosh cot coth csc deg det dim exp gcd hom inf ker lg lim "
    "liminf limsup ln log max min sec sin sinh sup tan tanh Pr"
)
FUNCTIONS = frozenset(_FUNCTION_NAMES.split())

_GREEK_NAMES = (
    "alpha beta gamma delta varepsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho "
    "varsigma sigma tau upsilon varphi chi psi omega"
)
_SAME_AS_LATIN = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΧο", "ABEZHIKMNOPTXo", strict=True))
_LETTER_COMMANDS = {
    "\u00b5": "mu",  # the micro sign
    "Γ": "Gamma",
    "Δ": "Delta",
    "∆": "Delta",
    "Θ": "Theta",
    "Λ": "Lambda",
    "Ξ": "Xi",
    "Π": "Pi",
    "Σ": "Sigma",
    "Ʃ": "Sigma",
    "Υ": "Upsilon",
    "ϒ": "Upsilon",
    "Φ": "Phi",
    "Ψ": "Psi",
    "\u03a9": "Omega",
    "\u2126": "Omega",  # the ohm sign
}
_VARIANT_COMMANDS = {"ϵ": "epsilon", "ϑ": "vartheta", "ϕ": "phi", "ϖ": "varpi", "ϱ": "varrho"}
_SYMBOL_COMMANDS = {
    # relations and arrows
    "≤": "leq",
    "⩽": "leq",
    "≥": "geq",
    "⩾": "geq",
    "≠": "neq",
    "≈": "approx",
    "≅": "cong",
    "≃": "simeq",
    "≡": "equiv",
    "∼": "sim",
    "~": "sim",
    "∝": "propto",
    "≪": "ll",
    "≫": "gg",
    "→": "to",
    "⟶": "longrightarrow",
    "←": "leftarrow",
    "⟵": "longleftarrow",
    "↔": "leftrightarrow",
    "⇒": "Rightarrow",
    "⟹": "Longrightarrow",
    "⇐": "Leftarrow",
    "⇔": "Leftrightarrow",
    "⇌": "rightleftharpoons",
    "⇋": "leftrightharpoons",
    "⇄": "rightleftarrows",
    "⇅": "updownarrows",
    "↑": "uparrow",
    "↓": "downarrow",
    "↦": "mapsto",
    "∈": "in",
    "∉": "notin",
    "∋": "ni",
    "⊂": "subset",
    "⊆": "subseteq",
    "⊃": "supset",
    "⊇": "supseteq",
    "⊥": "perp",
    "∥": "parallel",
    "∣": "mid",
    # binary operators
    "×": "times",
    "·": "cdot",
    "⋅": "cdot",
    "∙": "cdot",
    "•": "bullet",
    "∘": "circ",
    "◦": "circ",
    "÷": "div",
    "±": "pm",
    "∓": "mp",
    "∪": "cup",
    "∩": "cap",
    "∧": "wedge",
    "∨": "vee",
    "⊕": "oplus",
    "⊗": "otimes",
    "∖": "setminus",
    # large operators
    "∑": "sum",
    "∏": "prod",
    "∫": "int",
    "∬": "iint",
    "∭": "iiint",
    "∮": "oint",
    "⋃": "bigcup",
    "⋂": "bigcap",
    "∐": "coprod",
    "∯": "oiint",
    "∰": "oiiint",
    "⋀": "bigwedge",
    "⋁": "bigvee",
    "⨀": "bigodot",
    "⨁": "bigoplus",
    "⨂": "bigotimes",
    "⨄": "biguplus",
    "⨆": "bigsqcup",
    # ordinary symbols
    "∞": "infty",
    "∂": "partial",
    "∇": "nabla",
    "ℏ": "hbar",
    "ħ": "hbar",
    "ℓ": "ell",
    "∅": "emptyset",
    "∀": "forall",
    "∃": "exists",
    "¬": "neg",
    "∠": "angle",
    "∡": "measuredangle",
    "△": "triangle",
    "∴": "therefore",
    "∵": "because",
    "†": "dagger",
    "‡": "ddagger",
    "…": "ldots",
    "⋯": "cdots",
    "⋮": "vdots",
    "⋱": "ddots",
    "√": "surd",
    "✓": "checkmark",
    # fences
    "\u27e8": "langle",
    "\u2329": "langle",
    "\u3008": "langle",
    "\u27e9": "rangle",
    "\u232a": "rangle",
    "\u3009": "rangle",
    "‖": "Vert",
    "║": "Vert",
    "ǁ": "Vert",
    "⌊": "lfloor",
    "⌋": "rfloor",
    "⌈": "lceil",
    "⌉": "rceil",
}
_PLAIN_CHARACTERS = {
    "−": "-",
    "–": "-",
    "‐": "-",
    "‒": "-",
    "—": "-",
    "∗": "*",
    "º": "°",
    "˚": "°",
    "′": "'",
    "’": "'",
    "‘": "'",
    "″": "''",
    "‴": "'''",
    "│": "|",
    "∕": "/",
    "═": "=",
    "─": "-",
    "∶": ":",
    "ʹ": "'",
    "“": "``",
    "”": "''",
    "\u2061": "",  # function application and invisible operators
    "\u2062": "",
    "\u2063": "",
    "\u2064": "",
    "\u200a": " ",
    "\u200b": "",
    "\ufeff": "",
}
_ESCAPED_CHARACTERS = {c: "\\" + c for c in "#$%&_{}"} | {"\\": r"\backslash", "^": r"\wedge"}
_LETTERLIKE = {
    "ℝ": r"\mathbb{R}",
    "ℕ": r"\mathbb{N}",
    "ℤ": r"\mathbb{Z}",
    "ℚ": r"\mathbb{Q}",
    "ℂ": r"\mathbb{C}",
    "ℳ": r"\mathcal{M}",
    "ℒ": r"\mathcal{L}",
    "ℰ": r"\mathcal{E}",
    "ℱ": r"\mathcal{F}",
    "ℋ": r"\mathcal{H}",
    "ŷ": r"\hat{y}",
}

SYMBOLS: dict[str, str] = (
    {
        chr(0x3B1 + i): "\\" + name
        for i, name in enumerate(_GREEK_NAMES.split())
        if name != "omicron"
    }
    | _SAME_AS_LATIN
    | {
        character: "\\" + name
        for character, name in (_LETTER_COMMANDS | _VARIANT_COMMANDS | _SYMBOL_COMMANDS).items()
    }
    | _PLAIN_CHARACTERS
    | _ESCAPED_CHARACTERS
    | _LETTERLIKE
)

_INFIX_NAMES = (
    "leq geq neq approx cong simeq equiv sim propto ll gg to longrightarrow leftarrow "
    "longleftarrow leftrightarrow Rightarrow Longrightarrow Leftarrow Leftrightarrow "
    "rightleftharpoons leftrightharpoons rightleftarrows mapsto in notin ni subset subseteq "
    "supset supseteq perp parallel mid times cdot bullet circ div pm mp cup cap wedge vee oplus "
    "otimes setminus"
)
INFIX = frozenset("=<>+-*:") | {"\\" + name for name in _INFIX_NAMES.split()}

# operators whose limits stand below and above them
_LARGE_NAMES = (
    "sum prod coprod int iint iiint oint oiint oiiint bigcup bigcap bigwedge bigvee bigodot "
    "bigoplus bigotimes biguplus bigsqcup lim limsup liminf max min sup inf Sigma"
)
LARGE_OPERATORS = frozenset("\\" + name for name in _LARGE_NAMES.split())

LABELLED_ARROWS = {
    r"\to": r"\xrightarrow",
    r"\longrightarrow": r"\xrightarrow",
    r"\leftarrow": r"\xleftarrow",
    r"\longleftarrow": r"\xleftarrow",
    r"\rightleftharpoons": r"\xrightleftharpoons",
}

# commands by the accent's character in MathML
ACCENTS = {
    "→": r"\vec",
    "⇀": r"\vec",
    "⟶": r"\vec",
    "^": r"\hat",
    "ˆ": r"\hat",
    "¯": r"\bar",
    "‾": r"\bar",
    "–": r"\bar",
    "—": r"\bar",
    "-": r"\bar",
    "−": r"\bar",
    "_": r"\bar",
    "\u0304": r"\bar",
    "~": r"\tilde",
    "˜": r"\tilde",
    "∼": r"\tilde",
    "˙": r"\dot",
    ".": r"\dot",
    "¨": r"\ddot",
    "ˇ": r"\check",
    "˘": r"\breve",
    "´": r"\acute",
    "`": r"\grave",
    "˚": r"\mathring",
    "⃛": r"\dddot",
    "⏜": r"\widehat",
    "⏞": r"\overbrace",
    "︷": r"\overbrace",
}
UNDER_ACCENTS = {"_": r"\underline", "¯": r"\underline", "⏟": r"\underbrace", "︸": r"\underbrace"}
