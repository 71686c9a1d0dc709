#!/usr/bin/env bash
# Installs what the tests need beside Rust: strace, openssl, systemd-analyze, and a Python virtual environment with `cryptography` in .test-tools/.
# Idempotent. Run it once before `cargo test --workspace`; a test that misses a tool fails and names this script.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
for tool in strace openssl python3 systemd-analyze; do
    # The package has another name than its tool.
    command -v "$tool" >/dev/null || missing+=("${tool%-analyze}")
done
if ((${#missing[@]})); then
    sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo)
    "${sudo[@]}" apt-get update -q
    "${sudo[@]}" apt-get install -y -q --no-install-recommends "${missing[@]}"
fi

venv=.test-tools/venv
if ! "$venv/bin/python" -c 'import cryptography' 2>/dev/null; then
    rm -rf "$venv"
    # Debian splits venv off; virtualenv from PyPI does without it.
    python3 -m venv "$venv" 2>/dev/null || { python3 -m pip install --quiet --user virtualenv && python3 -m virtualenv --quiet "$venv"; }
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check 'cryptography>=43,<51'
fi
"$venv/bin/python" -c 'import cryptography; print("cryptography", cryptography.__version__)'
strace -V | head -1
openssl version
