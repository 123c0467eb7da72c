#!/bin/sh
# What the libraries export. Shared: ikat_ and nothing else. Static: besides, only prefixes of ours, so that a host that
# links volk, or has functions of any usual name, does not clash.
#
#   symbols.sh SHARED_LIBRARY STATIC_LIBRARY
set -eu

status=0
if [ -n "$1" ] && nm -D --defined-only "$1" | awk '{ print $NF }' | sed 's/@.*//' | grep -v '^ikat_'; then
    echo "the shared library exports the names above" >&2
    status=1
fi
if nm -g --defined-only "$2" | awk 'NF == 3 { print $3 }' | grep -v -E '^(ikati?|vk|ocl|cpu|null)_'; then
    echo "the static library defines the names above" >&2
    status=1
fi
exit $status
