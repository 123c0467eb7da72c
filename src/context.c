#include "core.h"

#include <string.h>

static ikat_status copy_cache_dir(ikat_context *context, const ikat_context_params *params) {
    if (!params->cache_dir) {
        return IKAT_OK;
    }
    context->host.cache_dir = ikati_copy_text(&context->host, params->cache_dir);
    return context->host.cache_dir ? IKAT_OK : IKAT_NO_MEMORY;
}

ikat_status ikat_context_create(const ikat_context_params *params, ikat_context **out_context) {
    if (!out_context) {
        return IKAT_INVALID;
    }
    *out_context = NULL;
    const ikat_context_params defaults = {0};
    params = params ? params : &defaults;
    ikati_host host = {
        .log = params->log, .log_user = params->log_user, .max_threads = params->max_threads};
    host.log_level = params->log_level || !params->log ? params->log_level : IKAT_LOG_WARNING;
    const ikat_allocator *allocator = &params->allocator;
    int num_functions = !!allocator->allocate + !!allocator->reallocate + !!allocator->release;
    if (num_functions != 0 && num_functions != 3) {
        return ikati_fail(&host, IKAT_INVALID, IKAT_MESSAGE_NULL_ARGUMENT,
                          "allocator has %d of 3 functions, expected all or none", num_functions);
    }
    host.allocator = *allocator;
    ikat_context *context = ikati_alloc(&host, 1, sizeof(*context));
    if (!context) {
        return IKAT_NO_MEMORY;
    }
    context->host = host;
    ikat_status status = ikati_mutex_init(context->mutex) ? IKAT_OK : IKAT_INTERNAL;
    if (status) {
        ikati_free(&host, context);
        return status;
    }
    status = copy_cache_dir(context, params);
    if (status) {
        ikat_context_destroy(&context);
    }
    *out_context = context;
    return status;
}

void ikat_context_destroy(ikat_context **context) {
    if (!context || !*context) {
        return;
    }
    ikat_context *doomed = *context;
    for (uint32_t i = 0; i < IKATI_NUM_BACKENDS; i++) {
        if (doomed->drivers[i].driver) {
            ikati_backends[i]->driver_close(doomed->drivers[i].driver);
        }
    }
    ikati_mutex_destroy(doomed->mutex);
    ikati_host host = doomed->host;
    ikati_free(&host, host.cache_dir);
    ikati_free(&host, doomed);
    *context = NULL;
}

const ikati_host *ikati_context_host(const ikat_context *context) { return &context->host; }
