// The null backend: accepts every program, computes nothing.
//
// The core's tests run on it without a driver, and it is the template for a port: a real backend
// splits what follows over device.c, buffer.c, program.c, queue.c, under these same function names.
// Memory is host memory, so what is written can be read back; programs, launches and bytes are
// counted. Submissions complete at once.

#include "../backend.h"
#include "../../src/platform.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

// How many submissions ikat_device_time remembers.
enum { NUM_TICKETS_KEPT = 64 };

typedef struct null_driver {
    const ikati_host *host;
} null_driver;

typedef struct null_port {
    const ikati_host *host;
    ikati_mutex mutex; // guards what follows
    ikat_ticket last_ticket;
    ikat_device_statistics statistics;
} null_port;

typedef struct null_memory {
    uint8_t *bytes;
    uint64_t size_bytes;
} null_memory;

// A real program holds a pipeline and what recording needs of its kernel.
typedef struct null_program {
    const ikati_kernel *kernel;
} null_program;

// A real sequence holds descriptor sets or kernel arguments, one a dispatch, and a copy of the
// launches.
typedef struct null_sequence {
    uint32_t num_launches;
} null_sequence;

// Driver: what is on this machine.

static ikat_status null_driver_open(const ikati_host *host, ikati_driver **out_driver) {
    *out_driver = NULL;
    null_driver *driver = ikati_alloc(host, 1, sizeof(*driver));
    if (!driver) {
        return IKAT_NO_MEMORY;
    }
    driver->host = host;
    *out_driver = (ikati_driver *)driver;
    return IKAT_OK;
}

static void null_driver_close(ikati_driver *opaque) {
    null_driver *driver = (null_driver *)opaque;
    ikati_free(driver->host, driver);
}

static uint32_t null_driver_num_devices(const ikati_driver *opaque) {
    (void)opaque;
    return 1;
}

// An ordinary GPU, so that the core takes the paths that most machines take.
static void null_driver_describe(const ikati_driver *opaque, uint32_t index,
                                 ikat_device_info *out_info) {
    (void)opaque;
    assert(index == 0);
    (void)index;
    *out_info = (ikat_device_info){
        .type = IKAT_DEVICE_OTHER,
        .num_compute_units = 16,
        .memory_bytes = UINT64_C(4) << 30,
        .limits =
            {
                .max_buffer_bytes = UINT64_C(1) << 30,
                .max_storage_range_bytes = UINT64_C(128) << 20,
                .max_texel_elements = UINT64_C(1) << 27,
                .storage_alignment_bytes = 64,
                .texel_alignment_bytes = 16,
                .shared_memory_bytes = 48 << 10,
                .max_group_size = 1024,
                .max_groups = 65535,
                .max_storage_buffers = 64,
                .subgroup_size = 32,
                .vector_width = 1,
                .float16_arithmetic = 1,
                .storage_16bit = 1,
                .storage_8bit = 1,
                .timestamps = 0,
                .runtime_compiler = 1,
            },
    };
    snprintf(out_info->name, sizeof(out_info->name), "null");
    snprintf(out_info->driver, sizeof(out_info->driver), "none");
    snprintf(out_info->api, sizeof(out_info->api), "none");
    snprintf(out_info->missing, sizeof(out_info->missing), "computation");
}

// Port: an open device.

static ikat_status null_port_open(ikati_driver *opaque, uint32_t index,
                                  const ikat_device_limits *limits, ikati_port **out_port) {
    null_driver *driver = (null_driver *)opaque;
    assert(index == 0);
    (void)index;
    (void)limits; // the core chooses variants by them
    *out_port = NULL;
    null_port *port = ikati_alloc(driver->host, 1, sizeof(*port));
    if (!port) {
        return IKAT_NO_MEMORY;
    }
    port->host = driver->host;
    if (!ikati_mutex_init(port->mutex)) {
        ikati_free(driver->host, port);
        return ikati_fail(driver->host, IKAT_NO_MEMORY, IKAT_MESSAGE_MEMORY, "null: no mutex");
    }
    *out_port = (ikati_port *)port;
    return IKAT_OK;
}

static void null_port_close(ikati_port *opaque) {
    null_port *port = (null_port *)opaque;
    ikati_mutex_destroy(port->mutex);
    ikati_free(port->host, port);
}

static void null_statistics(ikati_port *opaque, ikat_device_statistics *out_statistics) {
    null_port *port = (null_port *)opaque;
    ikati_mutex_lock(port->mutex);
    *out_statistics = port->statistics;
    ikati_mutex_unlock(port->mutex);
}

// Memory. The core has checked sizes and ranges.

static ikat_status null_memory_create(ikati_port *opaque, uint64_t size_bytes,
                                      ikati_memory **out_memory) {
    null_port *port = (null_port *)opaque;
    *out_memory = NULL;
    null_memory *memory = ikati_alloc(port->host, 1, sizeof(*memory));
    if (!memory) {
        return IKAT_NO_MEMORY;
    }
    memory->size_bytes = size_bytes;
    memory->bytes = size_bytes <= SIZE_MAX ? ikati_alloc(port->host, (size_t)size_bytes, 1) : NULL;
    if (!memory->bytes) {
        ikati_free(port->host, memory);
        return IKAT_NO_MEMORY;
    }
    ikati_mutex_lock(port->mutex);
    port->statistics.buffer_bytes += size_bytes;
    ikati_mutex_unlock(port->mutex);
    *out_memory = (ikati_memory *)memory;
    return IKAT_OK;
}

static void null_memory_destroy(ikati_port *opaque, ikati_memory *opaque_memory) {
    null_port *port = (null_port *)opaque;
    null_memory *memory = (null_memory *)opaque_memory;
    ikati_mutex_lock(port->mutex);
    port->statistics.buffer_bytes -= memory->size_bytes;
    ikati_mutex_unlock(port->mutex);
    ikati_free(port->host, memory->bytes);
    ikati_free(port->host, memory);
}

static ikat_status null_memory_write(ikati_port *opaque, ikati_memory *opaque_memory,
                                     uint64_t offset_bytes, const void *data, uint64_t size_bytes) {
    (void)opaque;
    null_memory *memory = (null_memory *)opaque_memory;
    assert(offset_bytes <= memory->size_bytes && size_bytes <= memory->size_bytes - offset_bytes);
    if (size_bytes > 0) {
        memcpy(memory->bytes + offset_bytes, data, (size_t)size_bytes);
    }
    return IKAT_OK;
}

static ikat_status null_memory_read(ikati_port *opaque, ikati_memory *opaque_memory,
                                    uint64_t offset_bytes, void *data, uint64_t size_bytes) {
    (void)opaque;
    null_memory *memory = (null_memory *)opaque_memory;
    assert(offset_bytes <= memory->size_bytes && size_bytes <= memory->size_bytes - offset_bytes);
    if (size_bytes > 0) {
        memcpy(data, memory->bytes + offset_bytes, (size_t)size_bytes);
    }
    return IKAT_OK;
}

// Programs: one a variant and specialisation. The core keeps and shares them.

static ikat_status null_program_create(ikati_port *opaque, const ikati_program_params *params,
                                       ikati_program **out_program) {
    null_port *port = (null_port *)opaque;
    assert(params->variant->language == IKATI_GLSL &&
           params->kernel->num_bindings <= IKATI_MAX_BINDINGS);
    *out_program = NULL;
    null_program *program = ikati_alloc(port->host, 1, sizeof(*program));
    if (!program) {
        return IKAT_NO_MEMORY;
    }
    program->kernel = params->kernel;
    ikati_mutex_lock(port->mutex);
    port->statistics.programs_compiled++;
    ikati_mutex_unlock(port->mutex);
    *out_program = (ikati_program *)program;
    return IKAT_OK;
}

static void null_program_destroy(ikati_port *opaque, ikati_program *program) {
    ikati_free(((null_port *)opaque)->host, program);
}

// Sequences: dispatches with everything bound.

static void assert_dispatch(const ikati_dispatch *dispatch) {
    const null_program *program = (const null_program *)dispatch->program;
    for (uint32_t i = 0; i < program->kernel->num_bindings; i++) {
        const ikati_range *range = &dispatch->ranges[i];
        const null_memory *memory = (const null_memory *)range->memory;
        assert(!memory || (range->size_bytes > 0 && range->offset_bytes <= memory->size_bytes &&
                           range->size_bytes <= memory->size_bytes - range->offset_bytes));
        (void)range;
        (void)memory;
    }
}

static ikat_status null_sequence_create(ikati_port *opaque, const ikati_sequence_params *params,
                                        ikati_sequence **out_sequence) {
    null_port *port = (null_port *)opaque;
    *out_sequence = NULL;
    for (uint32_t i = 0; i < params->num_dispatches; i++) {
        assert_dispatch(&params->dispatches[i]);
    }
    for (uint32_t i = 0; i < params->num_launches; i++) {
        assert(params->launches[i].dispatch < params->num_dispatches &&
               params->launches[i].num_groups > 0);
    }
    null_sequence *sequence = ikati_alloc(port->host, 1, sizeof(*sequence));
    if (!sequence) {
        return IKAT_NO_MEMORY;
    }
    sequence->num_launches = params->num_launches;
    *out_sequence = (ikati_sequence *)sequence;
    return IKAT_OK;
}

static void null_sequence_destroy(ikati_port *opaque, ikati_sequence *sequence) {
    ikati_free(((null_port *)opaque)->host, sequence);
}

// Queue: tickets count up from 1 and complete in order.

static ikat_status null_submit(ikati_port *opaque, ikati_sequence *opaque_sequence, uint32_t first,
                               uint32_t num, ikat_ticket *out_ticket) {
    null_port *port = (null_port *)opaque;
    const null_sequence *sequence = (const null_sequence *)opaque_sequence;
    assert(first <= sequence->num_launches && num <= sequence->num_launches - first);
    (void)sequence;
    (void)first;
    ikati_mutex_lock(port->mutex);
    port->statistics.dispatches += num;
    *out_ticket = ++port->last_ticket;
    ikati_mutex_unlock(port->mutex);
    return IKAT_OK;
}

static ikat_status null_wait(ikati_port *opaque, ikat_ticket ticket, uint64_t timeout_ns,
                             bool *out_complete) {
    null_port *port = (null_port *)opaque;
    (void)timeout_ns; // nothing is ever under way
    ikati_mutex_lock(port->mutex);
    *out_complete = ticket <= port->last_ticket;
    ikati_mutex_unlock(port->mutex);
    return *out_complete
               ? IKAT_OK
               : ikati_fail(port->host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                            "null: ticket %llu was never given out", (unsigned long long)ticket);
}

static ikat_status null_time(ikati_port *opaque, ikat_ticket ticket, uint64_t *out_time_ns) {
    null_port *port = (null_port *)opaque;
    ikati_mutex_lock(port->mutex);
    const ikat_ticket last = port->last_ticket;
    ikati_mutex_unlock(port->mutex);
    *out_time_ns = 0;
    if (ticket == 0 || ticket > last || last - ticket >= NUM_TICKETS_KEPT) {
        return ikati_fail(port->host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                          "null: ticket %llu is not among the last %d of %llu",
                          (unsigned long long)ticket, NUM_TICKETS_KEPT, (unsigned long long)last);
    }
    return IKAT_OK;
}

const ikati_backend ikati_backend_null = {
    .name = "null",
    .language = IKATI_GLSL,
    .store_bytes = 4,
    .driver_open = null_driver_open,
    .driver_close = null_driver_close,
    .driver_num_devices = null_driver_num_devices,
    .driver_describe = null_driver_describe,
    .port_open = null_port_open,
    .port_close = null_port_close,
    .memory_create = null_memory_create,
    .memory_destroy = null_memory_destroy,
    .memory_write = null_memory_write,
    .memory_read = null_memory_read,
    .program_create = null_program_create,
    .program_destroy = null_program_destroy,
    .sequence_create = null_sequence_create,
    .sequence_destroy = null_sequence_destroy,
    .submit = null_submit,
    .wait = null_wait,
    .time = null_time,
    .statistics = null_statistics,
};
