// OpenCL hosts: adopt the host's own context and queue, wrap its buffers, enqueue plans among its
// own commands.
//
// A program that has a cl_context keeps it. It adopts the context, wraps the cl_mem objects that
// hold its tensors, makes plans and bindings as usual, and enqueues a plan's slices on whichever of
// its queues it likes, with events in and out.
//
//   clCreateContext, clCreateCommandQueue (the host's) -> ikat_opencl_adopt
//     -> ikat_opencl_wrap_buffer -> ikat_plan_create -> ikat_bindings_create
//     -> ikat_opencl_enqueue, every time
//
// OpenCL 1.2 is enough, and nothing has to be enabled. The library is not linked to an OpenCL
// loader. This header needs none of OpenCL's own, and goes together with any version of them.

#ifndef IKAT_OPENCL_H
#define IKAT_OPENCL_H

#include <ikat/plan.h>

#ifdef __cplusplus
extern "C" {
#endif

// As in CL/cl.h.
typedef struct _cl_device_id *cl_device_id;
typedef struct _cl_context *cl_context;
typedef struct _cl_command_queue *cl_command_queue;
typedef struct _cl_mem *cl_mem;
typedef struct _cl_event *cl_event;

// Any OpenCL function, to be cast to its own type.
typedef void (*ikat_opencl_function)(void);

// The host's objects. A zeroed structure with context and device set adopts them with a queue of
// the library's own.
//
// device        one of the context's devices, no sub-device that the host destroys before
// queue         an in-order queue of both, for ikat_plan_run, ikat_plan_submit, ikat_buffer_read
//               and _write; with CL_QUEUE_PROFILING_ENABLE ikat_device_time measures the device's
//               time. NULL: the library makes its own, which is not ordered with the host's: order
//               them with clFinish or ikat_device_wait. (ikat_opencl_enqueue takes any queue)
// get_function  returns an OpenCL function by name ("clCreateBuffer"), NULL if there is none;
//               called during ikat_opencl_adopt only. NULL: they are looked up in the system's
//               loader (libOpenCL), so the objects must be the loader's
// limits        NULL: the device's own; else each field lowers the device's
typedef struct ikat_opencl_adopt_params {
    cl_context context;
    cl_device_id device;
    cl_command_queue queue;
    ikat_opencl_function (*get_function)(void *user, const char *name);
    void *get_function_user;
    const ikat_device_limits *limits;
} ikat_opencl_adopt_params;

// Makes a device around the host's objects. It retains them, so that the host may release its own
// references at any time. ikat_device_destroy waits for what the library itself submitted, and lets
// go.
//
// out_device  NULL on failure; destroy it before `context`
//
// IKAT_INVALID      a handle is missing, the device or the queue is not of the context, the queue
//                   is out of order
// IKAT_UNSUPPORTED  the device is older than OpenCL 1.2 or has no compiler
// IKAT_NO_DEVICE    get_function is NULL and there is no loader, or a function is missing
IKAT_API ikat_status ikat_opencl_adopt(ikat_context *context,
                                       const ikat_opencl_adopt_params *params,
                                       ikat_device **out_device);

// Makes a buffer around a host's memory object, a buffer or sub-buffer of the adopted context.
// Retains it. Inputs may be CL_MEM_READ_ONLY. While the library reads or writes it, it must not be
// mapped.
//
// size_bytes  0: all of it; else how much of its start the library may use
// out_buffer  NULL on failure; destroy it before its device
//
// IKAT_INVALID for a NULL, something that is no buffer, a size larger than it, or a device that is
// not of this backend.
IKAT_API ikat_status ikat_opencl_wrap_buffer(ikat_device *device, cl_mem buffer,
                                             uint64_t size_bytes, ikat_buffer **out_buffer);

// Enqueues one slice of a plan, and returns without waiting. Compiles nothing and allocates no
// memory beyond what OpenCL does for its commands. Slices go in order 0, 1, ..., each after the one
// before; all of them once make one run.
//
// On an in-order queue the order of the calls is enough. On an out-of-order queue the launches of a
// slice follow one another, and the host passes each slice's event to the next slice's wait list.
// It flushes nothing: that is the host's, as with its own commands.
//
// bindings         not run by another call until the commands have executed; OpenCL keeps what they
//                  use alive
// queue            of the adopted context and device
// num_wait_events  events at wait_events that the slice waits for; 0 with NULL: none
// out_event        completes with the slice, the caller's to release. NULL: not wanted. NULL is
//                  written on failure; launches enqueued before the failing one may still run
//
// IKAT_INVALID past the last slice, if plan or bindings are of another backend, or the queue or an
// event of another context; IKAT_NO_MEMORY; IKAT_DEVICE_LOST.
//
// Thread-safety: may be called from any thread, with different bindings.
IKAT_API ikat_status ikat_opencl_enqueue(const ikat_plan *plan, uint32_t slice,
                                         ikat_bindings *bindings, cl_command_queue queue,
                                         uint32_t num_wait_events, const cl_event *wait_events,
                                         cl_event *out_event);

#ifdef __cplusplus
}
#endif

#endif
