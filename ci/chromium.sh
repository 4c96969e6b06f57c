# Sourced by test.sh: the explorer is tried in a browser where one is there, or where Debian's can be installed.
if ! command -v chromium chromium-browser google-chrome >/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "Installing chromium for the tests of the explorer ..." >&2
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; } \
            >/dev/null 2>&1 || true
    fi
    command -v chromium >/dev/null ||
        echo "No chromium, and it could not be installed: tests of the explorer in a browser will be skipped." >&2
fi
