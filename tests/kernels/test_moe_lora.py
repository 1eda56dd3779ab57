"""The fused layer matches the float64 reference in values and gradients, and refuses bad input."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kernels import augmented, reference
from kernels.dispatch import Workload, choose_tile
from kernels.moe_lora import Norm, moe_lora_delta, moe_lora_linear
from tests.kernels.layer_inputs import (
    TOLERANCE,
    LayerInputs,
    LayerSizes,
    assert_matches_reference,
    make_inputs,
    relative_error,
)

pytestmark = pytest.mark.usefixtures("_nan_filled_memory")

ROOT = Path(__file__).resolve().parents[2]
DESIGNS = ["one_pass", "augmented", "accumulate", "grouped"]
BEFORE_DESIGNS = DESIGNS[1:]  # they run a norm or a GELU before the layer
ONE = LayerSizes(1, 1, 33, 20, 2, 3)
FIFTY = LayerSizes(1, 50, 70, 35, 3, 7)
ODD = LayerSizes(1, 77, 65, 67, 5, 8)
LARGE = LayerSizes(3, 87, 40, 66, 4, 4)


@pytest.mark.parametrize("residual", [False, True], ids=["alone", "residual"])
@pytest.mark.parametrize("sizes", [ONE, FIFTY, ODD, LARGE], ids=["M1", "M50", "M77", "M261"])
@pytest.mark.parametrize("design", DESIGNS)
def test_values_and_all_gradients_match_the_reference(design, sizes, residual, device):
    inputs = make_inputs(sizes, residual=residual)
    assert_matches_reference(inputs, design, torch.float32, device)


@pytest.mark.parametrize("residual", [False, True], ids=["alone", "residual"])
@pytest.mark.parametrize("before", ["norm", "gelu"])
@pytest.mark.parametrize("sizes", [ONE, FIFTY, ODD, LARGE], ids=["M1", "M50", "M77", "M261"])
@pytest.mark.parametrize("design", BEFORE_DESIGNS)
def test_an_operation_before_the_layer_matches_the_reference(
    design, sizes, before, residual, device
):
    options = {"per_token": True, "bias": False, "residual": residual, before: True}
    assert_matches_reference(make_inputs(sizes, **options), design, torch.float32, device)


@pytest.mark.parametrize("design", DESIGNS)
def test_tiles_for_many_rows_match_the_reference(design, device):
    # From 4,096 rows and 256 columns on, tiles are 128 x 256.
    inputs = make_inputs(LayerSizes(3, 1400, 24, 300, 2, 8), residual=True)
    assert choose_tile("one_pass", Workload(4200, 24, 300, 16, torch.bfloat16, 90))[:2] == (
        128,
        256,
    )
    assert_matches_reference(inputs, design, torch.float16, device)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("design", DESIGNS)
def test_sixteen_bit_dtypes_stay_within_their_tolerance(design, dtype, device):
    assert_matches_reference(make_inputs(ODD, residual=True), design, dtype, device)
    assert_matches_reference(make_inputs(LARGE, per_token=True), design, dtype, device)
    for before in ("norm", "gelu") if design in BEFORE_DESIGNS else ():
        assert_matches_reference(make_inputs(ODD, **{before: True}), design, dtype, device)


@pytest.mark.parametrize("load", ["idle", "one", "none"])
@pytest.mark.parametrize("design", DESIGNS)
def test_idle_and_overloaded_experts_match_the_reference(design, load, device):
    assert_matches_reference(
        make_inputs(FIFTY, per_token=True, load=load), design, torch.float32, device
    )


@settings(max_examples=8, deadline=None)
@given(
    sizes=st.builds(
        LayerSizes,
        st.integers(1, 3),
        st.integers(1, 80),
        st.integers(1, 80),
        st.integers(1, 80),
        st.integers(1, 6),
        st.integers(1, 9),
    ),
    design=st.sampled_from(DESIGNS),
    per_token=st.booleans(),
    residual=st.booleans(),
    before=st.sampled_from(["", "norm", "gelu"]),
)
def test_random_sizes_match_the_reference(device, sizes, design, per_token, residual, before):
    # The gradients of a norm over one or two numbers are only rounding errors.
    if design == "one_pass" or (before == "norm" and sizes.inputs <= 4):
        before = ""
    options = {before: True} if before else {}
    inputs = make_inputs(sizes, per_token=per_token, residual=residual, **options)
    assert_matches_reference(inputs, design, torch.float32, device)


@settings(max_examples=5, deadline=None)
@given(order=st.permutations(range(5)), factor=st.floats(0.1, 4))
def test_expert_order_and_the_split_between_gates_and_scale_do_not_matter(device, order, factor):
    inputs = make_inputs(ODD)
    low, _ = inputs.cast(torch.float32, device)
    expected = inputs.run(low, "one_pass")
    reordered = low | {
        "a": low["a"][order],
        "b": low["b"][order],
        "gates": low["gates"][:, order] * factor,
    }
    rescaled = LayerInputs(inputs.tensors, scale=inputs.scale / factor)
    y = rescaled.run(reordered, "one_pass")
    assert relative_error(y, expected.double()) < TOLERANCE[torch.float32]


@pytest.mark.parametrize("design", DESIGNS)
def test_zero_gates_leave_the_plain_layer(design, device):
    inputs = make_inputs(FIFTY, load="none")
    low, _ = inputs.cast(torch.float32, device)
    plain = torch.nn.functional.linear(
        low["x"].double(), low["weight"].double(), low["bias"].double()
    )
    assert relative_error(inputs.run(low, design), plain) < TOLERANCE[torch.float32]


@pytest.mark.parametrize("design", DESIGNS)
def test_strided_tensors_match_the_reference(design, device):
    inputs = make_inputs(FIFTY)
    low, high = inputs.cast(torch.float32, device)
    x, a, b = low["x"], low["a"], low["b"]
    strided = low | {
        "x": x.detach().repeat_interleave(2, 2)[..., ::2].requires_grad_(),
        "a": a.detach().permute(2, 0, 1).contiguous().permute(1, 2, 0).requires_grad_(),
        "b": b.detach().transpose(0, 1).contiguous().transpose(0, 1).requires_grad_(),
        "weight": low["weight"].detach().T.contiguous().T.requires_grad_(),
    }
    y, expected = inputs.run(strided, design), inputs.run(high)
    assert relative_error(y, expected) < TOLERANCE[torch.float32]
    dy = torch.randn_like(expected).mT.contiguous().mT
    grads = torch.autograd.grad(y, list(strided.values()), dy.float())
    expected_grads = torch.autograd.grad(expected, list(high.values()), dy.float().double())
    for grad, expected_grad in zip(grads, expected_grads, strict=True):
        assert relative_error(grad, expected_grad) < TOLERANCE[torch.float32]


@pytest.mark.parametrize("design", ["one_pass", "grouped"])
@pytest.mark.parametrize("per_token", [False, True])
def test_the_delta_alone_matches_the_reference(design, per_token, device):
    low, high = make_inputs(LayerSizes(3, 4, 40, 40, 4, 8), per_token=per_token).cast(
        torch.float32, device
    )
    names = ("x", "a", "b", "gates")
    y = moe_lora_delta(*(low[n] for n in names), 0.5, design=design)
    expected = reference.moe_lora_delta(*(high[n] for n in names), 0.5)
    assert relative_error(y, expected) < TOLERANCE[torch.float32]
    grads = torch.autograd.grad(y.square().sum(), [low[n] for n in names])
    expected_grads = torch.autograd.grad(expected.square().sum(), [high[n] for n in names])
    for grad, expected_grad in zip(grads, expected_grads, strict=True):
        assert relative_error(grad, expected_grad) < 4 * TOLERANCE[torch.float32]


@pytest.mark.parametrize("design", ["one_pass", "augmented"])
def test_gradients_are_reproducible(design, device):
    inputs = make_inputs(LayerSizes(2, 300, 24, 40, 4, 8))
    runs = []
    for _ in range(2):
        low, _ = inputs.cast(torch.float32, device)
        runs.append(torch.autograd.grad(inputs.run(low, design).square().sum(), list(low.values())))
    for first, second in zip(*runs, strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize("design", DESIGNS)
def test_only_tensors_that_require_a_gradient_get_one(design, device):
    inputs = make_inputs(FIFTY)
    low, high = inputs.cast(torch.float32, device)
    for name in ("x", "weight", "bias"):
        low[name].requires_grad_(False)
    inputs.run(low, design).sum().backward()
    inputs.run(high).sum().backward()
    assert low["x"].grad is low["weight"].grad is low["bias"].grad is None
    for name in ("a", "b", "gates"):
        assert relative_error(low[name].grad, high[name].grad) < TOLERANCE[torch.float32]


def test_second_derivatives_raise(device):
    inputs = make_inputs(ONE)
    low, _ = inputs.cast(torch.float32, device)
    (grad,) = torch.autograd.grad(inputs.run(low, "one_pass").sum(), low["a"], create_graph=True)
    with pytest.raises(RuntimeError, match="moe_lora_backward"):
        grad.sum().backward()


def test_fp32_experts_in_a_bf16_tower_get_fp32_gradients(device):
    inputs = make_inputs(ODD)
    low, high = inputs.cast(torch.bfloat16, device)
    for name in ("a", "b", "gates"):
        low[name] = inputs.tensors[name].float().to(device).requires_grad_()
    y, expected = inputs.run(low, "one_pass"), inputs.run(high)
    assert y.dtype == torch.bfloat16
    y.sum().backward()
    expected.sum().backward()
    for name in ("a", "b", "gates"):
        assert low[name].grad.dtype == torch.float32
        assert relative_error(low[name].grad, high[name].grad) < TOLERANCE[torch.bfloat16]


@pytest.mark.parametrize("norm", [False, True])
def test_autocast_multiplies_in_its_dtype_and_normalises_in_fp32(norm, device):
    inputs = make_inputs(ODD, norm=norm)
    low, high = inputs.cast(torch.float32, device)
    with torch.autocast(device, torch.bfloat16):
        y = inputs.run(low, "augmented")
    expected = inputs.run(high)
    assert y.dtype == torch.bfloat16
    assert relative_error(y, expected) < TOLERANCE[torch.bfloat16]
    dy = torch.randn_like(expected)
    y.backward(dy.bfloat16())
    expected.backward(dy.bfloat16().double())
    for name, leaf in low.items():
        assert leaf.grad.dtype == torch.float32
        assert relative_error(leaf.grad, high[name].grad) < TOLERANCE[torch.bfloat16], name


def test_a_changed_weight_updates_its_copy(device):
    inputs = make_inputs(FIFTY)
    low, high = inputs.cast(torch.float32, device)
    inputs.run(low, "augmented")
    with torch.no_grad():
        low["weight"] *= 2
        high["weight"] *= 2
        low["b"] -= 1
        high["b"] -= 1
    assert relative_error(inputs.run(low, "augmented"), inputs.run(high)) < TOLERANCE[torch.float32]


def test_under_autocast_a_weight_is_cast_and_copied_once(device, monkeypatch):
    inputs = make_inputs(FIFTY)
    low, _ = inputs.cast(torch.float32, device)
    copied = []
    copy = torch.Tensor.copy_
    monkeypatch.setattr(
        torch.Tensor, "copy_", lambda to, source: copied.append(source.shape) or copy(to, source)
    )
    for _ in range(3):
        with torch.no_grad(), torch.autocast(device, torch.bfloat16):
            inputs.run(low, "augmented")
    assert copied.count(low["weight"].shape) == 1
    assert len(copied) == 3  # W, B and the bias


def test_new_experts_at_the_address_of_old_ones_are_copied(device):
    inputs = make_inputs(FIFTY)
    low, _ = inputs.cast(torch.float32, device)
    for factor in (1.0, 2.0, 3.0):
        changed = low | {"b": low["b"].detach() * factor}  # freed and allocated again each time
        y, expected = inputs.run(changed, "augmented"), inputs.run(changed, "grouped")
        assert relative_error(y, expected.double()) < TOLERANCE[torch.float32]


def test_the_copy_of_a_weight_is_freed_with_it(device):
    inputs = make_inputs(FIFTY)
    low, _ = inputs.cast(torch.float32, device)
    count_before = len(augmented._copies)
    inputs.run(low, "augmented")
    assert len(augmented._copies) == count_before + 1
    low.clear()
    gc.collect()
    assert len(augmented._copies) == count_before


def test_inference_mode_weights_work(device):
    inputs = make_inputs(FIFTY)
    with torch.inference_mode():
        low = {k: t.to(device, torch.float32) for k, t in inputs.tensors.items()}
        expected = inputs.run({k: t.double() for k, t in low.items()})
        for design in DESIGNS:
            assert relative_error(inputs.run(low, design), expected) < TOLERANCE[torch.float32]


def test_training_works_after_inference(device):
    inputs = make_inputs(FIFTY)
    low, high = inputs.cast(torch.float32, device)
    with torch.inference_mode():
        inputs.run(low, "augmented")
    y = inputs.run(low, "augmented")
    y.sum().backward()
    assert relative_error(y, inputs.run(high)) < TOLERANCE[torch.float32]


@pytest.mark.parametrize("design", DESIGNS)
def test_an_empty_batch_gives_an_empty_result(design, device):
    x = torch.zeros(0, 5, 8, device=device, requires_grad=True)
    w, a, b = (torch.ones(shape, device=device) for shape in ((6, 8), (2, 3, 8), (2, 6, 3)))
    y = moe_lora_linear(x, w, None, a, b, torch.ones(0, 2, device=device), 1.0, design=design)
    assert y.shape == (0, 5, 6)
    y.sum().backward()
    assert x.grad.shape == x.shape


@pytest.mark.parametrize("design", ["one_pass", "augmented", "accumulate"])
def test_torch_compile_gives_the_same_result_without_graph_breaks(design, device):
    inputs = make_inputs(FIFTY, norm=design != "one_pass", residual=True)
    low, _ = inputs.cast(torch.float32, device)
    compiled = torch.compile(inputs.run, fullgraph=True, backend="aot_eager")
    leaves = list(low.values())
    eager_y, compiled_y = inputs.run(low, design), compiled(low, design)
    assert torch.equal(eager_y, compiled_y)
    for first, second in zip(
        torch.autograd.grad(eager_y.sum(), leaves),
        torch.autograd.grad(compiled_y.sum(), leaves),
        strict=True,
    ):
        assert torch.equal(first, second)


def test_the_operator_passes_opcheck(device, monkeypatch):
    monkeypatch.undo()  # opcheck itself compares unwritten memory
    low, _ = make_inputs(ONE, norm=True, residual=True).cast(torch.float32, device)
    x, residual, gates = low["x"].flatten(0, 1), low["residual"].flatten(0, 1), low["gates"]
    args = (x, low["weight"], low["bias"], low["a"], low["b"], gates, low["gamma"], low["beta"])
    settings = (0.7, 1e-5, False, True, "augmented", torch.float32)
    torch.library.opcheck(torch.ops.unirag.moe_lora, (*args, residual, *settings))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"x": torch.zeros(1, 77, 64)}, r"a \(5, 8, 65\); expected .* K 64"),
        ({"weight": torch.zeros(67, 64)}, r"weight \(67, 64\); expected \(67, 65\)"),
        ({"bias": torch.zeros(66)}, r"bias \(66,\); expected \(67,\)"),
        ({"gamma": torch.zeros(64)}, r"norm \(64,\) and \(65,\); expected \(65,\)"),
        ({"gates": torch.zeros(2, 5)}, r"gates \(2, 5\); expected \(1, 5\) or \(1, 77, 5\)"),
        ({"b": torch.zeros(5, 67, 7)}, r"b \(5, 67, 7\)"),
        ({"residual": torch.zeros(1, 77, 66)}, r"residual \(1, 77, 66\); expected \(1, 77, 67\)"),
        ({"weight": torch.zeros(67, 65, dtype=torch.float16)}, "weight torch.float16, x torch.flo"),
        ({"a": torch.zeros(5, 8, 65, dtype=torch.float64)}, "a torch.float64; expected float16"),
    ],
)
def test_mismatched_shapes_and_dtypes_are_refused(change, expected, device):
    inputs = make_inputs(ODD, norm=True)
    low, _ = inputs.cast(torch.float32, device)
    with pytest.raises(ValueError, match=expected):
        inputs.run(low | {k: t.to(device) for k, t in change.items()}, "one_pass")


def test_other_devices_and_unknown_designs_are_refused(device):
    inputs = make_inputs(ODD)
    low, _ = inputs.cast(torch.float32, device)
    with pytest.raises(ValueError, match="b on meta; expected"):
        inputs.run(low | {"b": low["b"].to("meta")}, "one_pass")
    with pytest.raises(ValueError, match="'fastest'; expected one of one_pass, augmented"):
        inputs.run(low, "fastest")
    with pytest.raises(ValueError, match="augmented without a weight"):
        moe_lora_delta(low["x"], low["a"], low["b"], low["gates"], 1.0, design="augmented")
    args = [low[k] for k in ("x", "weight", "bias", "a", "b", "gates")]
    with pytest.raises(ValueError, match="one_pass with a gelu before it"):
        moe_lora_linear(*args, 1.0, before="gelu", design="one_pass")
    with pytest.raises(ValueError, match="before 'relu'; expected a Norm, 'gelu' or None"):
        moe_lora_linear(*args, 1.0, before="relu")


def test_a_cpu_runs_the_reference_bit_for_bit():
    inputs = make_inputs(ODD, norm=True, residual=True)
    low, _ = inputs.cast(torch.float32, "cpu")
    x, weight, bias, a, b, gates = (low[k] for k in ("x", "weight", "bias", "a", "b", "gates"))
    norm, residual = Norm(low["gamma"], low["beta"]), low["residual"]
    y = moe_lora_linear(x, weight, bias, a, b, gates, 0.7, before=norm, residual=residual)
    assert torch.equal(y, inputs.run(low))
    delta = moe_lora_delta(x, a, b, gates, 0.7)
    assert torch.equal(delta, reference.moe_lora_delta(x, a, b, gates, 0.7))


def test_a_cpu_needs_no_triton():
    code = """
import sys
sys.modules["triton"] = None
import torch
from kernels.moe_lora import moe_lora_linear
x, w, a, b = torch.ones(2, 8), torch.ones(6, 8), torch.ones(2, 3, 8), torch.ones(2, 6, 3)
assert moe_lora_linear(x, w, None, a, b, torch.ones(2, 2), 1.0).shape == (2, 6)
assert "kernels.gpu" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("design", [*DESIGNS, None])
def test_a_cuda_graph_replays_the_layer(design):
    norm = design != "one_pass"
    inputs = make_inputs(LayerSizes(4, 50, 128, 192, 4, 8), norm=norm, residual=True)
    low, high = inputs.cast(torch.bfloat16, "cuda")
    before = Norm(low["gamma"], low["beta"]) if norm else None
    args = [low[k] for k in ("x", "weight", "bias", "a", "b", "gates")]

    def run() -> Tensor:
        return moe_lora_linear(*args, 0.7, before=before, residual=low["residual"], design=design)

    with torch.no_grad():
        run()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            y = run()
        low["x"].mul_(0.5)
        high["x"].mul_(0.5)
        graph.replay()
        assert relative_error(y, inputs.run(high)) < TOLERANCE[torch.bfloat16]
