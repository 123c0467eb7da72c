// The program of opencl_host.c with OpenCL functions of its own: one that is not there, launches
// that fail, a lost device.

#include <string.h>

#include "support/opencl_program.h"

// A host that loads OpenCL itself, or stands between it and the library, as this one does: the
// driver can be made to fail.
typedef struct function_source {
    const char *missing; // the name of a function that is not there
    int num_calls;
} function_source;

static cl_int launch_error; // what the next launches give

static cl_int CL_API_CALL launch_or_fail(cl_command_queue queue, cl_kernel kernel, cl_uint rank,
                                         const size_t *offset, const size_t *global_size,
                                         const size_t *local_size, cl_uint num_events,
                                         const cl_event *events, cl_event *out_event) {
    return launch_error ? launch_error
                        : clEnqueueNDRangeKernel(queue, kernel, rank, offset, global_size,
                                                 local_size, num_events, events, out_event);
}

static ikat_opencl_function find_function(void *user, const char *name) {
#define FUNCTION(name) {#name, (ikat_opencl_function)name},
    static const struct {
        const char *name;
        ikat_opencl_function function;
    } functions[] = {
        {"clEnqueueNDRangeKernel", (ikat_opencl_function)launch_or_fail},
        // clang-format off
        FUNCTION(clBuildProgram) FUNCTION(clCreateBuffer) FUNCTION(clCreateCommandQueue)
        FUNCTION(clCreateContext) FUNCTION(clCreateKernel) FUNCTION(clCreateProgramWithBinary)
        FUNCTION(clCreateProgramWithSource) FUNCTION(clCreateSubBuffer)
        FUNCTION(clEnqueueMarkerWithWaitList) FUNCTION(clEnqueueReadBuffer)
        FUNCTION(clEnqueueWriteBuffer) FUNCTION(clFinish) FUNCTION(clFlush)
        FUNCTION(clGetCommandQueueInfo) FUNCTION(clGetContextInfo) FUNCTION(clGetDeviceIDs)
        FUNCTION(clGetDeviceInfo) FUNCTION(clGetEventInfo) FUNCTION(clGetEventProfilingInfo)
        FUNCTION(clGetKernelInfo) FUNCTION(clGetKernelWorkGroupInfo) FUNCTION(clGetMemObjectInfo)
        FUNCTION(clGetPlatformIDs) FUNCTION(clGetPlatformInfo) FUNCTION(clGetProgramBuildInfo)
        FUNCTION(clGetProgramInfo) FUNCTION(clReleaseCommandQueue) FUNCTION(clReleaseContext)
        FUNCTION(clReleaseEvent) FUNCTION(clReleaseKernel) FUNCTION(clReleaseMemObject)
        FUNCTION(clReleaseProgram) FUNCTION(clRetainCommandQueue) FUNCTION(clRetainContext)
        FUNCTION(clRetainEvent) FUNCTION(clRetainMemObject) FUNCTION(clSetKernelArg)
        FUNCTION(clWaitForEvents)
        // clang-format on
    };
#undef FUNCTION
    function_source *source = user;
    source->num_calls++;
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        const bool missing = source->missing && strcmp(source->missing, name) == 0;
        if (!missing && strcmp(functions[i].name, name) == 0) return functions[i].function;
    }
    return NULL;
}

static void takes_functions_of_the_host(void **state) {
    program *self = *state;
    function_source source = {0};
    ikat_opencl_adopt_params params = program_params(self);
    params.get_function = find_function;
    params.get_function_user = &source;
    guest g;
    program_invite(self, &params, &g);
    program_write_inputs(self, self->queue, NULL);
    guest_run_and_check(&g);
    assert_true(source.num_calls > 0);

    ikat_device *device;
    source.missing = "clCreateSubBuffer";
    assert_int_equal(IKAT_NO_DEVICE, ikat_opencl_adopt(self->ikat, &params, &device));
    assert_null(device);
    assert_non_null(strstr(self->messages.last_text, source.missing));
    guest_leave(&g);
}

static void survives_failing_launches(void **state) {
    program *self = *state;
    function_source source = {0};
    ikat_opencl_adopt_params params = program_params(self);
    params.get_function = find_function;
    params.get_function_user = &source;
    guest g;
    program_invite(self, &params, &g);
    program_write_inputs(self, self->queue, NULL);
    cl_event event = NULL;
    launch_error = CL_MEM_OBJECT_ALLOCATION_FAILURE;
    assert_int_equal(IKAT_NO_MEMORY, ikat_plan_run(g.plan, g.bindings));
    assert_int_equal(IKAT_NO_MEMORY,
                     ikat_opencl_enqueue(g.plan, 0, g.bindings, self->queue, 0, NULL, &event));
    assert_null(event);
    launch_error = CL_SUCCESS;
    assert_int_equal(IKAT_OK, ikat_plan_run(g.plan, g.bindings));

    // A lost device stays lost, whatever the driver says later, and can be destroyed.
    launch_error = CL_DEVICE_NOT_AVAILABLE;
    assert_int_equal(IKAT_DEVICE_LOST, ikat_plan_run(g.plan, g.bindings));
    launch_error = CL_SUCCESS;
    guest_expect_lost(&g);
    assert_int_equal(IKAT_DEVICE_LOST,
                     ikat_opencl_enqueue(g.plan, 0, g.bindings, self->queue, 0, NULL, &event));
    guest_leave(&g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, program_create, program_destroy)
        TEST(takes_functions_of_the_host),
        TEST(survives_failing_launches),
#undef TEST
    };
    return program_run_tests(tests, sizeof(tests) / sizeof(tests[0]));
}
