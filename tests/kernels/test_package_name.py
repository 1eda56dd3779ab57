"""transformers probes for a Hugging Face package that has the name of our package `kernels`."""

from __future__ import annotations

from transformers.utils.import_utils import is_kernels_available

import kernels


def test_transformers_does_not_mistake_our_package_for_the_hugging_face_one():
    assert kernels.__version__ == "0.0.0"
    assert kernels.__doc__
    assert "MoE-LoRA" in kernels.__doc__
    assert not is_kernels_available()
