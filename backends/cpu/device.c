// The one device, and the table of the backend.

#include "cpu.h"

#include <stdio.h>
#include <string.h>

static ikat_status driver_open(const ikati_host *host, ikati_driver **out_driver) {
    *out_driver = NULL;
    cpu_driver *driver = ikati_alloc(host, 1, sizeof(*driver));
    if (!driver) {
        return IKAT_NO_MEMORY;
    }
    driver->host = host;
    *out_driver = (ikati_driver *)driver;
    return IKAT_OK;
}

static void driver_close(ikati_driver *handle) {
    cpu_driver *driver = (cpu_driver *)handle;
    if (driver) {
        ikati_free(driver->host, driver);
    }
}

static uint32_t driver_num_devices(const ikati_driver *driver) {
    (void)driver;
    return 1;
}

// Copies what follows "KEY<blanks>: " on a line of /proc/cpuinfo, without its line feed.
static bool copy_field(const char *line, const char *key, char *out_text, size_t size) {
    const size_t length = strlen(key);
    const char *colon = strchr(line, ':');
    if (strncmp(line, key, length) != 0 || strspn(line + length, " \t") == 0 || !colon) {
        return false;
    }
    const char *value = colon + 1 + strspn(colon + 1, " \t");
    snprintf(out_text, size, "%.*s", (int)strcspn(value, "\n"), value);
    return out_text[0] != '\0';
}

static void describe_processor(char *out_name, size_t size) {
    snprintf(out_name, size, "host processor");
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (!file) {
        return;
    }
    char line[512];
    bool found = false;
    while (!found && fgets(line, sizeof(line), file)) {
        found = copy_field(line, "model name", out_name, size) ||
                copy_field(line, "Model", out_name, size) ||
                copy_field(line, "Processor", out_name, size);
    }
    fclose(file);
}

static void driver_describe(const ikati_driver *driver, uint32_t index,
                            ikat_device_info *out_info) {
    (void)driver;
    (void)index;
    memset(out_info, 0, sizeof(*out_info));
    describe_processor(out_info->name, sizeof(out_info->name));
    snprintf(out_info->driver, sizeof(out_info->driver), "reference, float64");
    snprintf(out_info->api, sizeof(out_info->api), "C11");
    out_info->type = IKAT_DEVICE_CPU;
    out_info->num_compute_units = ikati_num_processors();
    out_info->memory_bytes = ikati_memory_bytes();
    out_info->limits = (ikat_device_limits){
        .max_buffer_bytes = INT64_MAX,
        .max_storage_range_bytes = INT64_MAX,
        .max_texel_elements = INT64_MAX,
        .storage_alignment_bytes = 1,
        .texel_alignment_bytes = 1,
        .shared_memory_bytes = UINT32_MAX,
        .max_group_size = UINT32_MAX,
        .max_groups = UINT32_MAX,
        .max_storage_buffers = UINT32_MAX,
        .vector_width = 1,
        .float16_arithmetic = 1,
        .storage_16bit = 1,
        .storage_8bit = 1,
        .timestamps = 1,
    };
}

static ikat_status port_open(ikati_driver *handle, uint32_t index, const ikat_device_limits *limits,
                             ikati_port **out_port) {
    (void)index;
    (void)limits;
    *out_port = NULL;
    const cpu_driver *driver = (const cpu_driver *)handle;
    cpu_port *port = ikati_alloc(driver->host, 1, sizeof(*port));
    if (!port) {
        return IKAT_NO_MEMORY;
    }
    port->host = driver->host;
    const uint32_t wanted =
        driver->host->max_threads ? driver->host->max_threads : ikati_num_processors();
    port->num_threads = wanted < CPU_MAX_THREADS ? wanted : CPU_MAX_THREADS;
    if (!ikati_mutex_init(port->queue)) {
        goto fail_queue;
    }
    if (!ikati_mutex_init(port->lock)) {
        goto fail_lock;
    }
    *out_port = (ikati_port *)port;
    return IKAT_OK;

fail_lock:
    ikati_mutex_destroy(port->queue);
fail_queue:
    ikati_free(driver->host, port);
    return ikati_fail(driver->host, IKAT_NO_MEMORY, IKAT_MESSAGE_MEMORY, "cannot make a mutex");
}

static void port_close(ikati_port *handle) {
    cpu_port *port = (cpu_port *)handle;
    if (port) {
        ikati_mutex_destroy(port->lock);
        ikati_mutex_destroy(port->queue);
        ikati_free(port->host, port);
    }
}

const ikati_backend ikati_backend_cpu = {
    .name = "cpu",
    .store_bytes = 2,
    .driver_open = driver_open,
    .driver_close = driver_close,
    .driver_num_devices = driver_num_devices,
    .driver_describe = driver_describe,
    .port_open = port_open,
    .port_close = port_close,
    .memory_create = cpu_memory_create,
    .memory_destroy = cpu_memory_destroy,
    .memory_write = cpu_memory_write,
    .memory_read = cpu_memory_read,
    .wait = cpu_wait,
    .time = cpu_time,
    .statistics = cpu_statistics,
    .run_call = cpu_run_call,
};
