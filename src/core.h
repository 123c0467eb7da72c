// The structures behind the public handles. Only src/ sees them.

#ifndef IKATI_CORE_H
#define IKATI_CORE_H

#include "lowering.h"
#include "mechanism.h"
#include "platform.h"

// The order of backends/backends.inc.
enum {
#define BACKEND(name) IKATI_BACKEND_##name,
#include "../backends/backends.inc"
#undef BACKEND
    IKATI_NUM_BACKENDS
};

extern const ikati_backend *const ikati_backends[IKATI_NUM_BACKENDS];

// A backend's loader, opened the first time it is asked for.
typedef struct ikati_driver_slot {
    bool tried;
    ikati_driver *driver; // NULL: this machine has none
} ikati_driver_slot;

struct ikat_context {
    ikati_host host;
    ikati_mutex mutex; // guards drivers
    ikati_driver_slot drivers[IKATI_NUM_BACKENDS];
};

// A compiled variant with its specialisation and text (NULL: none). Lives as long as its device.
typedef struct ikati_device_program {
    const ikati_variant *variant;
    char *text;
    uint32_t specialisation[IKATI_MAX_SPECIALISATION];
    ikati_program *program; // NULL: the driver's compiler failed, do not try again
} ikati_device_program;

struct ikat_device {
    ikat_context *context;
    const ikati_backend *backend;
    ikati_port *port;
    ikat_device_info info;
    ikati_mutex mutex; // guards programs
    ikati_device_program *programs;
    uint32_t num_programs;
};

struct ikat_buffer {
    ikat_device *device;
    ikati_memory *memory;
    uint64_t size_bytes;
    uint64_t capacity_bytes; // of the memory: the size, rounded up where the memory is ours
};

// Slices [s] runs launches [slice_starts[s], slice_starts[s + 1]).
struct ikat_plan {
    ikat_device *device;
    ikati_request request;
    ikati_lowering lowering; // steps, scratch, tables
    ikati_launch *launches;
    uint32_t num_launches;
    uint32_t *slice_starts;
    uint32_t num_slices;
    ikati_memory *tables; // constant tables, uploaded once; NULL if there are none
    ikati_cost cost;
    char *variant;
    double slice_flops;
    uint64_t create_time_ns;
    uint64_t compile_time_ns;
    uint32_t programs_compiled;
};

struct ikat_bindings {
    const ikat_plan *plan;
    ikati_sequence *sequence;                   // NULL on a backend with run_call
    ikati_memory *workspace;                    // NULL: the caller's, or none needed
    ikati_call_tensor inputs[IKATI_MAX_INPUTS]; // for run_call
    ikati_call_tensor outputs[IKATI_MAX_OUTPUTS];
    uint32_t num_inputs;
    uint32_t num_outputs;
};

// Finds a device by name (ikat_device_params.name). Logs why there is none.
ikat_status ikati_device_find(ikat_context *context, const char *name,
                              const ikati_backend **out_backend, ikati_driver **out_driver,
                              uint32_t *out_index, ikat_device_info *out_info);

// Finds or compiles a program. Adds the time it took to *compile_time_ns and counts it.
ikat_status ikati_device_program_get(ikat_device *device, const ikati_step *step,
                                     ikati_program **out_program, uint64_t *compile_time_ns,
                                     uint32_t *programs_compiled);

// Whether the driver's compiler failed for this variant, with this text, before.
bool ikati_device_program_failed(ikat_device *device, const ikati_variant *variant,
                                 const char *text);

// Checks a call and fills a request, which is the caller's to clear. On failure one line is logged
// and nothing is left to clear; IKAT_INVALID but for IKAT_NO_MEMORY.
ikat_status ikati_request_create(const ikati_host *host, const ikat_plan_params *params,
                                 ikati_request *out_request);
// The same for a mechanism that need not be in the registry; the name in params is not looked at.
ikat_status ikati_request_create_for(const ikati_host *host, const ikati_mechanism *mechanism,
                                     const ikat_plan_params *params, ikati_request *out_request);
// The same call with some tensors changed.
ikat_status ikati_request_derive(const ikati_request *request, const ikat_argument *changed,
                                 uint32_t num_changed, ikati_request *out_request);
void ikati_request_clear(ikati_request *request);

// Parses and checks the settings of a call. Lists are the request's own, after a failure too.
ikat_status ikati_settings_resolve(ikati_request *request, const ikat_setting *settings,
                                   uint32_t num_settings);

// Prepares a call of a mechanism that need not be in the registry: how tests reach kernels that
// mechanisms use in few of their forms.
ikat_status ikati_plan_create_for(ikat_device *device, const ikati_mechanism *mechanism,
                                  const ikat_plan_params *params, ikat_plan **out_plan);

#endif
