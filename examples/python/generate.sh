#!/bin/sh
# Makes the Python stubs from the protos of the project: generate.sh [FOLDER], by default generated/ beside this file.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
into=${1:-$here/generated}
mkdir -p "$into"
cd "$here/../../proto"
"${PYTHON:-python3}" -m grpc_tools.protoc --proto_path=. --python_out="$into" --grpc_python_out="$into" truc/edge/v1/*.proto
