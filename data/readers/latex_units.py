"""Quantities of the LaTeX package siunitx as plain text.

`\\SI{9.81}{\\metre\\per\\second\\squared}` becomes `9.81~m/s^2`, in text and in formulas.
"""

from __future__ import annotations

import re

from data.readers.latex_macros import balanced

__all__ = ["write_units"]

_PREFIXES = dict(
    pair.split("=")
    for pair in (
        "quecto=q ronto=r yocto=y zepto=z atto=a femto=f pico=p nano=n micro=µ milli=m centi=c "
        "deci=d deca=da hecto=h kilo=k mega=M giga=G tera=T peta=P exa=E zetta=Z yotta=Y ronna=R "
        "quetta=Q"
    ).split()
)
_UNITS = dict(
    pair.split("=")
    for pair in (
        "metre=m meter=m gram=g kilogram=kg second=s ampere=A kelvin=K mole=mol candela=cd "
        "hertz=Hz newton=N pascal=Pa joule=J watt=W coulomb=C volt=V farad=F ohm=Ω siemens=S "
        "weber=Wb tesla=T henry=H lumen=lm lux=lx becquerel=Bq gray=Gy sievert=Sv katal=kat "
        "radian=rad steradian=sr celsius=°C degreeCelsius=°C degree=° arcminute=′ arcsecond=″ "
        "minute=min "
        "hour=h day=d litre=L liter=L tonne=t hectare=ha electronvolt=eV dalton=Da bar=bar "
        "decibel=dB bel=B percent=% angstrom=Å astronomicalunit=au parsec=pc atomicmassunit=u "
        "clight=c bit=bit byte=B mmHg=mmHg knot=kn"
    ).split()
)
_COMMAND = re.compile(r"\\(?P<name>SI|qty|si|unit|num|ang)\b\s*(?:\[[^\]]*\])?\s*(?=\{)")
_TOKEN = re.compile(r"\\(?P<name>[A-Za-z]+)(?:\{(?P<argument>[^{}]*)\})?|(?P<text>[^\\]+)")
_MAX_QUANTITY = 200  # characters
_EXPONENT = re.compile(r"(?P<factor>[\d.,+-]*)[eE](?P<exponent>[+-]?\d+)")


def write_units(source: str) -> str:
    """Return a LaTeX source with its quantities, units and numbers of siunitx written out."""
    pieces: list[str] = []
    end = 0
    for match in _COMMAND.finditer(source):
        first = balanced(source, match.end(), _MAX_QUANTITY)
        if first is None or match.start() < end:
            continue
        stop = match.end() + len(first) + 2
        name, text = match["name"], _number(first)
        if name in ("SI", "qty"):
            second = balanced(source, stop, _MAX_QUANTITY)
            if second is None:
                continue
            stop += len(second) + 2
            unit = _unit(second)
            text += unit if unit in ("°", "′", "″") else f"~{unit}"
        elif name in ("si", "unit"):
            text = _unit(first)
        elif name == "ang":
            text = "".join(f"{n}{s}" for n, s in zip(first.split(";"), "°′″", strict=False) if n)
        pieces += [source[end : match.start()], text]
        end = stop
    return "".join(pieces) + source[end:]


def _number(text: str) -> str:
    number = _EXPONENT.fullmatch(text.strip())
    if not number:
        return text.strip()
    power = f"10^{{{number['exponent'].lstrip('+')}}}"
    return f"{number['factor']} × {power}" if number["factor"] else power


def _unit(text: str) -> str:
    """Return a unit such as `\\metre\\per\\second\\squared` as `m/s^2`."""
    above: list[str] = []
    below: list[str] = []
    prefix = power = ""
    units = above
    for token in _TOKEN.finditer(text):
        name = token["name"]
        if name is None:
            above += filter(None, [token["text"].strip().replace(".", " ").replace("~", " ")])
        elif name == "per":
            units = below
        elif name in _PREFIXES:
            prefix = _PREFIXES[name]
        elif name in ("square", "cubic"):
            power = {"square": "^2", "cubic": "^3"}[name]
        elif name in ("squared", "cubed", "tothe"):
            exponent = {"squared": "2", "cubed": "3"}.get(name, token["argument"] or "")
            written = below if below and units is above else above
            written[-1:] = [f"{unit}^{exponent}" for unit in written[-1:]]
        else:
            units.append(f"{prefix}{_UNITS.get(name, name)}{power}")
            prefix = power = ""
            units = above
    written_below = " ".join(below)
    return (
        " ".join(above)
        + (f"/{written_below}" if len(below) == 1 else "")
        + (f"/({written_below})" if len(below) > 1 else "")
    )
