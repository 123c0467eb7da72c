#!/bin/sh
# Makes docs/mechanisms.md and the pictures of docs/images/ from what the library says of itself.
#
#   tools/docs.sh [IKAT]             IKAT: the command line, build/ikat if not given
#   tools/docs.sh --check [IKAT]     changes nothing; fails if a file would change
set -eu

check=
if [ "${1:-}" = --check ]; then
    check=1
    shift
fi
ikat=$(realpath "${1:-$(dirname "$0")/../build/ikat}")
cd "$(dirname "$0")/.."

out=docs
if [ -n "$check" ]; then
    out=$(mktemp -d)
    trap 'rm -rf "$out"' EXIT
fi
mkdir -p "$out/images"
pictures_sum() { cat "$out"/images/*.svg 2> /dev/null | cksum; }
before=$(pictures_sum)

# Tiles of 16 rows: they show at these sizes. Exit status 3: the mechanism has no pattern to show.
show() {
    status=0
    variant=coop_any
    [ "$1" != custom ] || variant=coop_expression
    $ikat show --variant "$variant" "$@" 2> "$out/message" || status=$?
    [ "$status" -eq 0 ] || [ "$status" -eq 3 ] || cat "$out/message" >&2
    rm -f "$out/message"
    return "$status"
}

section() {
    status=0
    show "$1" -o "$out/images/$1.svg" || status=$?
    case $status in
    0) picture="![who sees whom in $1](images/$1.svg)" ;;
    3) picture= ;;
    *) exit 1 ;;
    esac
    # The picture stands before the first table.
    $ikat list "$1" --markdown |
        awk -v picture="$picture" '/^\| input / && picture { print picture "\n" } { print }'
}

names=$($ikat list | awk '{ print $1 }')
{
    cat << 'EOF'
# Mechanisms

<!-- Made by tools/docs.sh; what it says is in src/mechanisms/. -->

What each mechanism computes, takes and gives, as the library tells it: `ikat list NAME` prints the same. Shapes are in the letters of
[include/ikat/types.h](../include/ikat/types.h); type `float` is the call's main type, float32 or float16. A host array is given when the
plan is made, every other input when it runs.

The pictures are those of `ikat show NAME`: queries down, keys across. Dark pairs are visible, light ones are computed because
their tile is, and masked; the others cost nothing. A frame is a tile whose rows and keys are neighbours; see
[schedule.md](schedule.md). Tiles are of 16 rows here, and mostly larger on a GPU.
EOF
    for name in $names; do
        echo
        section "$name"
    done
} > "$out/mechanisms.new"
mv "$out/mechanisms.new" "$out/mechanisms.md"

# The sheet is small as PNG alone, whose bytes depend on zlib: it is made when a picture changed, and not compared.
if [ -z "$check" ]; then
    [ -f docs/images/patterns.png ] && [ "$before" = "$(pictures_sum)" ] || show -o docs/images/patterns.png
    exit 0
fi
stale=
for file in mechanisms.md $(cd "$out" && ls images/*.svg); do
    cmp -s "$out/$file" "docs/$file" || stale="$stale docs/$file"
done
[ -z "$stale" ] || {
    echo "stale:$stale; mended by: tools/docs.sh $ikat"
    exit 1
}
