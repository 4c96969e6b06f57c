# Sourced by demo.sh and test.sh: creates the virtual environment .venv on first use and whenever pyproject.toml changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

wanted=$(sha256sum pyproject.toml | cut -d' ' -f1)
if [ "$(cat .venv/installed 2>/dev/null)" != "$wanted" ]; then
    echo "Installing into .venv (about 6 GB, a few minutes) ..." >&2
    "${PYTHON:-python3}" -m venv .venv
    .venv/bin/python -m pip install --quiet --editable '.[notebooks,test]'
    echo "$wanted" >.venv/installed
fi
python=$PWD/.venv/bin/python
