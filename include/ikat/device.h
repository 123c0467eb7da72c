// Devices: what there is, what it can do, opening one, waiting for it.

#ifndef IKAT_DEVICE_H
#define IKAT_DEVICE_H

#include <ikat/context.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ikat_device_type {
    IKAT_DEVICE_OTHER = 0,
    IKAT_DEVICE_DISCRETE,
    IKAT_DEVICE_INTEGRATED,
    IKAT_DEVICE_VIRTUAL,
    IKAT_DEVICE_CPU,
} ikat_device_type;

// What kernels may use. Read from the device, compared by `>=`, never by vendor. Opening a device
// with lower limits makes it behave as a smaller one.
typedef struct ikat_device_limits {
    uint64_t max_buffer_bytes;        // largest buffer
    uint64_t max_storage_range_bytes; // largest range of one storage-buffer binding
    uint64_t max_texel_elements;      // largest uniform texel buffer, in texels; 0: none
    uint32_t storage_alignment_bytes; // of a binding's offset
    uint32_t texel_alignment_bytes;
    uint32_t shared_memory_bytes; // of a workgroup
    uint32_t max_group_size;      // invocations of a workgroup
    uint32_t max_groups;          // workgroups of a dispatch along x
    uint32_t max_storage_buffers; // of one kernel
    uint32_t subgroup_size;       // 0: no subgroup operations (basic, arithmetic, shuffle)
    uint32_t vector_width;        // float32 lanes of one invocation's own vectors; 1 on GPUs
    uint32_t float16_arithmetic;  // 0 or 1
    uint32_t storage_16bit;       // 0 or 1
    uint32_t storage_8bit;        // 0 or 1
    uint32_t timestamps;          // 0 or 1: device time can be measured
    // 0 or 1: plans may compile kernels from text that is made for them (expressions of `custom`). Without,
    // kernels interpret it
    uint32_t runtime_compiler;
} ikat_device_limits;

// id          "vulkan:0": what ikat_device_open takes
// missing     what would help and is not there, in words; empty if nothing
// num_compute_units   0: unknown
typedef struct ikat_device_info {
    char id[32];
    char backend[16];
    char name[256];
    char driver[256];
    char api[64];
    char missing[256];
    ikat_device_type type;
    uint32_t vendor_id;
    uint32_t device_id;
    uint32_t num_compute_units;
    uint64_t memory_bytes;
    ikat_device_limits limits;
} ikat_device_info;

// Counts the devices of one backend ("vulkan", "opencl", "cpu", "null"), or of all backends but
// `null` (NULL). Loads the drivers the first time. A machine without a backend's loader has no
// devices of it.
//
// IKAT_INVALID if this build has no backend of that name.
IKAT_API ikat_status ikat_device_count(ikat_context *context, const char *backend,
                                       uint32_t *out_count);

// Describes device `index` of those that ikat_device_count counts for the same `backend`.
//
// IKAT_NO_DEVICE if there is none of that index.
IKAT_API ikat_status ikat_device_describe(ikat_context *context, const char *backend,
                                          uint32_t index, ikat_device_info *out_info);

// Lowers limits by text: "minimal" (16 KB shared memory, 128 invocations, no subgroups, no 16-bit
// features, a 128 MiB storage range, 8 storage buffers, no texel buffers, no compiler), or fields
// "shared=16384,group=128,subgroup=0,vector=1,fp16=0,storage16=0,storage8=0,compiler=0,
// range=134217728,buffer=..,texel=0,groups=..,buffers=8", or both, separated by commas. Never
// raises one.
//
// IKAT_INVALID for an unknown field or a value that is no number.
IKAT_API ikat_status ikat_device_limits_lower(ikat_device_limits *limits, const char *text);

// An open device: one in-order queue, a cache of compiled programs.
//
// Thread-safety: may be shared by threads. Destroyed after its buffers, plans and bindings, from
// one thread.
typedef struct ikat_device ikat_device;

// name    "vulkan:0" by index, "opencl:TEXT" the first of that backend whose name contains TEXT
//         (any case), "cpu"; only that backend is loaded. NULL: the best GPU, else a device of type
//         CPU with a compiler, else `cpu`
// limits  NULL: the device's own; else each field lowers the device's
typedef struct ikat_device_params {
    const char *name;
    const ikat_device_limits *limits;
} ikat_device_params;

// Opens a device.
//
// params      NULL: the best device
// out_device  NULL on failure
//
// IKAT_NO_DEVICE if nothing matches, IKAT_NO_MEMORY.
IKAT_API ikat_status ikat_device_open(ikat_context *context, const ikat_device_params *params,
                                      ikat_device **out_device);

// Waits until the device is idle, closes it and leaves NULL.
IKAT_API void ikat_device_destroy(ikat_device **device);

// Returns what the device is, with its limits as lowered. Lives as long as the device.
IKAT_API const ikat_device_info *ikat_device_get_info(const ikat_device *device);

// Counters since the device was opened. `programs_compiled` counts pipelines or programs built by
// the driver, whether or not its own cache helped; `dispatches` counts kernel launches.
typedef struct ikat_device_statistics {
    uint64_t programs_compiled;
    uint64_t compile_time_ns;
    uint64_t dispatches;
    uint64_t buffer_bytes; // now allocated
} ikat_device_statistics;

IKAT_API void ikat_device_get_statistics(ikat_device *device,
                                         ikat_device_statistics *out_statistics);

// Names one submission to a device's queue. Tickets of one device complete in order.
typedef uint64_t ikat_ticket;

// Waits until a submission is complete, at most `timeout_ns` (0: only asks; UINT64_MAX: without
// limit).
//
// out_complete  false if the time ran out first. May be NULL
//
// IKAT_DEVICE_LOST if the device is gone; IKAT_INVALID for a ticket that it never gave out.
IKAT_API ikat_status ikat_device_wait(ikat_device *device, ikat_ticket ticket, uint64_t timeout_ns,
                                      bool *out_complete);

// Tells how long the device worked on a complete submission, in nanoseconds, by its own clock where
// it has one, else by the host's. Kept for the most recent 64 submissions.
//
// IKAT_INVALID if the submission is not complete or no longer known.
IKAT_API ikat_status ikat_device_time(ikat_device *device, ikat_ticket ticket,
                                      uint64_t *out_time_ns);

#ifdef __cplusplus
}
#endif

#endif
