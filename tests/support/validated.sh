#!/bin/sh
# Runs a command with the Vulkan validation layers on (core and synchronization checks). One message is a failure.
#
#   validated.sh COMMAND [ARGUMENT...]
#
# Exit status: the command's; 70 if it was 0 but the layers had something to say.
set -u

scratch=$(mktemp -d) || exit 71
trap 'rm -rf "$scratch"' EXIT
cat > "$scratch/vk_layer_settings.txt" << SETTINGS
khronos_validation.debug_action = VK_DBG_LAYER_ACTION_LOG_MSG
khronos_validation.report_flags = error,warn
khronos_validation.log_filename = /dev/stderr
khronos_validation.enables = VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT
SETTINGS
export VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation
export VK_LAYER_SETTINGS_PATH="$scratch/vk_layer_settings.txt"

# The layers write to standard error, through a pipe: every instance of a process opens the log anew.
exec 3>&1
{ "$@" 2>&1 1>&3 3>&-; echo $? > "$scratch/status"; } | tee "$scratch/log" >&2
status=$(cat "$scratch/status")
messages=$(grep -E -c 'VUID-|UNASSIGNED-|SYNC-HAZARD|Validation (Error|Warning)' "$scratch/log")
if [ "$messages" -ne 0 ]; then
    echo "validated.sh: $messages messages from the validation layers" >&2
    [ "$status" -ne 0 ] || status=70
fi
exit "$status"
