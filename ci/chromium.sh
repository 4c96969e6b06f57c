# Sourced by test.sh: installs Debian's chromium for the browser tests of the explorer if no browser is found.
if ! command -v chromium chromium-browser google-chrome >/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "Installing chromium for the browser tests ..." >&2
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; } \
            >/dev/null 2>&1 || true
    fi
    command -v chromium >/dev/null ||
        echo "chromium was not found and could not be installed: browser tests of the explorer will be skipped." >&2
fi
