"""Our package `kernels` shares its name with one of Hugging Face that transformers probes for."""

from __future__ import annotations

from transformers.utils.import_utils import is_kernels_available

import kernels


def test_transformers_does_not_take_ours_for_the_one_of_hugging_face():
    assert kernels.__version__ == "0.0.0"
    assert kernels.__doc__
    assert "MoE-LoRA" in kernels.__doc__
    assert not is_kernels_available()
