#!/bin/bash
# Compiles every OpenCL variant for Intel GPUs, without hardware, and prints what the compiler made
# of it.
#
#   tests/compile/ocloc.sh [-b] [-k KERNEL] [-v VARIANT] [DEVICE...]    devices: skl tgllp dg2 if none; -b: fewer options
#
# One line per kernel, variant, OPTIONS and device: SIMD width, registers a thread may use, bytes of
# spills, of scratch (private arrays: a loop-indexed array shows there and not as a spill) and of
# shared memory. Rows made for devices of type CPU never run there: they are compiled only if named
# with -v, and may use scratch. Exit status: 1 if another row spills, uses scratch or does not
# compile; 77 without ocloc.
set -u

root=$(cd "$(dirname "$0")/../.." && pwd)
shaders=$root/shaders
only_kernel= only_variant= brief=0
while getopts bk:v: option; do
    case $option in
        b) brief=1 ;;
        k) only_kernel=$OPTARG ;;
        v) only_variant=$OPTARG ;;
        *) sed -n 's/^#   //p' "$0" >&2; exit 2 ;;
    esac
done
shift $((OPTIND - 1))
devices=${*:-skl tgllp dg2}
command -v ocloc > /dev/null || { echo "ocloc is not installed" >&2; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Replaces #include lines by the file's text, each file once, as the build does.
expand() {
    awk -v root="$shaders" '
        function include(name,    path, line, status) {
            if (name in seen) return
            seen[name] = 1
            path = root "/opencl/" name
            if ((status = (getline line < path)) < 0) {
                path = root "/" name
                status = (getline line < path)
            }
            if (status < 0) { print "cannot find " name > "/dev/stderr"; exit 1 }
            for (; status > 0; status = (getline line < path)) {
                if (match(line, /^#include "[^"]+"/)) include(substr(line, 11, RLENGTH - 11))
                else print line
            }
            close(path)
        }
        BEGIN { include(ARGV[1]) }' "$1"
}

# Rows of a kernel: name|source|defines|needs
rows() {
    awk '
        /^VARIANT\(OPENCL,/ { row = 1; text = "" }
        row { text = text $0 }
        row && /\)$/ {
            row = 0
            split(text, quoted, "\"")
            name = quoted[1]
            sub(/^VARIANT\(OPENCL, */, "", name)
            sub(/ *,.*/, "", name)
            print name "|" quoted[2] "|" quoted[4] "|" quoted[5]
        }' "$shaders/variants/$1.inc"
}

# Of a row's values the first and the last with -b, else all.
brief_of() {
    if [ "$brief" = 1 ] && [ $# -gt 2 ]; then
        echo "$1"
        shift $(($# - 1))
    fi
    echo "$@"
}

# OPTIONS worth looking at: none, halves, all that cost registers. Numbers from
# shaders/params/<kernel>.h.
options_of() { # kernel needs
    case $1:$2 in
        attend:*NEED_EXPRESSION*) echo "1280 5376 5441" ;;
        attend:*NEED_TOPK*) echo "1024 1025 1344 1535" ;;
        attend:*) echo "0 1 506 511 1344 25537 107329 132416" ;;
        heads:*) echo "0 127 129 321" ;;
        edges:*) echo "2 14" ;;
        label_scores:*) echo "2 3" ;;
        merge:* | spread:* | coarsen:*) echo "0 3" ;;
        fft:*) echo "432 2064 49232 6151 8296" ;;
        gemm:*) echo "0 228 255" ;;
        collect:*) echo "0 156" ;;
        mean:*) echo "0 3" ;;
        norm:*) echo "0 127" ;;
        ring:*) echo "64 92 95" ;;
        infonce:*) echo "0 7" ;;
        losses:*) echo "3 4" ;;
        *) echo 0 ;;
    esac
}

# First number behind a key in the kernel's description inside the binary; 0 if it is not there.
field() { grep -a -m 1 -o "$1: *[0-9]*" "$2" | grep -o '[0-9]*$' || echo 0; }

# Bytes of memory a thread has with some usage; 0 if there is none.
memory() {
    grep -a -A 1 -E "usage: *($1)" "$2" | grep -a -o "size: *[0-9]*" |
        awk '{ n += $2 } END { print n + 0 }'
}

failures=0
check() { # kernel variant source defines needs options device
    local binary=$work/binary verdict=ok
    local format='%-24s %-7s %-6s %5s %9s %7s %7s %7s  %s\n'
    rm -f "$binary"
    if ! ocloc compile -q -file "$work/source.cl" -device "$7" \
        -options "-cl-std=CL1.2 $4 -DOPTIONS=$6u" -internal_options -cl-intel-allow-zebin \
        -out_dir "$work" -output binary -output_no_suffix > "$work/log" 2>&1; then
        printf '%-24s %-7s %-6s does not compile\n' "$1.$2" "$6" "$7"
        cat "$work/log"
        failures=$((failures + 1))
        return
    fi
    local spills private
    spills=$(memory spill_fill_space "$binary")
    private=$(memory 'private_space|single_space' "$binary")
    if [ $((spills + private)) -gt 0 ]; then
        verdict="SPILLS"
        case $5 in
            *NEED_CPU*) verdict="(CPU)" ;;
            *) failures=$((failures + 1)) ;;
        esac
    fi
    # shellcheck disable=SC2059
    printf "$format" "$1.$2" "$6" "$7" "$(field simd_size "$binary")" \
        "$(field grf_count "$binary")" "$spills" "$private" "$(field slm_size "$binary")" "$verdict"
}

printf '%-24s %-7s %-6s %5s %9s %7s %7s %7s\n' \
    variant options device simd registers spills scratch shared
for list in "$shaders"/variants/*.inc; do
    kernel=$(basename "$list" .inc)
    [ -z "$only_kernel" ] || [ "$only_kernel" = "$kernel" ] || continue
    while IFS='|' read -r variant source defines needs; do
        [ -z "$only_variant" ] || [ "$only_variant" = "$variant" ] || continue
        case $needs in *NEED_CPU*) [ -n "$only_variant" ] || continue ;; esac
        expand "$source" > "$work/source.cl" || exit 1
        case $needs in *NEED_COMPILER*) cat "$root/tests/compile/expressions.txt" >> "$work/source.cl" ;; esac
        # shellcheck disable=SC2046 # several words
        for options in $(brief_of $(options_of "$kernel" "$needs")); do
            for device in $devices; do
                check "$kernel" "$variant" "$source" "$defines" "$needs" "$options" "$device"
            done
        done
    done < <(rows "$kernel")
done
[ "$failures" = 0 ]
