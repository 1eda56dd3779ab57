"""Self-attention over tokens and prompts, gated or plain.

B batch, T tokens (prompts among them), H heads, W tower width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["FusableLinear", "PromptedAttention", "apply_layer"]


class FusableLinear(nn.Module):
    """A linear layer that also runs the module before it and adds the residual after it."""

    def forward(
        self, x: Tensor, before: nn.Module | None = None, residual: Tensor | None = None
    ) -> Tensor:
        """Return residual + layer(before(x)), possibly as one operation."""
        raise NotImplementedError


def apply_layer(
    layer: nn.Module, x: Tensor, before: nn.Module | None = None, residual: Tensor | None = None
) -> Tensor:
    """Return residual + layer(before(x)); a `FusableLinear` does all of it itself."""
    if isinstance(layer, FusableLinear):
        return layer(x, before, residual)
    y = layer(x if before is None else before(x))
    return y if residual is None else residual + y


class PromptedAttention(nn.Module):
    """Multi-head self-attention over tokens, some of which may be prompts.

    Tokens attend to tokens as before. Their attention to the prompts is a separate softmax. It is
    multiplied by the tanh of a gate per head, which starts at 0, and then added (zero-init
    attention of LLaMA-Adapter, arXiv 2303.16199, section 3.2). Without the gate, even small prompts
    would change the vectors of a trained tower at once.

    With `plain`, prompts are tokens like all others, as in Uni-Retrieval (arXiv 2502.05863, section
    4.3), and the gate has no effect.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.plain = heads, False
        self.qkv: nn.Module = nn.Linear(width, 3 * width)
        self.out: nn.Module = nn.Linear(width, width)
        self.gate_H = nn.Parameter(torch.zeros(heads))

    def forward(
        self,
        x_BTW: Tensor,
        start: int = 0,
        prompts: int = 0,
        *,
        causal: bool = False,
        norm: nn.Module | None = None,
        residual_BTW: Tensor | None = None,
    ) -> Tensor:
        """Return (B, T, W). Tokens `start` to `start + prompts` are prompts.

        With `causal`, prompts have to come first. `norm` is applied to `x_BTW` before attention,
        and `residual_BTW` is added to the result.
        """
        qkv_BTX = apply_layer(self.qkv, x_BTW, norm)
        q, k, v = qkv_BTX.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        if not prompts or self.plain:
            y_BHTd = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
            return self._project(y_BHTd, residual_BTW)
        assert start == 0 or not causal
        sizes = (start, prompts, x_BTW.shape[1] - start - prompts)
        # a: tokens before the prompts, p: prompts, b: tokens after them, t: all tokens but prompts
        (q_a, q_p, q_b), (k_a, k_p, k_b), (v_a, v_p, v_b) = [
            x.split(sizes, dim=2) for x in (q, k, v)
        ]
        q_t, k_t, v_t = (torch.cat(x, dim=2) for x in ((q_a, q_b), (k_a, k_b), (v_a, v_b)))
        y_t = F.scaled_dot_product_attention(q_t, k_t, v_t, is_causal=causal)
        y_t = y_t + self.gate_H.tanh()[:, None, None] * F.scaled_dot_product_attention(
            q_t, k_p, v_p
        )
        # Prompts attend to all tokens. In a causal tower they come first and see only each other.
        y_p = F.scaled_dot_product_attention(q_p, *((k_p, v_p) if causal else (k, v)))
        y_a, y_b = y_t.split((sizes[0], sizes[2]), dim=2)
        return self._project(torch.cat((y_a, y_p, y_b), dim=2), residual_BTW)

    def _project(self, y_BHTd: Tensor, residual_BTW: Tensor | None) -> Tensor:
        """Join the heads, apply the output layer and add the residual."""
        return apply_layer(self.out, y_BHTd.transpose(1, 2).flatten(2), residual=residual_BTW)
