#!/usr/bin/env bash
# The main job. Without arguments: the whole series in miniature on made-up faces, about 13 minutes on 2 cores.
# With arguments: those of `python -m wsdl demo`, for example
#   bash ci/demo.sh --source photos --images DIR --masks DIR --out out/photos
source "$(dirname "$0")/setup.sh"
if [ $# -eq 0 ]; then
    set -- --source made-up --profile ci/demo.json --out out/demo
fi
report=$("$python" -m wsdl demo "$@")
echo "Open the report: $report"
