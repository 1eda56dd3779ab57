"""Run Triton's kernels on the GPU if there is one, else in Triton's interpreter."""

from __future__ import annotations

import os

import pytest
import torch


@pytest.fixture(scope="session")
def device() -> str:
    """Return `cuda`, or `cpu` if the interpreter replaces it; skip if neither is available."""
    if torch.cuda.is_available():
        return "cuda"
    pytest.importorskip("triton")
    if os.environ.get("TRITON_INTERPRET") != "1":
        pytest.skip("no GPU, and TRITON_INTERPRET=1 was not set before Triton was imported")
    return "cpu"


@pytest.fixture
def _nan_filled_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill new memory with NaN, so that an element which a kernel does not write fails the test."""

    def nan_filled(allocate):
        def allocate_nan(*args, **kwargs):
            tensor = allocate(*args, **kwargs)
            return tensor.fill_(torch.nan) if tensor.is_floating_point() else tensor

        return allocate_nan

    monkeypatch.setattr(torch, "empty", nan_filled(torch.empty))
    monkeypatch.setattr(torch.Tensor, "new_empty", nan_filled(torch.Tensor.new_empty))
