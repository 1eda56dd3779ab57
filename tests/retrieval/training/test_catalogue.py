"""The list of methods, and the page that is made from it."""

from __future__ import annotations

from pathlib import Path

from retrieval.experts.registry import REGISTRY
from retrieval.training.catalogue import list_methods, methods_markdown
from retrieval.training.methods import methods

ROOT = Path(__file__).resolve().parents[3]


def test_every_method_of_the_registry_is_listed_with_its_file():
    entries = list_methods()
    assert {(e.family, e.name) for e in entries} == {
        (family, name) for family, found in REGISTRY.items() for name in found
    }
    assert len(entries) >= 49
    for entry in entries:
        assert (ROOT / entry.file).is_file(), entry.file
        assert entry.train_method in methods()
        assert entry.parameters > 0


def test_parameters_are_counted_by_hand():
    count = {(e.family, e.name): e.parameters for e in list_methods()}
    lora = 4 * 8 * (384 + 768) + 4 * 128
    assert count["parameterisation", "lora"] == lora
    assert count["parameterisation", "film"] == 4 * 2 * 768 + 4 * 128
    assert count["parameterisation", "nola"] == 4 * 2 * 64 + 4 * 128
    assert count["parameterisation", "flylora"] == 4 * 8 * 768
    assert count["allocation", "diffora"] == lora + 1
    assert count["router", "mixer"] == lora - 4 * 128
    assert count["compression", "easy_ep"] == 2 * 8 * (384 + 768) + 4 * 128


def test_the_page_of_methods_is_up_to_date():
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    assert methods_markdown() in page, "paste: python -m retrieval.training.catalogue"
    for name in ("Hecate", "DMoERM", "Surveys"):
        assert name in page
