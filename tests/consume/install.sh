#!/bin/sh
# Installs a build tree into an empty folder and looks at what came of it.
#
#   install.sh CMAKE BUILD_DIR PREFIX
set -eu

rm -rf "$3"
"$1" --install "$2" --prefix "$3" > /dev/null
cd "$3"
test -x bin/ikat
./bin/ikat list dense > /dev/null # finds its library without help
test -f include/ikat/ikat.h
find . -name ikatConfig.cmake | grep -q .
find . -name ikat.pc | grep -q .
find . -name libikat.a | grep -q .

# The shared library's soname is 0.MINOR until 1.0, and the usual two links point at it.
library=$(find . -name 'libikat.so')
minor=$(sed -n 's/^#define IKAT_VERSION_MINOR //p' include/ikat/types.h)
readelf -d "$library" | grep -q "SONAME.*\[libikat\.so\.0\.$minor\]"

# No loader of Vulkan or OpenCL is linked: both are opened at run time.
if readelf -d "$library" | grep -i -E 'NEEDED.*(vulkan|OpenCL)'; then
    exit 1
fi
