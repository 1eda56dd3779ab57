"""Fused MoE-LoRA operations."""

# transformers probes for a package of this name from the Hugging Face Hub; a version below the one
# it asks for tells it that this is not that package.
__version__ = "0.0.0"
