#!/usr/bin/env bash
# The main job. Without arguments: all lessons on the bundled portraits `studio`, 10 to 25 minutes on 2 CPU cores
# after installation. Arguments are those of `python -m wsdl demo`, for example
#   bash ci/demo.sh --source photos --images DIR --masks DIR --out out/photos
source "$(dirname "$0")/setup.sh"
report=$("$python" -m wsdl demo "$@")
echo "The report is $report"
echo "Activate the environment with \`source .venv/bin/activate\`, then \`jupyter lab notebooks/00_first_look.ipynb\`."
