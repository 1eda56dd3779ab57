#!/usr/bin/env bash
# Run the kernels' tests in the interpreter of other Triton versions, without touching the
# environment: each version is installed into a folder of its own that comes first on the path.
#
#     tests/kernels/run_with_triton.sh 3.5.1 3.6.0
#
# The interpreters of 3.5 and 3.6 need numpy below 2.4.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
for version in "$@"; do
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  "$python" -m pip install --quiet --no-deps --target "$folder" "triton==$version" "numpy<2.4"
  PYTHONPATH=$folder:. TRITON_INTERPRET=1 "$python" -c \
    'import triton; print("Triton", triton.__version__)'
  PYTHONPATH=$folder:. TRITON_INTERPRET=1 "$python" -m pytest -q -W ignore -p no:cacheprovider \
    --confcutdir=tests/kernels tests/kernels/test_moe_lora.py tests/kernels/test_routing.py
  rm -rf "$folder"
done
