#include "targets.h"

#include <stdlib.h>

static int list_all(cli_tool *tool, char *names[TARGETS_MAX], uint32_t *num) {
    uint32_t count = 0;
    ikat_status status = ikat_device_count(tool->context, NULL, &count);
    for (uint32_t i = 0; i < count && *num < TARGETS_MAX && !status; i++) {
        ikat_device_info info;
        status = ikat_device_describe(tool->context, NULL, i, &info);
        if (!status) {
            names[(*num)++] = tool_copy(info.id);
        }
    }
    return tool_exit_code(tool, status);
}

int targets_list(cli_tool *tool, const cli_args *args, char *names[TARGETS_MAX],
                 uint32_t *out_num) {
    *out_num = 0;
    uint32_t num_given = args_count(args, "device");
    if (args_flag(args, "all-devices")) {
        return num_given
                   ? tool_fail(
                         "--device and --all-devices exclude each other, expected one of them")
                   : list_all(tool, names, out_num);
    }
    if (num_given > TARGETS_MAX) {
        return tool_fail("--device is given %u times, expected at most %d", num_given, TARGETS_MAX);
    }
    for (uint32_t i = 0; i < num_given; i++) {
        names[(*out_num)++] = tool_copy(args_nth(args, "device", i)->text);
    }
    if (*out_num == 0) {
        names[(*out_num)++] = tool_copy("");
    }
    return TOOL_OK;
}

int targets_open(cli_tool *tool, const cli_args *args, cli_targets *out_targets) {
    char *names[TARGETS_MAX];
    uint32_t num;
    *out_targets = (cli_targets){.num = 0};
    int code = targets_list(tool, args, names, &num);
    const char *limits = args_value(args, "limits");
    for (uint32_t i = 0; i < num; i++) {
        ikat_device **device = &out_targets->devices[out_targets->num];
        const char *name = names[i][0] ? names[i] : NULL;
        int opened =
            code ? TOOL_OK : tool_exit_code(tool, tool_device_open(tool, name, limits, device));
        if (opened == TOOL_DEVICE && args_flag(args, "all-devices")) {
            out_targets->num_refused++;
        } else if (opened) {
            code = opened;
        } else if (!code) {
            out_targets->num++;
        }
        free(names[i]);
    }
    if (code) {
        targets_close(out_targets);
    }
    return code;
}

void targets_close(cli_targets *targets) {
    for (uint32_t i = targets->num; i-- > 0;) {
        ikat_device_destroy(&targets->devices[i]);
    }
    targets->num = 0;
}
