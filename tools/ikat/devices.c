// ikat devices: every device of every backend, its limits, what is missing.

#include "commands.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const cli_option options[] = {
    {"json", NULL, false, false, "as JSON"},
    OPTION_VERBOSE,
    OPTION_HELP,
};

static const char *type_name(ikat_device_type type) {
    switch (type) {
    case IKAT_DEVICE_DISCRETE: return "discrete GPU";
    case IKAT_DEVICE_INTEGRATED: return "integrated GPU";
    case IKAT_DEVICE_VIRTUAL: return "virtual GPU";
    case IKAT_DEVICE_CPU: return "CPU";
    default: return "other";
    }
}

static void print_device(const ikat_device_info *info) {
    const ikat_device_limits *limits = &info->limits;
    printf("%s\n  %s, %s\n  %s; %s\n", info->id, info->name, type_name(info->type), info->driver,
           info->api);
    if (info->num_compute_units) {
        printf("  %" PRIu32 " compute units", info->num_compute_units);
    } else {
        printf("  compute units unknown");
    }
    printf(", %.1f GiB memory, buffers to %.1f MiB, ranges to %.1f MiB\n",
           (double)info->memory_bytes / (1 << 30), (double)limits->max_buffer_bytes / (1 << 20),
           (double)limits->max_storage_range_bytes / (1 << 20));
    printf("  %" PRIu32 " KiB shared, %" PRIu32 " invocations, subgroup %" PRIu32
           ", vector width %" PRIu32 ", %" PRIu32 " storage buffers, texel elements %" PRIu64 "\n",
           limits->shared_memory_bytes / 1024, limits->max_group_size, limits->subgroup_size,
           limits->vector_width, limits->max_storage_buffers, limits->max_texel_elements);
    printf("  float16 arithmetic %s, 16-bit storage %s, 8-bit storage %s, timestamps %s, compiler "
           "%s\n",
           limits->float16_arithmetic ? "yes" : "no", limits->storage_16bit ? "yes" : "no",
           limits->storage_8bit ? "yes" : "no", limits->timestamps ? "yes" : "no",
           limits->runtime_compiler ? "yes" : "no");
    if (info->missing[0]) {
        printf("  missing: %s\n", info->missing);
    }
}

static cJSON *limits_to_json(const ikat_device_limits *limits) {
    cJSON *json = cJSON_CreateObject();
#define FIELD(name) cJSON_AddNumberToObject(json, #name, (double)limits->name);
    FIELD(max_buffer_bytes)
    FIELD(max_storage_range_bytes)
    FIELD(max_texel_elements)
    FIELD(storage_alignment_bytes)
    FIELD(texel_alignment_bytes)
    FIELD(shared_memory_bytes)
    FIELD(max_group_size)
    FIELD(max_groups)
    FIELD(max_storage_buffers)
    FIELD(subgroup_size)
    FIELD(vector_width)
    FIELD(float16_arithmetic)
    FIELD(storage_16bit)
    FIELD(storage_8bit)
    FIELD(timestamps)
    FIELD(runtime_compiler)
#undef FIELD
    return json;
}

static cJSON *device_to_json(const ikat_device_info *info) {
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "id", info->id);
    cJSON_AddStringToObject(json, "backend", info->backend);
    cJSON_AddStringToObject(json, "name", info->name);
    cJSON_AddStringToObject(json, "type", type_name(info->type));
    cJSON_AddStringToObject(json, "driver", info->driver);
    cJSON_AddStringToObject(json, "api", info->api);
    cJSON_AddStringToObject(json, "missing", info->missing);
    cJSON_AddNumberToObject(json, "vendor_id", info->vendor_id);
    cJSON_AddNumberToObject(json, "device_id", info->device_id);
    cJSON_AddNumberToObject(json, "num_compute_units", info->num_compute_units);
    cJSON_AddNumberToObject(json, "memory_bytes", (double)info->memory_bytes);
    cJSON_AddItemToObject(json, "limits", limits_to_json(&info->limits));
    return json;
}

static void print_json(cJSON *devices) {
    cJSON *root = cJSON_CreateObject();
    cJSON_AddNumberToObject(root, "schema", 1);
    cJSON_AddStringToObject(root, "library", ikat_version());
    cJSON_AddItemToObject(root, "devices", devices);
    char *text = cJSON_Print(root);
    puts(text ? text : "{}");
    free(text);
    cJSON_Delete(root);
}

static int run(cli_tool *tool, const cli_args *args) {
    uint32_t num = 0;
    ikat_status status = ikat_device_count(tool->context, NULL, &num);
    cJSON *devices = args_flag(args, "json") ? cJSON_CreateArray() : NULL;
    for (uint32_t i = 0; i < num && !status; i++) {
        ikat_device_info info;
        status = ikat_device_describe(tool->context, NULL, i, &info);
        if (!status && devices) {
            cJSON_AddItemToArray(devices, device_to_json(&info));
        } else if (!status) {
            print_device(&info);
        }
    }
    if (devices && !status) {
        print_json(devices);
    } else {
        cJSON_Delete(devices);
    }
    return tool_exit_code(tool, status);
}

const cli_command command_devices = {
    "devices",
    "[--json]",
    "Lists every device of every backend, its limits, and what would help and is missing.",
    options,
    sizeof(options) / sizeof(options[0]),
    0,
    0,
    run,
};
