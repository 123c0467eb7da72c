#!/bin/sh
# Compiles every variant for GPUs that need not be there, and prints one table of what the compilers say.
#
#   run.sh [-g] [-b] BUILD_DIR [CHIP...]     chips: navi21 vega10 unless given; -g: GLSL rows only; -b: fewer options
#
# GLSL rows, from BUILD_DIR/shaders/<kernel>.<variant>.spv: spirv-val, translation to Metal's language, AMD's
# compiler in Mesa (radv.c; not the rows for devices of type CPU). Rows that are compiled when a plan is made: the same, with
# expressions.txt for what the plan would give them. OpenCL rows: Intel's compiler (ocloc.sh).
# Exit status: 1 on any fault; 77 if a tool is missing, so that not everything was checked.
set -u

only_glsl=0
brief=0
[ "${1:-}" = -g ] && { only_glsl=1; shift; }
[ "${1:-}" = -b ] && { brief=1; shift; }
[ $# -ge 1 ] || { sed -n 's/^#   //p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=$1
shift
chips=${*:-navi21 vega10}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0
skipped=0

fault() {
    echo "FAULT $*"
    status=1
}

skip() {
    echo "skipped: $*"
    skipped=1
}

# One line a GLSL row: kernel, name, needs (or "-").
list_rows() {
    sed -n 's/^KERNEL(\(.*\))/\1/p' "$root/src/kernels.inc" | while read -r kernel; do
        awk -v kernel="$kernel" '
            /^VARIANT\(GLSL,/ { split($0, part, /[(, ]+/); name = part[3]; needs = "-"; inside = 1 }
            inside && match($0, /\.needs = [A-Z0-9_ |]+/) {
                needs = substr($0, RSTART + 9, RLENGTH - 9)
                gsub(/ /, "", needs)
            }
            inside && /\)$/ { print kernel, name, needs; inside = 0 }
            /^VARIANT\(OPENCL,/ { inside = 0 }
        ' "$root/shaders/variants/$kernel.inc"
    done
}

# Of a row's values the first and the last with -b, else all.
brief_of() {
    if [ "$brief" = 1 ] && [ $# -gt 2 ]; then
        echo "$1"
        shift $(($# - 1))
    fi
    echo "$@"
}

# Values of OPTIONS that a row is compiled with: nothing but lse, and everything at once (params/<kernel>.h).
options_of() {
    case $1:$2 in
        attend:*NEED_EXPRESSION*) echo 0x500 0x1500 0x1541 ;;
        attend:*NEED_HALF*NEED_TOPK*) echo 0x501 0x5ff ;;
        attend:*NEED_FLOAT*NEED_TOPK*) echo 0x500 0x5fa ;;
        attend:*NEED_TOPK*) echo 0x500 0x5ff 0x5fa ;;
        attend:*NEED_DENSE*NEED_HALF*) echo 0x101 0x1ff 0x401c1 0x63c1 ;;
        attend:*NEED_DENSE*NEED_FLOAT*) echo 0x100 0x1fa 0xc01c0 0x63c0 ;;
        attend:*NEED_HALF*) echo 0x101 0x1ff 0x541 0x20541 0x63c1 0x401c1 0x1a341 ;;
        attend:*NEED_FLOAT*) echo 0x100 0x1fa 0x540 0x5fa 0x20540 0x63c0 0xc01c0 0x1a340 ;;
        attend:*) echo 0x100 0x1ff 0x1fa 0x540 0x20541 0x63c1 0xc01c0 0x1a341 ;;
        heads:*) echo 0 0x7f 0x81 0x303 0x141 ;;
        edges:*) echo 2 0xe ;;
        label_scores:*NEED_HALF*) echo 3 ;;
        label_scores:*NEED_FLOAT*) echo 2 ;;
        label_scores:*) echo 2 3 ;;
        merge:* | spread:*) echo 2 3 ;;
        coarsen:*) echo 0 3 ;;
        fft:*) echo 0x1b0 0x810 0xc050 0x1807 0x2068 ;;
        gemm:*NEED_HALF*) echo 3 0x1ff ;;
        gemm:*NEED_FLOAT*) echo 0 0x1e4 ;;
        gemm:*) echo 0 0xe4 0x1ff ;;
        collect:*) echo 0 0x9c ;;
        mean:*) echo 0 3 ;;
        pool:*) echo 0 3 7 0x3b ;;
        norm:*) echo 0 0x7f 0x1ff 0x280 ;;
        feature:*NEED_FLOAT*) echo 0 0x164 0x1f5 ;;
        feature:*) echo 0 0x164 0x1fd ;;
        peak:*) echo 0 3 ;;
        outer:*NEED_FLOAT*) echo 0 6 ;;
        outer:*) echo 0 7 ;;
        carry:*) echo 8 0x3d ;;
        fade:*) echo 0 3 ;;
        readout:*NEED_FLOAT*) echo 0x80 0xf3 ;;
        readout:*) echo 0x80 0xff ;;
        recur:*) echo 0x118 0x1ff ;;
        ring:*) echo 0x40 0x5c 0x5f ;;
        infonce:*) echo 0 7 ;;
        losses:*) echo 3 4 ;;
        *) echo 0 ;;
    esac
}

# What a row is held to on a chip besides no spills: 8 subgroups per SIMD on Navi 21.
limits_of() {
    case $1:$2 in coop_v64*:navi21) echo -w 8 ;; esac
}

# Where a row's SPIR-V is.
spirv_of() {
    if [ -f "$work/$1.$2.spv" ]; then echo "$work/$1.$2.spv"; else echo "$build/shaders/$1.$2.spv"; fi
}

# Rows with IKATI_NEED_COMPILER have no SPIR-V in the build.
compile_rows() {
    compiler=$(sed -n 's/^IKAT_GLSLANG:[A-Z]*=//p' "$build/CMakeCache.txt")
    grep NEED_COMPILER "$work/rows" > "$work/compiled_rows" || return 0
    while read -r kernel name _; do
        # The first line of a row: VARIANT(GLSL, name, "source", "defines".
        line=$(grep "^VARIANT(GLSL, $name," "$root/shaders/variants/$kernel.inc")
        source=$(echo "$line" | cut -d '"' -f 2)
        cat "$root/shaders/glsl/$source" "$here/expressions.txt" > "$work/text.comp"
        # shellcheck disable=SC2046 # several words
        "$compiler" --quiet -V -g0 --target-env vulkan1.1 $(echo "$line" | cut -d '"' -f 4) -I"$root/shaders" \
            -I"$root/shaders/glsl" -o "$work/$kernel.$name.spv" "$work/text.comp" || fault "$kernel.$name: glslang"
    done < "$work/compiled_rows"
}

check_spirv() {
    command -v spirv-val > /dev/null || { skip "spirv-val is not installed"; return; }
    while read -r kernel name _; do
        spirv-val --target-env vulkan1.1 "$(spirv_of "$kernel" "$name")" ||
            fault "$kernel.$name: spirv-val"
    done < "$work/rows"
}

check_metal() {
    command -v spirv-cross > /dev/null || { skip "spirv-cross is not installed"; return; }
    while read -r kernel name _; do
        spirv-cross --msl --msl-version 20100 "$(spirv_of "$kernel" "$name")" > "$work/metal" ||
            fault "$kernel.$name: spirv-cross --msl"
    done < "$work/rows"
}

find_radv() {
    for driver in /usr/share/vulkan/icd.d/radeon_icd*.json /usr/local/share/vulkan/icd.d/radeon_icd*.json; do
        [ -f "$driver" ] && return 0
    done
    return 1
}

check_radv() {
    find_radv || { skip "no RADV driver"; return; }
    radv=$build/tests/compile/radv
    if [ ! -x "$radv" ]; then
        radv=$work/radv
        ${CC:-cc} -std=c11 -o "$radv" "$here/radv.c" -ldl || { fault "radv.c does not compile"; return; }
    fi
    export VK_DRIVER_FILES="$driver" VK_ICD_FILENAMES="$driver" MESA_SHADER_CACHE_DISABLE=true
    export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-$work}"
    printf '%-10s %-36s %6s %5s %5s %6s %7s %6s %9s %6s\n' \
        chip variant option VGPR SGPR spills scratch LDS subgroups instr
    grep -v IKATI_NEED_CPU "$work/rows" > "$work/gpu_rows"
    for chip in $chips; do
        while read -r kernel name needs; do
            # shellcheck disable=SC2046 # several words
            values=$(brief_of $(options_of "$kernel" "$needs"))
            if [ "$brief" = 1 ] && [ "$chip" != "${chips%% *}" ]; then
                values=$(echo "$values" | tail -n 1) # -b: another chip with the last alone
            fi
            for value in $values; do
                # shellcheck disable=SC2046 # several words
                RADV_FORCE_FAMILY=$chip "$radv" -s "$value" $(limits_of "$name" "$chip") \
                    "$(spirv_of "$kernel" "$name")" || status=1
            done
        done < "$work/gpu_rows"
    done
}

list_rows > "$work/rows"
[ -s "$work/rows" ] || fault "no rows found"
compile_rows
while read -r kernel name _; do
    [ -f "$(spirv_of "$kernel" "$name")" ] || { fault "$kernel.$name is not built"; exit 1; }
done < "$work/rows"
check_spirv
check_metal
check_radv
if [ $only_glsl -eq 0 ] && [ -f "$here/ocloc.sh" ]; then
    bash "$here/ocloc.sh"
    case $? in
        0) ;;
        77) skip "ocloc is not installed" ;;
        *) status=1 ;;
    esac
fi
[ $status -eq 0 ] && [ $skipped -eq 1 ] && exit 77
exit $status
