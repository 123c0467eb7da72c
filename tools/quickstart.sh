#!/bin/sh
# From a bare Debian or Ubuntu machine to attention on every device it has: installs what is missing, builds, runs dense
# attention on the best device, checks every device against the CPU reference.
#
#   tools/quickstart.sh        any number of times, from any folder; what it makes is below build/
set -eu

cd "$(dirname "$0")/.."
. tools/packages.sh

# A GPU is there if the kernel shows one. Otherwise software devices take its place.
any_exists() {
    for file in "$@"; do
        [ ! -e "$file" ] || return 0
    done
    return 1
}
has_gpu() { any_exists /dev/dri/renderD* /dev/nvidia0 /dev/dxg /dev/kgsl-3d0 /dev/mali0; }

packages="$build_packages libshaderc1" # opened at run time, for expressions of `custom`
if ! has_gpu || ! any_exists /usr/share/vulkan/icd.d/*.json /etc/vulkan/icd.d/*.json; then
    packages="$packages mesa-vulkan-drivers" # lavapipe, RADV, ANV
fi
if ! has_gpu || ! any_exists /etc/OpenCL/vendors/*.icd; then
    packages="$packages pocl-opencl-icd"
fi
# shellcheck disable=SC2086 # several words
need_packages $packages

say "Building in build/"
mkdir -p build
# A folder keeps the generator it was made with.
generator=
[ -f build/CMakeCache.txt ] || generator="-G Ninja"
# shellcheck disable=SC2086 # two words or none
cmake -S . -B build $generator -DIKAT_TESTS=OFF > build/quickstart.log 2>&1 || {
    cat build/quickstart.log
    die "cmake could not configure build/"
}
grep -E ' is off' build/quickstart.log || :
cmake --build build --parallel "$(num_jobs)" > build/quickstart.log 2>&1 || {
    tail -n 40 build/quickstart.log
    die "the build failed"
}
ikat=build/ikat

say "Devices of this machine: ikat devices"
$ikat devices

say "Dense attention, batch 1, 8 heads, 1024 queries and keys of 64, on the best device"
work=build/quickstart
mkdir -p $work
seed=0
for name in q k v; do
    seed=$((seed + 1))
    build/examples/random_npy $work/$name.npy $seed 1 8 1024 64
done
set -- run dense --in q=$work/q.npy --in k=$work/k.npy --in v=$work/v.npy --out out=$work/out.npy
echo "ikat $*"
$ikat "$@" --verbose
ls -l $work/out.npy

# Two examples of the many: a plain one, and one with every input and setting at once.
for example in head_64 everything; do
    say "Every device against the CPU reference: ikat check dense --all-devices --case $example"
    $ikat check dense --all-devices --case $example
done

say "How fast the best device is: ikat bench dense --n 1024"
$ikat bench dense --n 1024

say "Done. build/ikat is the command line (build/ikat --help); $work/ holds q, k, v and the result."
echo "Next: build/ikat check dense --all-devices (all examples, minutes), tools/test.sh (the tests), README.md (the C API)."
