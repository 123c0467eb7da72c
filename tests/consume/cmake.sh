#!/bin/sh
# Builds the consuming project against an installed ikat, then runs each of its programs.
#
#   cmake.sh CMAKE PREFIX SCRATCH
set -eu

source=$(cd "$(dirname "$0")" && pwd)
rm -rf "$3"
"$1" -S "$source" -B "$3" -DCMAKE_PREFIX_PATH="$2"
"$1" --build "$3"
for program in "$3"/use_*; do
    "$program"
done
