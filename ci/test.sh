#!/usr/bin/env bash
# Style, then every test. Photographs are used only where WSDL_PHOTOS names a folder with images/ and masks/.
source "$(dirname "$0")/setup.sh"
source ci/chromium.sh
"$python" -m ruff check .
"$python" -m ruff format --check .
"$python" -m pytest "$@"
