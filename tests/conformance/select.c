#define _POSIX_C_SOURCE 200809L

#include "select.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool contains(const char *text, const char *part) {
    size_t length = strlen(part);
    for (; *text; text++) {
        size_t i = 0;
        while (i < length && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i])) {
            i++;
        }
        if (i == length) {
            return true;
        }
    }
    return false;
}

// "SwiftShader", or "vulkan:SwiftShader" of that backend alone, or "vulkan:0".
static bool is_named(const ikat_device_info *info, const char *word) {
    size_t length = strlen(info->backend);
    if (strcmp(info->id, word) == 0) {
        return true;
    }
    if (strncmp(word, info->backend, length) == 0 && word[length] == ':') {
        word += length + 1;
    }
    return contains(info->name, word) || contains(info->driver, word);
}

static bool find_device(cli_tool *tool, const char *word) {
    uint32_t num = 0;
    ikat_device_count(tool->context, NULL, &num);
    for (uint32_t i = 0; i < num; i++) {
        ikat_device_info info;
        if (!ikat_device_describe(tool->context, NULL, i, &info) && is_named(&info, word)) {
            return true;
        }
    }
    fprintf(stderr, "no device %s, which IKAT_TEST_DEVICES names\n", word);
    return false;
}

static bool find_named(cli_tool *tool) {
    const char *names = getenv("IKAT_TEST_DEVICES");
    char *text = tool_copy(names ? names : "");
    char *rest = NULL;
    bool good = true;
    for (char *word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        good = find_device(tool, word) && good;
    }
    free(text);
    return good;
}

static bool open_device(cli_tool *tool, const char *id, const char *limits, cli_targets *targets) {
    ikat_device **device = &targets->devices[targets->num];
    ikat_status status = tool_device_open(tool, id, limits, device);
    if (status) {
        fprintf(stderr, "%s cannot be opened: %s\n", id, tool_reason(tool, status));
        return false;
    }
    targets->num++;
    return true;
}

bool select_devices(cli_tool *tool, const char *backend, const char *limits,
                    cli_targets *out_targets) {
    uint32_t num = 0;
    *out_targets = (cli_targets){.num = 0};
    bool good = find_named(tool) && !ikat_device_count(tool->context, backend, &num);
    for (uint32_t i = 0; i < num && i < TARGETS_MAX && good; i++) {
        ikat_device_info info;
        good = !ikat_device_describe(tool->context, backend, i, &info) &&
               open_device(tool, info.id, limits, out_targets);
    }
    return good;
}
