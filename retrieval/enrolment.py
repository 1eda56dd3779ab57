"""Styles learnt from a few examples: each style adds a bank entry and leaves the towers unchanged.

B batch, D width of the vectors, K prototype width, F gallery figures, R directions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from data.errors import BadInput
from retrieval.tower import TowerInputs
from retrieval.uni_retrieval import UniRetrieval

__all__ = ["MAX_EXAMPLES", "MIN_EXAMPLES", "Enrolment", "enrol"]

MIN_EXAMPLES, MAX_EXAMPLES = 8, 512
_NUISANCE_DIRECTIONS = 4  # the best of 0, 2, 4 and 8 on the development book


@dataclass(frozen=True, eq=False)
class Enrolment:
    """A bank entry of an enrolled style: its key, and the shift of its vectors to the gallery.

    `apply` is for pictures whose prototype is nearest to `key_K`. It moves their vectors from the
    style's mean, `style_mean_D`, to the gallery's mean, `gallery_mean_D`, and removes their
    component along `nuisance_RD`: orthonormal directions in which the style moves different figures
    differently. `encoder` names the weights that the entry belongs to. `examples` is the number of
    examples; `paired` says whether their originals were known.
    """

    name: str
    version: int
    encoder: str
    examples: int
    paired: bool
    key_K: Tensor
    style_mean_D: Tensor
    gallery_mean_D: Tensor
    nuisance_RD: Tensor

    def apply(self, vectors_BD: Tensor) -> Tensor:
        """Return the unit vectors of pictures in this style, moved towards the gallery."""
        x_BD = vectors_BD - self.style_mean_D
        x_BD = x_BD - (x_BD @ self.nuisance_RD.T) @ self.nuisance_RD
        return F.normalize(x_BD + self.gallery_mean_D, dim=1)

    def move_key(self, prototypes_BK: Tensor, rate: float) -> Enrolment:
        """Return the entry with its key moved by `rate`, in [0, 1], to the prototypes' mean."""
        moved_K = (1 - rate) * self.key_K + rate * prototypes_BK.mean(0)
        return replace(self, key_K=F.normalize(moved_K, dim=0))

    def save(self, path: Path) -> None:
        """Write the entry to `path`. Raises `FileExistsError` if the file exists."""
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        tensors = {n: v.contiguous().cpu() for n, v in values.items() if isinstance(v, Tensor)}
        metadata = {n: v for n, v in values.items() if n not in tensors}
        if path.exists():
            raise FileExistsError(path)
        save_file(tensors, path, {"enrolment": json.dumps(metadata)})

    @classmethod
    def load(cls, path: Path) -> Enrolment:
        """Read an entry. Raises `BadInput` for a file that is not an enrolment."""
        try:
            with safe_open(path, "pt") as handle:
                metadata = json.loads(handle.metadata()["enrolment"])
                tensors = {n: handle.get_tensor(n) for n in handle.keys()}  # noqa: SIM118
            return cls(**metadata, **tensors)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise BadInput(
                f"{path}: not an enrolled style ({error}); remove the file and run `unirag adapt`"
            ) from None


@torch.no_grad()
def enrol(
    encoder: UniRetrieval,
    name: str,
    version: int,
    encoder_name: str,
    examples: TowerInputs,
    gallery_FD: Tensor,
    answers: Sequence[int] | None,
) -> Enrolment:
    """Compute the bank entry of the style of `examples`.

    `gallery_FD` are unit vectors of figures in style `original`. `answers` holds, for each example,
    the row of its figure in the gallery. The nuisance directions come from these pairs (nuisance
    attribute projection, Solomonoff et al. 2005). Without `answers` there are none.
    """
    size = len(examples.features_BG)
    if size < MIN_EXAMPLES:
        raise BadInput(f"{size} examples of style {name!r}; expected at least {MIN_EXAMPLES}")
    encoded = encoder.forward_image(examples)
    style_mean_D = encoded.vectors_BD.mean(0)
    nuisance_RD = style_mean_D.new_zeros(0, len(style_mean_D))
    if answers is not None:
        shift_BD = gallery_FD[list(answers)] - encoded.vectors_BD
        centred_BD = shift_BD - shift_BD.mean(0)
        nuisance_RD = torch.linalg.svd(centred_BD, full_matrices=False).Vh[:_NUISANCE_DIRECTIONS]
    return Enrolment(
        name,
        version,
        encoder_name,
        size,
        answers is not None,
        F.normalize(encoded.prototypes_BK.mean(0), dim=0),
        style_mean_D,
        gallery_FD.mean(0),
        nuisance_RD,
    )
