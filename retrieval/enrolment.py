"""Styles learned at test time from a few examples: bank entries of their own, towers untouched.

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
from retrieval.uni import UniRetrieval

__all__ = ["MAX_EXAMPLES", "MIN_EXAMPLES", "Enrolment", "enrol"]

MIN_EXAMPLES, MAX_EXAMPLES = 8, 512  # examples
_DIRECTIONS = 4  # chosen on the development book, of 0, 2, 4 and 8


@dataclass(frozen=True, eq=False)
class Enrolment:
    """A bank entry of a style: a key, and how vectors of the style come home to the gallery.

    A picture whose prototype lies nearest to `key_K` has its vector moved from the style's mean,
    `style_mean_D`, to the gallery's, `gallery_mean_D`, without its part along `nuisance_RD`: orthonormal
    directions in which the style moves one figure this way and another that. `encoder` names the
    weights that the entry goes with.
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
        """Unit vectors of pictures in this style, as unit vectors beside those of the gallery."""
        x_BD = vectors_BD - self.style_mean_D
        x_BD = x_BD - (x_BD @ self.nuisance_RD.T) @ self.nuisance_RD
        return F.normalize(x_BD + self.gallery_mean_D, dim=1)

    def move_key(self, prototypes_BK: Tensor, rate: float) -> Enrolment:
        """The entry with its key moved by `rate`, in [0, 1], towards the mean of prototypes."""
        moved_K = (1 - rate) * self.key_K + rate * prototypes_BK.mean(0)
        return replace(self, key_K=F.normalize(moved_K, dim=0))

    def save(self, path: Path) -> None:
        """Raises `FileExistsError` rather than overwrite another version."""
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        tensors = {n: v.contiguous().cpu() for n, v in values.items() if isinstance(v, Tensor)}
        about = {n: v for n, v in values.items() if n not in tensors}
        if path.exists():
            raise FileExistsError(path)
        save_file(tensors, path, {"enrolment": json.dumps(about)})

    @classmethod
    def load(cls, path: Path) -> Enrolment:
        """Raises `BadInput` for a file that is no enrolment."""
        try:
            with safe_open(path, "pt") as handle:
                about = json.loads(handle.metadata()["enrolment"])
                tensors = {n: handle.get_tensor(n) for n in handle.keys()}  # noqa: SIM118
            return cls(**about, **tensors)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise BadInput(
                f"{path}: not an enrolled style ({error}); remove the file and run `unirag adapt`"
            ) from None


@torch.no_grad()
def enrol(
    encoder: UniRetrieval,
    name: str,
    version: int,
    weights: str,
    examples: TowerInputs,
    gallery_FD: Tensor,
    answers: Sequence[int] | None,
) -> Enrolment:
    """The entry of the style that `examples` show; `weights` is the encoder's name.

    `gallery_FD` are unit vectors of figures as they are, encoded in style `original`. `answers`
    numbers those of them that the examples show; from such pairs the nuisance directions are taken
    (nuisance attribute projection, Solomonoff et al. 2005), without them there are none.
    """
    size = len(examples.features_BG)
    if size < MIN_EXAMPLES:
        raise BadInput(f"{size} examples of style {name!r}; expected at least {MIN_EXAMPLES}")
    encoded = encoder.forward_image(examples)
    style_mean_D = encoded.vectors_BD.mean(0)
    nuisance_RD = style_mean_D.new_zeros(0, len(style_mean_D))
    if answers is not None:
        moved_BD = gallery_FD[list(answers)] - encoded.vectors_BD
        centred_BD = moved_BD - moved_BD.mean(0)
        nuisance_RD = torch.linalg.svd(centred_BD, full_matrices=False).Vh[:_DIRECTIONS]
    return Enrolment(
        name,
        version,
        weights,
        size,
        answers is not None,
        F.normalize(encoded.prototypes_BK.mean(0), dim=0),
        style_mean_D,
        gallery_FD.mean(0),
        nuisance_RD,
    )
