"""Every method of the registry builds, changes nothing at first, and trains; new ones are easy."""

from __future__ import annotations

import sys
import types

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from retrieval.experts import ExpertConfig, MoELoRALinear, Route
from retrieval.experts.paper import Paper
from retrieval.experts.registry import FAMILIES, REGISTRY, load, names
from retrieval.experts.routers import Router, Routing

WIDTHS = {"inputs": 12, "outputs": 10, "prototype": 7}
MIXTURES = [
    (family, name)
    for family in ("router", "parameterisation", "allocation")
    for name in names(family)
]


def _layer(family: str, name: str, **settings) -> tuple[nn.Linear, MoELoRALinear, Route]:
    torch.manual_seed(0)
    chosen = {family: name, **load(family, name).example, "rank": 3, **settings}
    base, route = nn.Linear(WIDTHS["inputs"], WIDTHS["outputs"]), Route()
    layer = MoELoRALinear.wrap(base, ExpertConfig(**chosen), route, "fc", width=WIDTHS["prototype"])
    return base, layer, route


@pytest.mark.parametrize("family", FAMILIES)
def test_every_method_names_its_paper_and_says_where_it_is_smaller(family):
    for name in names(family):
        kind = load(family, name)
        assert isinstance(kind.paper, Paper), name
        assert kind.paper.name, name
        assert kind.paper.part, name
        year, _, number = kind.paper.arxiv.partition(".")
        assert len(year) == 4, name
        assert len(number) == 5, name
        document = sys.modules[kind.__module__].__doc__ + kind.__doc__
        assert kind.paper.arxiv in document, f"{name}: the file does not name {kind.paper.arxiv}"
        assert kind.places, name


def test_there_are_as_many_methods_as_the_library_promises():
    assert sum(len(names(family)) for family in FAMILIES) >= 49
    classes = [path for family in REGISTRY.values() for path in family.values()]
    assert len(set(classes)) == len(classes)


@pytest.mark.parametrize("choice", MIXTURES)
def test_untrained_experts_change_nothing(choice):
    base, layer, route = _layer(*choice)
    x = torch.randn(2, 5, WIDTHS["inputs"])
    with route.carrying(torch.randn(2, WIDTHS["prototype"])):
        torch.testing.assert_close(layer(x), base(x), rtol=0, atol=1e-6)
    assert torch.equal(layer(x), base(x))  # an idle route


@pytest.mark.parametrize("choice", MIXTURES)
def test_a_few_steps_lower_the_loss_and_leave_the_frozen_layer_alone(choice):
    _, layer, route = _layer(*choice)
    if layer.experts.router is not None and layer.experts.router.needs_adapters:
        layer.experts.b_ENR.data.normal_()  # as if trained before
    layer.train()
    weight = layer.weight.clone()
    x, prototype = torch.randn(16, 5, WIDTHS["inputs"]), torch.randn(16, WIDTHS["prototype"])
    # The target is what other experts of the same kind compute, so it can be reached.
    target = torch.randn(16, 1, WIDTHS["outputs"])
    trained = [p for p in layer.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=0.03)
    losses = []
    for _ in range(60):
        with route.carrying(prototype):
            loss = (layer(x) - target).square().mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        (loss + route.loss).backward()
        optimizer.step()
        layer.experts.after_step()
    assert min(losses[-5:]) < 0.97 * losses[0]
    assert torch.equal(layer.weight, weight)


@pytest.mark.parametrize("choice", MIXTURES)
def test_a_method_is_stored_with_its_state(choice):
    _, layer, route = _layer(*choice)
    layer.train()
    with torch.no_grad():
        for parameter in layer.experts.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    x, prototype = torch.randn(3, 5, WIDTHS["inputs"]), torch.randn(3, WIDTHS["prototype"])
    with route.carrying(prototype):
        layer(x)
    layer.experts.after_step()
    _, other, other_route = _layer(*choice)
    other.load_state_dict(layer.state_dict())
    layer.eval()
    other.eval()
    with route.carrying(prototype), other_route.carrying(prototype):
        assert torch.equal(other(x), layer(x))


def test_a_toy_router_is_one_file_and_one_line(monkeypatch):
    """The file is a module with a class; the line is an entry of the registry."""

    class FirstExpert(Router):
        """Always the first expert (arXiv 0000.00000)."""

        paper = Paper("Toy", "0000.00000", "nowhere")

        def choose(self, probs_XF):
            gates = torch.zeros_like(probs_XF)
            gates[..., 0] = 1
            return Routing(gates, gates.new_zeros(()))

    module = types.ModuleType("toy_router")
    module.FirstExpert = FirstExpert
    monkeypatch.setitem(sys.modules, "toy_router", module)
    monkeypatch.setitem(REGISTRY["router"], "toy", "toy_router:FirstExpert")

    base, layer, route = _layer("router", "toy")
    layer.experts.b_ENR.data.normal_()
    x = torch.randn(2, 5, WIDTHS["inputs"])
    with route.carrying(torch.randn(2, WIDTHS["prototype"])):
        a, b = layer.experts.a_ERK[0], layer.experts.b_ENR[0]
        expected = base(x) + layer.config.scale * x @ a.T @ b.T
        torch.testing.assert_close(layer(x), expected)

    from retrieval.training.methods import methods

    assert methods()["depth-toy"].config.depth.router == "toy"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"router": "hash"}, "'hash' is not known; expected one of softmax, top_k"),
        ({"router": "xlora"}, "set routed_by: token"),
        ({"router": "mixer", "routed_by": "token"}, "set routed_by: prototype"),
        ({"parameterisation": "smora"}, "use router=top_k"),
        ({"parameterisation": "flylora", "router": "top_k"}, "leave router=top_k out"),
        ({"parameterisation": "flylora", "top_k": 9}, "top_k=9, experts=4"),
        ({"parameterisation": "mora", "allocation": "diffora"}, "scales ranks"),
        ({"parameterisation": "film", "allocation": "diffora"}, "has none"),
        ({"parameterisation": "film", "rule": "omoe"}, "matrices A and B"),
        ({"rule": "omoe", "experts": 1}, "a single expert has no others"),
        ({"router": "mixer", "rule": "domain"}, "none that learns"),
        ({"router": "promoe", "experts": 2}, "need at least 3"),
        ({"options": {"router": {"threshold": 1}}}, r"options.router.threshold: .*softmax: none"),
        (
            {"router": "dynmole", "options": {"router": {"threshold": 2}}},
            "options.router.threshold: Input should be less than or equal to 1",
        ),
        ({"options": {"rule": {"every": 2}}}, "no such method is chosen"),
    ],
)
def test_an_illegal_combination_is_refused_with_the_reason(settings, reason):
    with pytest.raises(ValidationError, match=reason):
        ExpertConfig(**settings)
