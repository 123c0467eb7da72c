#!/bin/sh
# Configures, builds and installs the project in a folder of its own with the given options; warnings are errors.
#
#   configure.sh CMAKE SOURCE_DIR SCRATCH [OPTION...]
set -eu

cmake=$1
source=$2
scratch=$3
shift 3
rm -rf "$scratch"
"$cmake" -S "$source" -B "$scratch" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DIKAT_WERROR=ON "$@" > "$scratch.log" 2>&1 &&
    "$cmake" --build "$scratch" >> "$scratch.log" 2>&1 &&
    "$cmake" --install "$scratch" --prefix "$scratch/prefix" >> "$scratch.log" 2>&1 || {
    tail -n 60 "$scratch.log"
    exit 1
}
if [ -x "$scratch/prefix/bin/ikat" ]; then
    "$scratch/prefix/bin/ikat" list > /dev/null
fi
rm -rf "$scratch"
