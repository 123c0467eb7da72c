#!/bin/sh
# The house rules that a machine can check: which way includes point, how long files and lines are, what the library
# never calls. Prints every breach.
#
#   layout.sh SOURCE_DIR
set -u

cd "$1" || exit 1

# report TEXT: standard input, if any, is a list of breaches.
report() {
    found=$(cat)
    [ -z "$found" ] || printf '%s:\n%s\n\n' "$1" "$found"
}

sources() {
    find "$@" \( -name '*.c' -o -name '*.h' -o -name '*.inc' \) -type f
}

search() {
    pattern=$1
    shift
    sources "$@" | xargs grep -nE "$pattern" /dev/null
}

check_all() {
    search '#include *"(\.\./)*backends/[a-z]+/' src |
        report "src/ sees backends/backend.h and backends/backends.inc, never into a backend"
    search '#include *[<"](vulkan|CL|OpenCL)/' src tools |
        report "src/ and tools/ know no graphics API"
    for backend in null cpu vulkan opencl; do
        others=$(echo null cpu vulkan opencl | tr ' ' '\n' | grep -v "^$backend\$" | paste -sd '|')
        search "#include *\"([^\"]*/)?($others)/" "backends/$backend" |
            report "one backend never sees another"
    done
    search '#include *"([^"]*/)?(src|backends)/' tools examples tests/conformance tests/embed 2> /dev/null |
        report "tools, examples, conformance and embed see include/ alone"
    search '#include *"' include |
        report "public headers include each other as <ikat/...>"

    sources include src backends tools examples tests | xargs wc -l | awk '$2 != "total" && $1 > 600' |
        report "files over 600 lines: does each still hold one thing?"
    find shaders -type f | xargs wc -l | awk '$2 != "total" && $1 > 600' |
        report "kernels over 600 lines"
    sources include src backends tools examples tests | xargs awk 'length($0) > 110 { print FILENAME ":" FNR }' |
        report "lines over 110 columns"
    find shaders/glsl shaders/opencl shaders/params -type f | xargs awk 'length($0) > 120 { print FILENAME ":" FNR }' |
        report "kernel lines over 120 columns"

    search '(^|[^a-z_])(v?f?printf|puts|putchar|perror|abort|exit|getenv|setenv) *\(' src backends |
        report "the library neither prints, nor ends the process, nor reads the environment"
    search '(^|[^a-z_])(malloc|calloc|realloc|free|strdup) *\(' src backends | grep -v '^src/host.c:' |
        report "memory comes from the context's allocator (src/host.c)"
    search '"[^"]*-cl-fast-relaxed-math' src backends shaders |
        report "-cl-fast-relaxed-math breaks -inf"

    # Every kernel in the list has its files, and every file its kernel; the same for mechanisms.
    for kernel in $(sed -n 's/^KERNEL(\(.*\))/\1/p' src/kernels.inc); do
        for file in shaders/params/$kernel.h shaders/variants/$kernel.inc; do
            [ -f "$file" ] || echo "$file"
        done
    done | report "kernels in src/kernels.inc without their files"
    for mechanism in $(sed -n 's/^MECHANISM(\(.*\))/\1/p' src/mechanisms.inc); do
        for file in src/mechanisms/$mechanism.c backends/cpu/reference/$mechanism.c; do
            [ -f "$file" ] || echo "$file"
        done
    done | report "mechanisms in src/mechanisms.inc without their files"
}

breaches=$(check_all)
[ -z "$breaches" ] && exit 0
printf '%s\n' "$breaches"
exit 1
