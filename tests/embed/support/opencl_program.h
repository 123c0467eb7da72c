// A program with an OpenCL context, a queue and buffers of its own.
//
// Every function fails the test if something does not succeed.

#ifndef TESTS_EMBED_OPENCL_PROGRAM_H
#define TESTS_EMBED_OPENCL_PROGRAM_H

#define CL_TARGET_OPENCL_VERSION 120
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#ifdef __APPLE__
#include <OpenCL/opencl.h>
#else
#include <CL/cl.h>
#endif

#include <ikat/opencl.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "guest.h"
#include "recorder.h"

// What a program has before it knows of the library, and the library's context.
//
// memories  by tensor; keys are a sub-buffer of the queries' buffer
typedef struct program {
    cl_device_id device;
    cl_context context;
    cl_command_queue queue;
    cl_mem memories[NUM_TENSORS];
    float *inputs[OUT]; // by tensor
    ikat_context *ikat;
    recorder messages;
} program;

// Set-up and tear-down of one test, on the device whose turn it is.
int program_create(void **state);
int program_destroy(void **state);

// Gives up the program's references to all that is OpenCL's.
void program_release(program *self);

// Runs tests on every OpenCL device of the machine that has a compiler, one group each; returns how
// many failed.
int program_run_tests(const struct CMUnitTest *tests, size_t num_tests);

// What a program says of itself; the library submits to its queue.
ikat_opencl_adopt_params program_params(const program *self);

// Adopts the program's device and prepares attention over its buffers.
void program_invite(const program *self, const ikat_opencl_adopt_params *params, guest *out_guest);

// Writes the inputs from a queue, without waiting for the last write.
//
// out_event  completes with that; may be NULL
void program_write_inputs(const program *self, cl_command_queue queue, cl_event *out_event);

// Reads `out` after an event, which it releases (NULL: after what the queue has), and checks it.
void program_check(const program *self, cl_command_queue queue, cl_event event);

#endif
