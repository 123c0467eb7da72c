// What the files of the OpenCL backend share.
//
//   device.c    the loader, the list of devices, opening one, errors
//   buffer.c    memory
//   program.c   source text -> program, through the cache on disk
//   sequence.c  kernels with their arguments set, and enqueuing them
//   queue.c     tickets: submit, wait, time
//   adopt.c     include/ikat/opencl.h

#ifndef IKATI_OCL_H
#define IKATI_OCL_H

#include "../backend.h"
#include "../../src/platform.h"

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 120
#endif
#ifdef __APPLE__
#include <OpenCL/opencl.h>
#else
#include <CL/cl.h>
#endif

extern const ikati_backend ikati_backend_opencl;

// OpenCL's functions, looked up at run time: `cl->Finish(queue)` is clFinish. The library links no
// loader.
typedef struct ocl_functions {
#define OCL_FUNCTION(result, name, arguments) result(CL_API_CALL *name) arguments;
#include "functions.inc"
#undef OCL_FUNCTION
} ocl_functions;

typedef struct ocl_device {
    cl_platform_id platform;
    cl_device_id id;
    ikat_device_info info;
} ocl_device;

typedef struct ocl_driver {
    const ikati_host *host;
    ocl_functions cl;
    ocl_device *devices;
    uint32_t num_devices;
} ocl_driver;

enum { OCL_NUM_TICKETS = 64 };

// One submission: its first and last command. Host times serve where the queue has no profiling;
// done_ns is when somebody saw it complete.
typedef struct ocl_submission {
    cl_event first, last; // NULL: slot unused
    uint64_t submitted_ns, done_ns;
} ocl_submission;

// An open device. `mutex` guards everything after it.
typedef struct ocl_port {
    const ikati_host *host;
    ocl_functions cl;
    cl_context context;
    cl_device_id device;
    cl_command_queue queue; // in order
    bool queue_adopted;     // the host may enqueue there too, and wait for what only it can signal
    bool profiling;
    ikat_device_limits limits;
    ikat_device_type type;
    char *identity; // device and driver in full, for cache keys
    cl_mem dummy;   // stands in for bindings that a kernel does not touch

    ikati_mutex mutex;
    bool lost;
    ikat_ticket last_ticket;
    ikat_ticket last_complete;                   // known to be, and all before it
    ocl_submission submissions[OCL_NUM_TICKETS]; // of ticket t: [t % OCL_NUM_TICKETS]
    ikat_device_statistics statistics;
} ocl_port;

// `handle` is what transfers and whole bindings use. Sub-buffers cannot be made of sub-buffers, so
// where a host wrapped one, ranges are cut from its `parent` at parent_offset_bytes; else parent is
// handle.
typedef struct ocl_memory {
    cl_mem handle;
    cl_mem parent;
    uint64_t parent_offset_bytes;
    uint64_t size_bytes;
    bool wrapped; // not counted in the statistics
} ocl_memory;

typedef struct ocl_program {
    cl_program handle;
    const ikati_kernel *kernel;
    uint32_t group_size;
    char *name;
} ocl_program;

// A kernel object of its own for each dispatch: setting arguments of a shared one is not
// thread-safe. The arguments do not keep sub-buffers alive, so they are held here.
typedef struct ocl_call {
    cl_kernel kernel;
    const ocl_program *program;
    cl_mem sub_buffers[IKATI_MAX_BINDINGS]; // NULL where the whole buffer is bound
} ocl_call;

typedef struct ocl_sequence {
    ocl_port *port;
    ocl_call *calls;
    uint32_t num_calls;
    ikati_launch *launches;
    uint32_t num_launches;
    ikat_ticket last_ticket; // 0: never submitted
} ocl_sequence;

// Where launches are enqueued; events in and out as in OpenCL itself.
//
// out_first, out_last  events of the first and last command, the caller's to release; NULL: not
//                      wanted. Zeroed by the caller; one may be there although enqueuing failed
//                      later
typedef struct ocl_enqueue {
    cl_command_queue queue;
    bool in_order;
    cl_uint num_wait_events;
    const cl_event *wait_events;
    cl_event *out_first;
    cl_event *out_last;
} ocl_enqueue;

// device.c

typedef ikati_function (*ocl_find_fn)(void *user, const char *name);
// Looks up all functions, with `find` or (NULL) in the system's loader. Returns the name of what is
// missing, else NULL.
const char *ocl_functions_find(ocl_functions *cl, ocl_find_fn find, void *user);
// Describes a device. False if kernels cannot be compiled for it and run, or it is older than
// OpenCL 1.2.
bool ocl_device_describe(const ocl_functions *cl, cl_device_id device, ikat_device_info *out_info);
// Makes a port in a context, on a queue, or on one of its own (NULL). Retains both.
ikat_status ocl_port_create(const ikati_host *host, const ocl_functions *cl, cl_context context,
                            cl_device_id device, cl_command_queue queue,
                            const ikat_device_limits *limits, ocl_port **out_port);
void ocl_port_close(ikati_port *port);

// IKAT_DEVICE_LOST if the device was lost before, IKAT_OK else.
ikat_status ocl_port_alive(ocl_port *port);
const char *ocl_error_name(cl_int error);
// Logs an OpenCL error once and gives its status. `subject` is a name for people. Latches the loss
// of the device.
ikat_status ocl_fail(ocl_port *port, cl_int error, const char *function, const char *subject);
// From now on every call gives IKAT_DEVICE_LOST.
void ocl_port_lose(ocl_port *port);

// buffer.c
ikat_status ocl_memory_create(ikati_port *port, uint64_t size_bytes, ikati_memory **out_memory);
ikat_status ocl_memory_wrap(ocl_port *port, cl_mem handle, uint64_t size_bytes,
                            ikati_memory **out_memory);
void ocl_memory_destroy(ikati_port *port, ikati_memory *memory);
ikat_status ocl_memory_write(ikati_port *port, ikati_memory *memory, uint64_t offset_bytes,
                             const void *data, uint64_t size_bytes);
ikat_status ocl_memory_read(ikati_port *port, ikati_memory *memory, uint64_t offset_bytes,
                            void *data, uint64_t size_bytes);

// program.c
ikat_status ocl_program_create(ikati_port *port, const ikati_program_params *params,
                               ikati_program **out_program);
void ocl_program_destroy(ikati_port *port, ikati_program *program);

// sequence.c
ikat_status ocl_sequence_create(ikati_port *port, const ikati_sequence_params *params,
                                ikati_sequence **out_sequence);
void ocl_sequence_destroy(ikati_port *port, ikati_sequence *sequence);
// Enqueues launches [first, first + num). Nothing is allocated or waited for; the caller keeps two
// threads out of the same sequence. Returns what OpenCL returned; out_subject names the kernel that
// failed.
cl_int ocl_sequence_enqueue(const ocl_sequence *sequence, uint32_t first, uint32_t num,
                            const ocl_enqueue *enqueue, const char **out_subject);

// queue.c
ikat_status ocl_submit(ikati_port *port, ikati_sequence *sequence, uint32_t first, uint32_t num,
                       ikat_ticket *out_ticket);
ikat_status ocl_wait(ikati_port *port, ikat_ticket ticket, uint64_t timeout_ns, bool *out_complete);
ikat_status ocl_time(ikati_port *port, ikat_ticket ticket, uint64_t *out_time_ns);
void ocl_statistics(ikati_port *port, ikat_device_statistics *out_statistics);
// Adds to the counters; what wraps around subtracts.
void ocl_count(ocl_port *port, ikat_device_statistics added);
// Lets go of every event.
void ocl_submissions_release(ocl_port *port);

#endif
