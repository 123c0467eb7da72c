#!/bin/sh
# Fails unless `ikat devices` lists every device that the tests need: none is skipped in silence.
#
#   IKAT_TEST_DEVICES=llvmpipe,SwiftShader present.sh IKAT
#
# What is named is part of a device's name or driver, in any case.
set -u

listed=$("$1" devices) || exit 1
printf '%s\n' "$listed"
status=0
IFS=,
for device in $IKAT_TEST_DEVICES; do
    if ! printf '%s\n' "$listed" | grep -q -i -- "$device"; then
        echo "present.sh: no device $device" >&2
        status=1
    fi
done
exit $status
