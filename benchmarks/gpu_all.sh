#!/usr/bin/env bash
# Everything of the kernels that needs a GPU, in one call of under 8 minutes on an H100: the tests on
# CUDA, gradients and a training run beside the reference, then every time. Needs python3 with torch,
# Triton and pytest (hypothesis too for the property tests), nothing from outside. Results go to $OUT
# or benchmarks/results, row by row: what a time limit cuts off is missing there. Without a GPU it runs the same code in Triton's interpreter at tiny sizes,
# and measures nothing. PYTHON names another interpreter.
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
export PYTHONPATH=. PYTHONUNBUFFERED=1 OUT=${OUT:-$PWD/benchmarks/results}
mkdir -p "$OUT"

smoke=
if "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
  nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem --format=csv,noheader || true
else
  echo "No CUDA device: this run shows that the code works in Triton's interpreter, and no time."
  smoke=--smoke
  export TRITON_INTERPRET=1
fi

failed=0
step() { # seconds, title, command
  local limit=$1 title=$2 began=$SECONDS status=0
  shift 2
  echo "== $title"
  timeout "$limit" "$@" || status=$?
  echo "== $title: exit status $status after $((SECONDS - began)) s"
  [ "$status" = 0 ] || failed=1
}

tests=(tests/kernels/test_moe_lora.py tests/kernels/test_routing.py tests/kernels/test_dispatch.py
  tests/kernels/test_reference.py)
if "$python" -c 'import pytest, hypothesis' 2>/dev/null; then
  # side by side where pytest-xdist is there: most of their time Triton compiles
  many=
  "$python" -c 'import xdist' 2>/dev/null && many="-n 8"
  # tests/conftest.py serves the whole project and needs more than torch
  # shellcheck disable=SC2086
  step 120 "tests" "$python" -m pytest -q $many --confcutdir=tests/kernels -p no:cacheprovider \
    "${tests[@]}"
else
  echo "== tests: pytest or hypothesis is missing; gradients are compared below all the same"
fi
step 90 "gradients and training beside the reference" "$python" -m benchmarks.kernels_check $smoke
step 70 "whole encodes and training steps" "$python" -m benchmarks.kernels_encoder $smoke
step 200 "every design beside the plain layer" "$python" -m benchmarks.kernels $smoke
exit $failed
