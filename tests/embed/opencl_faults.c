// The program of opencl_host.c with OpenCL functions of its own: one that is not there, launches
// that fail, a lost device.

#include <string.h>

#include "support/opencl_functions.h"
#include "support/opencl_program.h"

static cl_int launch_error; // what the next launches give

static cl_int CL_API_CALL launch_or_fail(cl_command_queue queue, cl_kernel kernel, cl_uint rank,
                                         const size_t *offset, const size_t *global_size,
                                         const size_t *local_size, cl_uint num_events,
                                         const cl_event *events, cl_event *out_event) {
    return launch_error ? launch_error
                        : clEnqueueNDRangeKernel(queue, kernel, rank, offset, global_size,
                                                 local_size, num_events, events, out_event);
}

// A driver that can be made to fail.
static opencl_functions failing_functions(void) {
    return (opencl_functions){
        .replacements = {{"clEnqueueNDRangeKernel", (ikat_opencl_function)launch_or_fail}}};
}

static void takes_functions_of_the_host(void **state) {
    program *self = *state;
    opencl_functions functions = failing_functions();
    ikat_opencl_adopt_params params = program_params(self);
    params.get_function = opencl_functions_find;
    params.get_function_user = &functions;
    guest g;
    program_invite(self, &params, &g);
    program_write_inputs(self, self->queue, NULL);
    guest_run_and_check(&g);
    assert_true(functions.num_calls > 0);

    ikat_device *device;
    functions.missing = "clCreateSubBuffer";
    assert_int_equal(IKAT_NO_DEVICE, ikat_opencl_adopt(self->ikat, &params, &device));
    assert_null(device);
    assert_non_null(strstr(self->messages.last_text, functions.missing));
    guest_leave(&g);
}

static void survives_failing_launches(void **state) {
    program *self = *state;
    opencl_functions functions = failing_functions();
    ikat_opencl_adopt_params params = program_params(self);
    params.get_function = opencl_functions_find;
    params.get_function_user = &functions;
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
