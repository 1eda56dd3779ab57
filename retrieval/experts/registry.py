"""The one registry of methods: family -> name -> the class, imported when it is first used.

A new method is one file and one line here. Its class says the rest (`retrieval/experts/paper.py`).
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Literal

from retrieval.experts.paper import Described

__all__ = ["FAMILIES", "REGISTRY", "Family", "load", "names"]

Family = Literal["router", "parameterisation", "allocation", "rule", "compression", "in_use"]
FAMILIES: dict[Family, str] = {
    "router": "chooses and weights the experts of an input",
    "parameterisation": "is the form of an expert",
    "allocation": "spreads experts and ranks over layers",
    "rule": "changes how the experts are trained",
    "compression": "makes trained experts smaller",
    "in_use": "adapts a trained encoder while it serves",
}
_ROUTERS = "retrieval.experts.routers"
_FORMS = "retrieval.experts.parameterisations"
_ALLOCATIONS = "retrieval.experts.allocations"
_RULES = "retrieval.experts.rules"
_COMPRESSIONS = "retrieval.experts.compression"
_IN_USE = "retrieval.in_use"
REGISTRY: dict[Family, dict[str, str]] = {
    "router": {
        "softmax": f"{_ROUTERS}.softmax:SoftmaxRouter",
        "top_k": f"{_ROUTERS}.top_k:TopKRouter",
        "top_p": f"{_ROUTERS}.top_p:TopPRouter",
        "null": f"{_ROUTERS}.null:NullRouter",
        "dynmole": f"{_ROUTERS}.dynmole:DynMoLERouter",
        "xlora": f"{_ROUTERS}.xlora:XLoRARouter",
        "lora_mixer": f"{_ROUTERS}.lora_mixer:LoRAMixerRouter",
        "promoe": f"{_ROUTERS}.promoe:ProMoERouter",
        "mixer": f"{_ROUTERS}.mixer:MixERRouter",
        "rmoe": f"{_ROUTERS}.rmoe:RMoERouter",
        "home": f"{_ROUTERS}.home:HierarchicalRouter",
        "uncertain": f"{_ROUTERS}.uncertain:UncertainRouter",
        "top_any": f"{_ROUTERS}.top_any:TopAnyRouter",
    },
    "parameterisation": {
        "lora": f"{_FORMS}.lora:LoRAExperts",
        "rank_wise": f"{_FORMS}.rank_wise:RankWiseExperts",
        "shared": f"{_FORMS}.shared:SharedExperts",
        "smora": f"{_FORMS}.smora:SMoRAExperts",
        "flylora": f"{_FORMS}.flylora:FlyLoRAExperts",
        "mora": f"{_FORMS}.mora:MoRAExperts",
        "film": f"{_FORMS}.film:FiLMExperts",
        "mos": f"{_FORMS}.mos:ShardExperts",
        "nola": f"{_FORMS}.nola:NOLAExperts",
        "randlora": f"{_FORMS}.randlora:RandLoRAExperts",
        "sora": f"{_FORMS}.sora:SoRAExperts",
        "split": f"{_FORMS}.split:SplitExperts",
        "normalised": f"{_FORMS}.normalised:NormalisedExperts",
    },
    "allocation": {
        "uniform": f"{_ALLOCATIONS}.uniform:UniformAllocation",
        "mola": f"{_ALLOCATIONS}.mola:MoLAAllocation",
        "diffora": f"{_ALLOCATIONS}.diffora:DiffoRAAllocation",
        "rank_selective": f"{_ALLOCATIONS}.rank_selective:RankSelectiveAllocation",
    },
    "rule": {
        "orthogonal": f"{_RULES}.orthogonal:OrthogonalRule",
        "omoe": f"{_RULES}.omoe:OMoERule",
        "redundancy": f"{_RULES}.redundancy:RedundancyRule",
        "staged": f"{_RULES}.staged:StagedRule",
        "domain": f"{_RULES}.domain:DomainRule",
        "quality": f"{_RULES}.quality:QualityRule",
    },
    "compression": {
        "sub_moe": f"{_COMPRESSIONS}.sub_moe:SubMoE",
        "lego": f"{_COMPRESSIONS}.lego:LoRALego",
        "compressed_experts": f"{_COMPRESSIONS}.compressed_experts:CompressedExperts",
        "easy_ep": f"{_COMPRESSIONS}.easy_ep:EasyEP",
        "mixture_compressor": f"{_COMPRESSIONS}.mixture_compressor:MixtureCompressor",
        "quantmoe": f"{_COMPRESSIONS}.quantmoe:QuantMoE",
    },
    "in_use": {
        "c3po": f"{_IN_USE}.c3po:C3PO",
        "rewiring": f"{_IN_USE}.rewiring:Rewiring",
        "meta_dmoe": f"{_IN_USE}.meta_dmoe:MetaDMoE",
        "drift_moe": f"{_IN_USE}.drift_moe:DriftMoE",
        "open_knowledge": f"{_IN_USE}.open_knowledge:OpenKnowledge",
        "mova": f"{_IN_USE}.mova:MoVA",
        "scmoe": f"{_IN_USE}.scmoe:SelfContrast",
    },
}


def names(family: Family) -> tuple[str, ...]:
    """Return the names of a family's methods."""
    return tuple(REGISTRY[family])


def load(family: Family, name: str) -> Any:
    """Import and return the class of a method. Raises `ValueError` for an unknown name."""
    if name not in REGISTRY[family]:
        raise ValueError(
            f"{family}={name!r} is not known; expected one of " + ", ".join(names(family))
        )
    module, _, attribute = REGISTRY[family][name].partition(":")
    method = getattr(import_module(module), attribute)
    assert issubclass(method, Described), method
    return method
