"""`unirag methods`."""

from __future__ import annotations

from dataclasses import asdict

from unirag.cli.output import out, plain, print_json
from unirag.cli.session import Session

__all__ = ["methods"]


def methods(session: Session) -> None:
    """List every mixture method with its paper, its size and where it may stand."""
    from retrieval.experts.registry import FAMILIES
    from retrieval.training.catalogue import EXAMPLE_LAYER, list_methods

    entries = list_methods()
    if session.json:
        rows = [asdict(entry) for entry in entries]
        print_json({"example_layer": EXAMPLE_LAYER, "methods": rows})
        return
    for family, purpose in FAMILIES.items():
        out.print(f"[bold]{family}[/] {purpose}")
        for entry in entries:
            if entry.family == family:
                out.print(
                    f"  {entry.name:18} {entry.parameters:>7,}  {plain(entry.paper)} "
                    f"(arXiv {entry.arxiv}) [dim]in {', '.join(entry.places)}; "
                    f"train.method: {entry.train_method}[/]",
                    soft_wrap=True,
                )
    out.print(f"{len(entries)} methods; parameters are those trained in {EXAMPLE_LAYER}")
