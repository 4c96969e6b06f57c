#!/usr/bin/env bash
# The main job. Without arguments: the whole series on the bundled studio portraits, ten minutes on 2 cores after
# installation. With arguments: those of `python -m wsdl demo`, for example
#   bash ci/demo.sh --source photos --images DIR --masks DIR --out out/photos
source "$(dirname "$0")/setup.sh"
report=$("$python" -m wsdl demo "$@")
echo "Open the report: $report"
