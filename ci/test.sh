#!/usr/bin/env bash
# Style checks, then the tests; arguments are passed to pytest, for example -m "not slow".
# Photographs are used only if WSDL_PHOTOS names a folder with images/ and masks/.
source "$(dirname "$0")/setup.sh"
source ci/chromium.sh
"$python" -m ruff check .
"$python" -m ruff format --check .
"$python" -m pytest -n 2 --dist loadfile --no-loadscope-reorder "$@"
