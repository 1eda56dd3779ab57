"""Fused MoE-LoRA operations."""

# transformers probes for Hugging Face's package `kernels`. A version below its minimum tells it
# that this is a different package.
__version__ = "0.0.0"
