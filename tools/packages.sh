# Read by quickstart.sh and test.sh: installs Debian or Ubuntu packages that are missing.

say() { printf '\n== %s\n' "$*"; }

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

installed() {
    dpkg-query -W -f '${db:Status-Status}\n' "$1" 2> /dev/null | grep -q '^installed$'
}

# need_packages PACKAGE...: afterwards all are there, or the script has ended and said which are needed.
need_packages() {
    command -v dpkg-query > /dev/null && command -v apt-get > /dev/null ||
        die "this system has no apt. Needed, by the names of Debian 12: $*"
    missing=
    for package in "$@"; do
        installed "$package" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0

    if [ "$(id -u)" -eq 0 ]; then
        as_root=
    elif command -v sudo > /dev/null && { sudo -n true 2> /dev/null || [ -t 0 ]; }; then
        as_root=sudo
    else
        die "not root, and no sudo without a password. Please install:$missing"
    fi
    say "Installing$missing"
    mkdir -p build
    # shellcheck disable=SC2086 # several words
    {
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -q update &&
            $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -q install -y --no-install-recommends $missing
    } > build/packages.log 2>&1 < /dev/null || {
        tail -n 20 build/packages.log
        die "could not install:$missing"
    }
}

# What the library, its backends and the command line are built with.
build_packages="gcc libc6-dev make cmake ninja-build libvulkan-dev glslang-tools ocl-icd-opencl-dev libcjson-dev libpng-dev"

# How many jobs at once: one a processor, and no more than one for each GB of memory.
num_jobs() {
    processors=$(nproc 2> /dev/null || echo 2)
    gigabytes=$(awk '/^MemAvailable/ { print int($2 / 1000000) + 1 }' /proc/meminfo 2> /dev/null)
    if [ "${gigabytes:-$processors}" -lt "$processors" ]; then
        echo "$gigabytes"
    else
        echo "$processors"
    fi
}
