"""Where Triton's kernels run: on the GPU if there is one, else in Triton's interpreter."""

from __future__ import annotations

import os

import pytest
import torch


@pytest.fixture(scope="session")
def device() -> str:
    """`cuda`, or `cpu` where the interpreter takes its place; skips where neither is there."""
    if torch.cuda.is_available():
        return "cuda"
    pytest.importorskip("triton")
    if os.environ.get("TRITON_INTERPRET") != "1":
        pytest.skip("no GPU, and TRITON_INTERPRET=1 was not set before Triton was imported")
    return "cpu"


@pytest.fixture
def _poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory comes full of NaN, so that what a kernel leaves unwritten is seen."""

    def full(make):
        def made(*args, **kwargs):
            tensor = make(*args, **kwargs)
            return tensor.fill_(torch.nan) if tensor.is_floating_point() else tensor

        return made

    monkeypatch.setattr(torch, "empty", full(torch.empty))
    monkeypatch.setattr(torch.Tensor, "new_empty", full(torch.Tensor.new_empty))
