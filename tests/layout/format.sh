#!/bin/sh
# Names the C files that clang-format (14) would change.
#
#   format.sh SOURCE_DIR CLANG_FORMAT [--fix]     --fix: changes them
set -u

cd "$1" || exit 1
files=$(find include src backends tools examples tests \( -name '*.c' -o -name '*.h' \) -type f | sort)
if [ "${3:-}" = --fix ]; then
    # shellcheck disable=SC2086 # several files
    exec "$2" -i $files
fi
# shellcheck disable=SC2086 # several files
differing=$("$2" --dry-run --Werror $files 2>&1 | sed -n 's/^\([^:]*\):[0-9]*:[0-9]*: .*clang-format-violations.*/\1/p' | sort -u)
[ -n "$differing" ] || exit 0
printf '%s\n' "$differing"
echo "not in the style of .clang-format; mended by: sh tests/layout/format.sh . clang-format --fix"
exit 1
