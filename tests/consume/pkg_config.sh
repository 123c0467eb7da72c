#!/bin/sh
# Builds and runs use.c and use.cpp with the flags of the installed pkg-config file, shared and static.
#
#   pkg_config.sh PREFIX SCRATCH
set -eu

source=$(cd "$(dirname "$0")" && pwd)
libdir=$(dirname "$(find "$1" -name libikat.a)")
export PKG_CONFIG_PATH="$libdir/pkgconfig"
mkdir -p "$2"
cd "$2"

cflags=$(pkg-config --cflags ikat)
# shellcheck disable=SC2086 # flags are several words
for language in c cpp; do
    case $language in
        c) compile="cc -std=c11 $source/use.c" ;;
        cpp) compile="c++ -std=c++17 $source/use.cpp" ;;
    esac
    $compile $cflags $(pkg-config --libs ikat) -lm -o "use_$language"
    LD_LIBRARY_PATH="$libdir" "./use_$language"
    # Static: the archive by its path, and what the file says that it needs.
    private=$(pkg-config --static --libs ikat | sed 's/-likat//')
    $compile $cflags -DIKAT_STATIC "$libdir/libikat.a" $private -o "use_${language}_static"
    "./use_${language}_static"
done
