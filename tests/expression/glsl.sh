#!/bin/sh
# Compiles emitted functions as GLSL, and runs them where a program to do so is given.
#
#   glsl.sh PRINTER GLSLANG SHADERS_DIR [RUNNER]
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$1" > "$work/suite.comp"
"$2" --quiet -V --target-env vulkan1.1 -I"$3" -I"$3/glsl" -o "$work/suite.spv" "$work/suite.comp"
if command -v spirv-val > /dev/null; then
    spirv-val --target-env vulkan1.1 "$work/suite.spv"
fi
if command -v spirv-cross > /dev/null; then
    spirv-cross --msl --msl-version 20100 "$work/suite.spv" > "$work/suite.metal"
fi
[ $# -lt 4 ] || "$4" "$work/suite.spv"
