#!/bin/sh
# Installs what the tests need, builds with warnings as errors, runs the tests on software devices and on whatever else
# is there.
#
#   tools/test.sh            what CI runs, below 20 minutes on two processors of a bare machine
#   tools/test.sh --full     besides: all variants, thread sanitizer, builds with parts switched off, long sequences, fuzzing
#   tools/test.sh [--full] -R PATTERN ...     further arguments go to ctest
set -eu

cd "$(dirname "$0")/.."
. tools/packages.sh

full=
if [ "${1:-}" = --full ]; then
    full=1
    shift
fi

packages="$build_packages g++ pkg-config libvulkan-volk-dev libcmocka-dev
    mesa-vulkan-drivers pocl-opencl-icd vulkan-validationlayers
    spirv-tools spirv-cross intel-opencl-icd clang-format
    libshaderc-dev glslang-dev binutils"
[ -z "$full" ] || packages="$packages mesa-opencl-icd"
# shellcheck disable=SC2086 # several words
need_packages $packages

# SwiftShader is inside a package that brings much else: only its two files are taken, and nothing is installed.
swiftshader=$PWD/build/swiftshader/usr/lib/chromium/vk_swiftshader_icd.json
if [ ! -f "$swiftshader" ]; then
    say "Fetching SwiftShader (out of chromium-common)"
    mkdir -p build/swiftshader
    (
        cd build/swiftshader
        apt-get -q -q -o APT::Sandbox::User=root download chromium-common &&
            dpkg-deb --fsys-tarfile chromium-common_*.deb |
            tar -x ./usr/lib/chromium/libvk_swiftshader.so ./usr/lib/chromium/vk_swiftshader_icd.json
    ) || die "chromium-common could not be fetched; try apt-get update"
    rm -f build/swiftshader/*.deb
fi

# build PRESET [OPTION...]: configures and builds one preset of CMakePresets.json.
build() {
    preset=$1
    shift
    say "Building build/$preset"
    mkdir -p build
    generator=
    [ -f "build/$preset/CMakeCache.txt" ] || generator="-G Ninja"
    # shellcheck disable=SC2086 # two words or none
    cmake --preset "$preset" $generator "$@" > build/test.log 2>&1 &&
        cmake --build --preset "$preset" --parallel "$(num_jobs)" > build/test.log 2>&1 || {
        tail -n 60 build/test.log
        die "the build of $preset failed"
    }
}

started=$(date +%s)
build sanitize
[ -z "$full" ] || build thread
build test -DIKAT_TEST_VULKAN_DRIVERS="$swiftshader"

# One run for all: the tests of build/sanitize and build/thread are part of build/test's list.
say "Testing"
labels='^ci$'
[ -z "$full" ] || labels='^(ci|full)$'
{
    status=0
    ctest --test-dir build/test -L "$labels" --parallel "$(num_jobs)" --output-on-failure "$@" 2>&1 || status=$?
    echo "$status" > build/test.status
} | tee build/test.log

say "The slowest tests"
sed -n 's/^ *[0-9]*\/[0-9]* Test *#[0-9]*: \([^ ]*\) .* \([0-9.]*\) sec.*/\2 s  \1/p' build/test.log | sort -rn | head -n 10

say "Skipped tests"
grep -E '\*\*\*(Skipped|Not Run)|\[  SKIPPED \]' build/test.log || echo "none"

minutes=$((($(date +%s) - started) / 60))
say "$(grep -E '[0-9]+% tests passed' build/test.log || echo 'no test ran') ($minutes minutes, with building)"
exit "$(cat build/test.status)"
