#include "core.h"
#include "limits.h"

#include <string.h>

ikat_status ikati_device_wrap(ikat_context *context, const ikati_backend *backend, ikati_port *port,
                              const ikat_device_info *info, ikat_device **out_device) {
    ikat_device *device = ikati_alloc(&context->host, 1, sizeof(*device));
    if (!device || !ikati_mutex_init(device->mutex)) {
        ikati_free(&context->host, device);
        backend->port_close(port);
        return device ? IKAT_INTERNAL : IKAT_NO_MEMORY;
    }
    device->context = context;
    device->backend = backend;
    device->port = port;
    device->info = *info;
    *out_device = device;
    return IKAT_OK;
}

ikat_status ikat_device_open(ikat_context *context, const ikat_device_params *params,
                             ikat_device **out_device) {
    if (!out_device) {
        return IKAT_INVALID;
    }
    *out_device = NULL;
    if (!context) {
        return IKAT_INVALID;
    }
    const ikat_device_params defaults = {0};
    params = params ? params : &defaults;
    const ikati_backend *backend;
    ikati_driver *driver;
    uint32_t index;
    ikat_device_info info;
    ikat_status status = ikati_device_find(context, params->name, &backend, &driver, &index, &info);
    if (status) {
        return status;
    }
    if (params->limits) {
        ikati_limits_lower(&info.limits, params->limits);
    }
    ikati_port *port;
    status = backend->port_open(driver, index, &info.limits, &port);
    return status ? status : ikati_device_wrap(context, backend, port, &info, out_device);
}

void ikat_device_destroy(ikat_device **device) {
    if (!device || !*device) {
        return;
    }
    ikat_device *doomed = *device;
    for (uint32_t i = 0; i < doomed->num_programs; i++) {
        if (doomed->programs[i].program) {
            doomed->backend->program_destroy(doomed->port, doomed->programs[i].program);
        }
        ikati_free(&doomed->context->host, doomed->programs[i].text);
    }
    doomed->backend->port_close(doomed->port);
    ikati_mutex_destroy(doomed->mutex);
    const ikati_host *host = &doomed->context->host;
    ikati_free(host, doomed->programs);
    ikati_free(host, doomed);
    *device = NULL;
}

const ikat_device_info *ikat_device_get_info(const ikat_device *device) { return &device->info; }

void ikat_device_get_statistics(ikat_device *device, ikat_device_statistics *out_statistics) {
    *out_statistics = (ikat_device_statistics){0};
    device->backend->statistics(device->port, out_statistics);
}

ikat_status ikat_device_wait(ikat_device *device, ikat_ticket ticket, uint64_t timeout_ns,
                             bool *out_complete) {
    bool complete = false;
    ikat_status status = device->backend->wait(device->port, ticket, timeout_ns, &complete);
    if (out_complete) {
        *out_complete = complete;
    }
    return status;
}

ikat_status ikat_device_time(ikat_device *device, ikat_ticket ticket, uint64_t *out_time_ns) {
    return device->backend->time(device->port, ticket, out_time_ns);
}

ikati_port *ikati_device_port(const ikat_device *device, const ikati_backend *backend) {
    return device->backend == backend ? device->port : NULL;
}

static bool same_text(const char *a, const char *b) { return a && b ? strcmp(a, b) == 0 : a == b; }

static ikati_device_program *find_program(ikat_device *device, const ikati_step *step) {
    size_t size = step->kernel->num_specialisation * sizeof(step->specialisation[0]);
    for (uint32_t i = 0; i < device->num_programs; i++) {
        ikati_device_program *entry = &device->programs[i];
        if (entry->variant == step->variant && same_text(entry->text, step->text) &&
            memcmp(entry->specialisation, step->specialisation, size) == 0) {
            return entry;
        }
    }
    return NULL;
}

static ikati_device_program *add_program(ikat_device *device, const ikati_step *step) {
    ikati_device_program *grown =
        ikati_resize(&device->context->host, device->programs, device->num_programs + 1u,
                     sizeof(*device->programs));
    if (!grown) {
        return NULL;
    }
    device->programs = grown;
    ikati_device_program *entry = &device->programs[device->num_programs];
    *entry = (ikati_device_program){.variant = step->variant,
                                    .text = ikati_copy_text(&device->context->host, step->text)};
    memcpy(entry->specialisation, step->specialisation, sizeof(entry->specialisation));
    return step->text && !entry->text ? NULL : entry;
}

// With the device's lock held. A failed compilation is remembered, so that the next plan goes
// straight to another variant.
static ikat_status compile(ikat_device *device, const ikati_step *step,
                           ikati_program **out_program) {
    ikati_device_program *entry = add_program(device, step);
    if (!entry) {
        return IKAT_NO_MEMORY;
    }
    const ikati_program_params params = {step->kernel, step->variant, step->specialisation,
                                         step->text, step->name};
    ikat_status status = device->backend->program_create(device->port, &params, &entry->program);
    if (status) {
        entry->program = NULL;
    }
    *out_program = entry->program;
    if (status == IKAT_OK || status == IKAT_COMPILE) {
        device->num_programs++;
    } else {
        ikati_free(&device->context->host, entry->text);
    }
    return status;
}

ikat_status ikati_device_program_get(ikat_device *device, const ikati_step *step,
                                     ikati_program **out_program, uint64_t *compile_time_ns,
                                     uint32_t *programs_compiled) {
    ikat_status status = IKAT_OK;
    ikati_mutex_lock(device->mutex);
    ikati_device_program *entry = find_program(device, step);
    if (entry) {
        *out_program = entry->program;
        status = entry->program ? IKAT_OK : IKAT_COMPILE;
    } else {
        uint64_t start = ikati_now_ns();
        status = compile(device, step, out_program);
        *compile_time_ns += ikati_now_ns() - start;
        *programs_compiled += 1;
    }
    ikati_mutex_unlock(device->mutex);
    return status;
}

bool ikati_device_program_failed(ikat_device *device, const ikati_variant *variant,
                                 const char *text) {
    bool failed = false;
    ikati_mutex_lock(device->mutex);
    for (uint32_t i = 0; i < device->num_programs; i++) {
        const ikati_device_program *entry = &device->programs[i];
        failed = failed ||
                 (entry->variant == variant && !entry->program && same_text(entry->text, text));
    }
    ikati_mutex_unlock(device->mutex);
    return failed;
}
