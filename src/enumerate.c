// Which devices there are: opening drivers when they are first asked for, counting, finding by
// name.

#include "core.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKEND(name) extern const ikati_backend ikati_backend_##name;
#include "../backends/backends.inc"
#undef BACKEND

const ikati_backend *const ikati_backends[IKATI_NUM_BACKENDS] = {
#define BACKEND(name) &ikati_backend_##name,
#include "../backends/backends.inc"
#undef BACKEND
};

// The driver of a backend; NULL if this machine has none.
static ikati_driver *driver_of(ikat_context *context, uint32_t backend) {
    ikati_driver_slot *slot = &context->drivers[backend];
    ikati_mutex_lock(context->mutex);
    if (!slot->tried) {
        ikat_status status = ikati_backends[backend]->driver_open(&context->host, &slot->driver);
        // Out of memory is not "no such driver": the next call tries again.
        slot->tried = status != IKAT_NO_MEMORY;
        if (status) {
            slot->driver = NULL;
            ikati_log(&context->host, IKAT_LOG_INFO, IKAT_MESSAGE_DEVICE,
                      "backend %s has no devices here (%s)", ikati_backends[backend]->name,
                      ikat_status_name(status));
        }
    }
    ikati_mutex_unlock(context->mutex);
    return slot->driver;
}

static uint32_t count_of(ikat_context *context, uint32_t backend) {
    ikati_driver *driver = driver_of(context, backend);
    return driver ? ikati_backends[backend]->driver_num_devices(driver) : 0;
}

static void describe(ikat_context *context, uint32_t backend, uint32_t index,
                     ikat_device_info *out_info) {
    *out_info = (ikat_device_info){0};
    ikati_backends[backend]->driver_describe(driver_of(context, backend), index, out_info);
    snprintf(out_info->backend, sizeof(out_info->backend), "%s", ikati_backends[backend]->name);
    snprintf(out_info->id, sizeof(out_info->id), "%s:%u", out_info->backend, index);
}

static bool is_counted(uint32_t backend, const char *name) {
    return name ? strcmp(ikati_backends[backend]->name, name) == 0 : backend != IKATI_BACKEND_null;
}

static ikat_status check_backend(ikat_context *context, const char *name) {
    for (uint32_t i = 0; i < IKATI_NUM_BACKENDS; i++) {
        if (is_counted(i, name)) {
            return IKAT_OK;
        }
    }
    if (!name) {
        return IKAT_OK; // a build with `null` alone
    }
    return ikati_fail(&context->host, IKAT_INVALID, IKAT_MESSAGE_UNKNOWN_NAME,
                      "this build has no backend '%s'", name);
}

ikat_status ikat_device_count(ikat_context *context, const char *backend, uint32_t *out_count) {
    if (!context || !out_count) {
        return IKAT_INVALID;
    }
    *out_count = 0;
    ikat_status status = check_backend(context, backend);
    for (uint32_t i = 0; i < IKATI_NUM_BACKENDS && !status; i++) {
        *out_count += is_counted(i, backend) ? count_of(context, i) : 0;
    }
    return status;
}

ikat_status ikat_device_describe(ikat_context *context, const char *backend, uint32_t index,
                                 ikat_device_info *out_info) {
    if (!context || !out_info) {
        return IKAT_INVALID;
    }
    ikat_status status = check_backend(context, backend);
    uint32_t left = index;
    for (uint32_t i = 0; i < IKATI_NUM_BACKENDS && !status; i++) {
        uint32_t count = is_counted(i, backend) ? count_of(context, i) : 0;
        if (left < count) {
            describe(context, i, left, out_info);
            return IKAT_OK;
        }
        left -= count;
    }
    return status ? status
                  : ikati_fail(&context->host, IKAT_NO_DEVICE, IKAT_MESSAGE_DEVICE,
                               "there is no device %u of %s", index,
                               backend ? backend : "any backend");
}

// Whether `name` contains `text`, letters of any case alike.
static bool contains(const char *name, const char *text) {
    for (; *name; name++) {
        size_t i = 0;
        while (text[i] && tolower((unsigned char)name[i]) == tolower((unsigned char)text[i])) {
            i++;
        }
        if (!text[i]) {
            return true;
        }
    }
    return !*text;
}

// How good a default a device is: a discrete GPU, another GPU, a CPU device with a compiler (PoCL
// before Vulkan's), the reference.
static int rank(uint32_t backend, const ikat_device_info *info) {
    bool compiles = ikati_backends[backend]->run_call == NULL;
    switch (info->type) {
    case IKAT_DEVICE_DISCRETE: return 6;
    case IKAT_DEVICE_INTEGRATED: return 5;
    case IKAT_DEVICE_VIRTUAL: return 4;
    case IKAT_DEVICE_CPU:
        return !compiles ? 0 : ikati_backends[backend]->language == IKATI_OPENCL ? 2 : 1;
    case IKAT_DEVICE_OTHER: break;
    }
    return 3;
}

// Among equals the first wins; a CPU driver other than PoCL may be far slower, so PoCL's is taken
// first.
static bool find_best(ikat_context *context, uint32_t *out_backend, uint32_t *out_index,
                      ikat_device_info *out_info) {
    int best = -1;
    for (uint32_t i = 0; i < IKATI_NUM_BACKENDS; i++) {
        for (uint32_t d = 0; is_counted(i, NULL) && d < count_of(context, i); d++) {
            ikat_device_info info;
            describe(context, i, d, &info);
            int value = 2 * rank(i, &info) +
                        (info.type == IKAT_DEVICE_CPU && contains(info.driver, "pocl"));
            if (value > best) {
                best = value;
                *out_backend = i;
                *out_index = d;
                *out_info = info;
            }
        }
    }
    return best >= 0;
}

// "vulkan:0", "opencl:TEXT", "cpu". An index counts; any other text is searched for in the device
// names.
static ikat_status find_named(ikat_context *context, const char *name, uint32_t *out_backend,
                              uint32_t *out_index, ikat_device_info *out_info) {
    size_t length = strcspn(name, ":");
    const char *rest = name[length] ? name + length + 1 : "";
    uint32_t backend = 0;
    while (backend < IKATI_NUM_BACKENDS &&
           (strlen(ikati_backends[backend]->name) != length ||
            strncmp(ikati_backends[backend]->name, name, length) != 0)) {
        backend++;
    }
    if (backend == IKATI_NUM_BACKENDS || (name[length] && !*rest)) {
        return ikati_fail(&context->host, IKAT_NO_DEVICE, IKAT_MESSAGE_DEVICE,
                          "there is no device '%s', expected a backend of this build, alone or "
                          "with :INDEX or :TEXT",
                          name);
    }
    bool is_index = *rest && rest[strspn(rest, "0123456789")] == 0 && strlen(rest) < 6;
    uint32_t count = count_of(context, backend);
    for (uint32_t d = 0; d < count; d++) {
        describe(context, backend, d, out_info);
        if (is_index ? (uint32_t)atoi(rest) == d : contains(out_info->name, rest)) {
            *out_backend = backend;
            *out_index = d;
            return IKAT_OK;
        }
    }
    return ikati_fail(&context->host, IKAT_NO_DEVICE, IKAT_MESSAGE_DEVICE,
                      "there is no device '%s': backend %s has %u here", name,
                      ikati_backends[backend]->name, count);
}

ikat_status ikati_device_find(ikat_context *context, const char *name,
                              const ikati_backend **out_backend, ikati_driver **out_driver,
                              uint32_t *out_index, ikat_device_info *out_info) {
    uint32_t backend = 0;
    if (name) {
        ikat_status status = find_named(context, name, &backend, out_index, out_info);
        if (status) {
            return status;
        }
    } else if (!find_best(context, &backend, out_index, out_info)) {
        return ikati_fail(&context->host, IKAT_NO_DEVICE, IKAT_MESSAGE_DEVICE,
                          "this build finds no device here");
    }
    *out_backend = ikati_backends[backend];
    *out_driver = context->drivers[backend].driver;
    return IKAT_OK;
}
