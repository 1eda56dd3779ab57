"""The Triton kernels and their launchers, imported at the first CUDA tensor.

Launchers take tensors that `kernels.moe_lora` or `kernels.routing` has checked, and tiles from
`kernels.dispatch`. Statistics and sums are fp32, addresses are int64, every edge is masked and
every element of an output is written.
"""
