#!/usr/bin/env bash
# Installs what the tests need beside Rust and a C compiler: make, strace, openssl, systemd-analyze, faketime, valgrind, Node.js, and in .test-tools/ a Python virtual environment, the packages of
# the Node.js example, and promtool out of Debian's package, without the service that comes with it.
# Idempotent. Run it once before `cargo test --workspace`; a test that misses a tool fails and names this script.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
for tool in make strace openssl python3 systemd-analyze faketime valgrind; do
    # The package has another name than its tool.
    command -v "$tool" >/dev/null || missing+=("${tool%-analyze}")
done
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
if ((${#missing[@]})); then
    sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo)
    "${sudo[@]}" apt-get update -q
    "${sudo[@]}" apt-get install -y -q --no-install-recommends "${missing[@]}"
fi

venv=.test-tools/venv
if ! "$venv/bin/python" -c 'import cryptography, grpc_tools, grpc_status, grpc_reflection' 2>/dev/null; then
    rm -rf "$venv"
    # Debian splits venv off; virtualenv from PyPI does without it.
    python3 -m venv "$venv" 2>/dev/null || { python3 -m pip install --quiet --user virtualenv && python3 -m virtualenv --quiet "$venv"; }
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check 'cryptography>=43,<51' -r examples/python/requirements.txt
fi

node=.test-tools/node
if ! cmp -s examples/node/package-lock.json "$node/package-lock.json" || [ ! -d "$node/node_modules" ]; then
    mkdir -p "$node"
    cp examples/node/package.json examples/node/package-lock.json "$node/"
    (cd "$node" && npm ci --silent --ignore-scripts --no-audit --no-fund)
fi
promtool=.test-tools/prometheus/promtool
if ! [ -x "$promtool" ]; then
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    # Its own user may not write here, which apt only warns of.
    (cd "$scratch" && apt-get download -q prometheus) || {
        sudo=()
        [ "$(id -u)" = 0 ] || sudo=(sudo)
        "${sudo[@]}" apt-get update -q
        (cd "$scratch" && apt-get download -q prometheus)
    }
    dpkg -x "$scratch"/prometheus_*.deb "$scratch/package"
    mkdir -p "$(dirname "$promtool")"
    # Renamed into place: a script that is interrupted leaves no half of it.
    cp "$scratch/package/usr/bin/promtool" "$promtool.new"
    mv "$promtool.new" "$promtool"
fi
"$promtool" --version 2>&1 | head -1
"$venv/bin/python" -c 'import cryptography; print("cryptography", cryptography.__version__)'
strace -V | head -1
valgrind --version
openssl version
node --version
