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
status=0
for file in $files; do
    if ! "$2" "$file" | cmp -s - "$file"; then
        echo "$file"
        status=1
    fi
done
[ $status -eq 0 ] || echo "not in the style of .clang-format; mended by: sh tests/layout/format.sh . clang-format --fix"
exit $status
