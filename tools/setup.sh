#!/bin/sh
# Makes the virtual environment $1 from requirements.lock (every package pinned by hash) with uv, or venv and pip.
set -eu
venv=$1
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "setup: $python is older than Python 3.11; install a newer one or run: make PYTHON=/path/to/python3.11 ..." >&2
  exit 2
}
echo "setup: making $venv from requirements.lock: $(grep -c == requirements.lock) packages, one to three minutes the first time"
if command -v uv >/dev/null 2>&1; then
  uv venv --quiet --allow-existing --python "$python" "$venv"
  uv pip sync --quiet --python "$venv/bin/python" --require-hashes requirements.lock
  uv pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation --editable .
else
  "$python" -m venv "$venv"
  echo "setup: downloading and installing (some 300 MB)"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement requirements.lock
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
fi
