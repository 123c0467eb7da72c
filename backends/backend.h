// The function table of a backend: all that src/ knows of one, and all that a backend knows of src/
// (beside the small services host.h, platform.h, cache_file.h and the kernel registry).
//
// The core validates; backends assert. Every function is thread-safe unless it says otherwise. The
// core creates, and destroys in reverse: driver > device > buffer, program > sequence. Every
// failure is logged where it happens.

#ifndef IKATI_BACKEND_H
#define IKATI_BACKEND_H

#include "../src/host.h"
#include "../src/kernel.h"

#include <ikat/plan.h>

typedef struct ikati_backend ikati_backend;

// Each backend casts these to types of its own.
typedef struct ikati_driver ikati_driver;   // an opened loader and what it enumerated
typedef struct ikati_port ikati_port;       // an open device, backend's side
typedef struct ikati_memory ikati_memory;   // a buffer, backend's side
typedef struct ikati_program ikati_program; // one compiled variant with its specialisation
typedef struct ikati_sequence
    ikati_sequence; // dispatches with everything bound, ready to be recorded

// One program to compile.
//
// text  follows the variant's source where that needs IKATI_NEED_COMPILER; NULL for all others
// name  printable: "attend.f32.lane_d64.window.lse"
typedef struct ikati_program_params {
    const ikati_kernel *kernel;
    const ikati_variant *variant;
    const uint32_t *specialisation; // kernel->num_specialisation values
    const char *text;
    const char *name;
} ikati_program_params;

// What one binding of one dispatch sees. The offset is a multiple of the device's storage (or
// texel) alignment and the range no larger than it allows; what lies between the offset and the
// tensor is in the parameter block already.
//
// memory  NULL: the kernel has the binding but will not touch it; the backend binds something small
//         of its own
// dtype   element type, for the format of texel bindings
typedef struct ikati_range {
    ikati_memory *memory;
    uint64_t offset_bytes;
    uint64_t size_bytes;
    ikat_dtype dtype;
} ikati_range;

typedef struct ikati_dispatch {
    ikati_program *program;
    const char *name; // for debug labels
    ikati_range ranges[IKATI_MAX_BINDINGS];
    uint8_t params[IKATI_MAX_PARAMS_BYTES];
} ikati_dispatch;

// One kernel launch: `num_groups` workgroups (at most the device's max_groups) of a dispatch from
// `first_group` on.
//
// barrier     it reads or overwrites what an earlier launch of the sequence wrote
// ends_slice  a backend whose driver watches the time of submissions hands over what it has, and
//             goes on in another
typedef struct ikati_launch {
    uint32_t dispatch;
    uint32_t first_group;
    uint32_t num_groups;
    bool barrier;
    bool ends_slice;
} ikati_launch;

// All of it is copied.
typedef struct ikati_sequence_params {
    const ikati_dispatch *dispatches;
    uint32_t num_dispatches;
    const ikati_launch *launches;
    uint32_t num_launches;
} ikati_sequence_params;

// One tensor of a call of the reference.
typedef struct ikati_call_tensor {
    const char *name;
    ikat_tensor tensor;   // strides and offset resolved, offset counted from `data`
    ikati_memory *memory; // NULL: structure, or nothing to bind
    uint64_t offset_bytes;
    const void *values; // of structure inputs
    void *data;         // filled by the backend; only read where it is structure
} ikati_call_tensor;

// A setting as resolved: what was given, else the mechanism's plain default. `given` is false where
// neither exists.
typedef struct ikati_call_setting {
    const char *name;
    ikat_setting_type type; // of IKAT_SETTING_NUMBER what was given: IKAT_SETTING_INT or _FLOAT
    bool given;
    bool chosen;     // given by the caller, not by default
    int64_t integer; // of a word its place among the setting's words
    double number;   // integers too
    const char *word;
    const char *text;        // of IKAT_SETTING_STRING
    const int64_t *integers; // the elements of a list
    uint32_t num_integers;
} ikati_call_setting;

// A whole call of a mechanism, for a backend that computes it at once.
//
// rows   of axis N of the outputs, ascending: all that need be computed. None: all
// inner  of a mechanism that contains another: which, and its settings, resolved; NULL: none
typedef struct ikati_call {
    const char *mechanism;
    const ikati_call_tensor *inputs;
    uint32_t num_inputs;
    const ikati_call_tensor *outputs;
    uint32_t num_outputs;
    const ikati_call_setting *settings;
    uint32_t num_settings;
    const int64_t *rows;
    uint32_t num_rows;
    const char *inner;
    const ikati_call_setting *inner_settings;
    uint32_t num_inner_settings;
} ikati_call;

struct ikati_backend {
    const char *name;
    ikati_language language; // which variants it compiles; ignored with run_call
    uint32_t store_bytes;    // smallest store of a kernel that leaves its neighbours alone: 4, or 2

    // Loads the loader and lists devices. IKAT_NO_DEVICE (not logged as an error) if this machine
    // has none.
    ikat_status (*driver_open)(const ikati_host *host, ikati_driver **out_driver);
    void (*driver_close)(ikati_driver *driver);
    uint32_t (*driver_num_devices)(const ikati_driver *driver);
    // Fills all of *out_info, `id` and `backend` apart.
    void (*driver_describe)(const ikati_driver *driver, uint32_t index, ikat_device_info *out_info);

    // Opens a device. `limits` are the device's own or lower; programs must not use more.
    ikat_status (*port_open)(ikati_driver *driver, uint32_t index, const ikat_device_limits *limits,
                             ikati_port **out_port);
    // Waits until idle, then closes. Works on a lost device too.
    void (*port_close)(ikati_port *port);

    ikat_status (*memory_create)(ikati_port *port, uint64_t size_bytes, ikati_memory **out_memory);
    void (*memory_destroy)(ikati_port *port, ikati_memory *memory);
    // Both are ordered after all earlier submissions; both return when `data` is the caller's
    // again.
    ikat_status (*memory_write)(ikati_port *port, ikati_memory *memory, uint64_t offset_bytes,
                                const void *data, uint64_t size_bytes);
    ikat_status (*memory_read)(ikati_port *port, ikati_memory *memory, uint64_t offset_bytes,
                               void *data, uint64_t size_bytes);

    // IKAT_COMPILE if the driver's compiler fails: the core then tries the next variant.
    ikat_status (*program_create)(ikati_port *port, const ikati_program_params *params,
                                  ikati_program **out_program);
    void (*program_destroy)(ikati_port *port, ikati_program *program);

    ikat_status (*sequence_create)(ikati_port *port, const ikati_sequence_params *params,
                                   ikati_sequence **out_sequence);
    // Waits for submissions that use it.
    void (*sequence_destroy)(ikati_port *port, ikati_sequence *sequence);
    // Submits launches [first, first + num) after everything submitted before (their first launch
    // waits for earlier writes).
    ikat_status (*submit)(ikati_port *port, ikati_sequence *sequence, uint32_t first, uint32_t num,
                          ikat_ticket *out_ticket);
    ikat_status (*wait)(ikati_port *port, ikat_ticket ticket, uint64_t timeout_ns,
                        bool *out_complete);
    ikat_status (*time)(ikati_port *port, ikat_ticket ticket, uint64_t *out_time_ns);
    void (*statistics)(ikati_port *port, ikat_device_statistics *out_statistics);

    // Only the CPU reference: computes a call at once. Where it is set, plans have no steps and the
    // program and sequence functions are NULL.
    ikat_status (*run_call)(ikati_port *port, const ikati_call *call, ikat_ticket *out_ticket);
};

// What a backend's public header (vulkan.h, opencl.h) needs of the core, to make handles around a
// host's own objects.

// Makes a device around an open port; closes the port on failure. `info` as from driver_describe,
// with limits as opened.
ikat_status ikati_device_wrap(ikat_context *context, const ikati_backend *backend, ikati_port *port,
                              const ikat_device_info *info, ikat_device **out_device);
// Makes a buffer around memory; destroys the memory on failure.
ikat_status ikati_buffer_wrap(ikat_device *device, ikati_memory *memory, uint64_t size_bytes,
                              ikat_buffer **out_buffer);
const ikati_host *ikati_context_host(const ikat_context *context);
// NULL if the device, plan or bindings are not of this backend.
ikati_port *ikati_device_port(const ikat_device *device, const ikati_backend *backend);
ikati_sequence *ikati_bindings_sequence(const ikat_bindings *bindings,
                                        const ikati_backend *backend);
// The launches of one slice. IKAT_INVALID (logged) past the last one, and for bindings of another plan.
ikat_status ikati_bindings_slice(const ikat_bindings *bindings, const ikat_plan *plan,
                                 uint32_t slice, uint32_t *out_first, uint32_t *out_num);

#endif
