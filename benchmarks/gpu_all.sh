#!/usr/bin/env bash
# Run every check and measurement of the kernels that needs a GPU, in under 6 minutes on an H100: the
# tests on CUDA, gradients and a training run against the reference, then all times.
#
#     benchmarks/gpu_all.sh         # everything but the tiles
#     benchmarks/gpu_all.sh tiles   # time candidate tiles (2.5 minutes), to fill kernels/dispatch.py
#
# Needs python3 with torch and Triton, and no network; pytest and hypothesis for the tests. Results go
# to $OUT or benchmarks/results, row by row; a time limit only loses the rows after it. Without a GPU,
# the same code runs at tiny sizes in Triton's interpreter (with numpy below 2.4) and measures nothing.
# Set PYTHON to use another interpreter.
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
export PYTHONPATH=. PYTHONUNBUFFERED=1 OUT=${OUT:-$PWD/benchmarks/results}
mkdir -p "$OUT"

smoke=
if "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
  nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem --format=csv,noheader || true
else
  echo "No CUDA device: this run shows that the code works in Triton's interpreter. It measures nothing."
  smoke=--smoke
  export TRITON_INTERPRET=1
fi

failed=0
step() { # seconds, title, command
  local limit=$1 title=$2 start=$SECONDS status=0
  shift 2
  echo "== $title"
  timeout "$limit" "$@" || status=$?
  echo "== $title: exit status $status after $((SECONDS - start)) s"
  [ "$status" = 0 ] || failed=1
}

if [ "${1:-}" = tiles ]; then
  step 150 "tiles" "$python" -m benchmarks.kernels_tiles $smoke
  exit $failed
fi

tests=(tests/kernels/test_moe_lora.py tests/kernels/test_routing.py tests/kernels/test_dispatch.py
  tests/kernels/test_reference.py)
if "$python" -c 'import pytest, hypothesis' 2>/dev/null; then
  # Run them in parallel if pytest-xdist is installed: Triton compiles for most of the time.
  parallel=
  "$python" -c 'import xdist' 2>/dev/null && parallel="-n $(nproc)"
  # tests/conftest.py serves the whole project and needs more than torch.
  # shellcheck disable=SC2086
  step 90 "tests" "$python" -m pytest -q $parallel --confcutdir=tests/kernels -p no:cacheprovider \
    -W ignore "${tests[@]}"
else
  echo "== tests: skipped, because pytest or hypothesis is missing; the next step compares gradients"
fi
step 60 "gradients and training against the reference" "$python" -m benchmarks.kernels_check $smoke
step 150 "every design against the plain layer" "$python" -m benchmarks.kernels $smoke
step 60 "whole encodes and training steps" "$python" -m benchmarks.kernels_encoder $smoke
exit $failed
