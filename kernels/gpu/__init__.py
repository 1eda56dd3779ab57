"""The Triton kernels and their launchers; imported when the first CUDA tensor comes.

Each launcher takes tensors that `kernels.moe_lora` or `kernels.routing` has checked, and tiles that
`kernels.dispatch` has chosen. Statistics and sums are fp32, addresses int64, every edge is masked
and every element of an output is written.
"""
