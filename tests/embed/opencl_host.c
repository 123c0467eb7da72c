// A program with an OpenCL context, queues and buffers of its own, on every OpenCL device of the
// machine, which borrows dense attention from the library: adopts its device, wraps its buffers,
// enqueues a plan among its own commands.

#include <string.h>

#include "support/opencl_program.h"

// Enqueues all slices, each after the one before, the first after `event`, which it consumes.
static cl_event enqueue_all(const guest *g, cl_command_queue queue, cl_event event) {
    for (uint32_t slice = 0; slice < g->num_slices; slice++) {
        cl_event next;
        assert_int_equal(IKAT_OK,
                         ikat_opencl_enqueue(g->plan, slice, g->bindings, queue, 1, &event, &next));
        assert_non_null(next);
        clReleaseEvent(event);
        event = next;
    }
    return event;
}

static void enqueues_on_the_adopted_queue(void **state) {
    program *self = *state;
    const ikat_opencl_adopt_params params = program_params(self);
    guest g;
    program_invite(self, &params, &g);
    cl_event written;
    program_write_inputs(self, self->queue, &written);
    program_check(self, self->queue, enqueue_all(&g, self->queue, written));

    ikat_device_statistics statistics;
    ikat_device_get_statistics(g.device, &statistics);
    assert_true(statistics.dispatches >= g.num_slices);
    guest_leave(&g);
}

static void enqueues_on_an_out_of_order_queue(void **state) {
    program *self = *state;
    cl_int error;
    cl_command_queue queue = clCreateCommandQueue(self->context, self->device,
                                                  CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &error);
    if (error == CL_INVALID_QUEUE_PROPERTIES) skip();
    assert_int_equal(error, CL_SUCCESS);
    const ikat_opencl_adopt_params params = program_params(self);
    guest g;
    program_invite(self, &params, &g);
    cl_event written;
    program_write_inputs(self, queue, &written);
    program_check(self, queue, enqueue_all(&g, queue, written));
    guest_leave(&g);
    clReleaseCommandQueue(queue);
}

// Between two commands of the host on an in-order queue no event is needed.
static void enqueues_without_events(void **state) {
    program *self = *state;
    const ikat_opencl_adopt_params params = program_params(self);
    guest g;
    program_invite(self, &params, &g);
    program_write_inputs(self, self->queue, NULL);
    for (uint32_t slice = 0; slice < g.num_slices; slice++) {
        assert_int_equal(
            IKAT_OK, ikat_opencl_enqueue(g.plan, slice, g.bindings, self->queue, 0, NULL, NULL));
    }
    program_check(self, self->queue, NULL);
    guest_leave(&g);
}

// Nothing waits inside the call: the host signals the event only after it.
static void waits_for_events_of_the_host(void **state) {
    program *self = *state;
    cl_int error;
    cl_event gate = clCreateUserEvent(self->context, &error);
    assert_int_equal(error, CL_SUCCESS);
    const ikat_opencl_adopt_params params = program_params(self);
    guest g;
    program_invite(self, &params, &g);
    program_write_inputs(self, self->queue, NULL);
    clRetainEvent(gate);
    cl_event done = enqueue_all(&g, self->queue, gate);
    cl_int status = CL_COMPLETE;
    clFlush(self->queue);
    assert_int_equal(CL_SUCCESS, clGetEventInfo(done, CL_EVENT_COMMAND_EXECUTION_STATUS,
                                                sizeof(status), &status, NULL));
    assert_true(status > CL_COMPLETE);
    assert_int_equal(CL_SUCCESS, clSetUserEventStatus(gate, CL_COMPLETE));
    program_check(self, self->queue, done);
    clReleaseEvent(gate);
    guest_leave(&g);
}

static void runs_on_the_adopted_queue(void **state) {
    program *self = *state;
    const ikat_opencl_adopt_params params = program_params(self);
    guest g;
    program_invite(self, &params, &g);
    program_write_inputs(self, self->queue, NULL);
    ikat_ticket ticket;
    uint64_t time_ns = 0;
    bool complete = false;
    assert_int_equal(IKAT_OK, ikat_plan_submit(g.plan, g.bindings, 0, 0, &ticket));
    assert_int_equal(IKAT_OK, ikat_device_wait(g.device, ticket, UINT64_C(60000000000), &complete));
    assert_true(complete);
    assert_int_equal(IKAT_OK, ikat_device_time(g.device, ticket, &time_ns));
    assert_true(time_ns > 0);
    program_check(self, self->queue, NULL);
    guest_leave(&g);
}

static void runs_on_a_queue_of_its_own(void **state) {
    program *self = *state;
    ikat_opencl_adopt_params params = program_params(self);
    params.queue = NULL;
    guest g;
    program_invite(self, &params, &g);
    program_write_inputs(self, self->queue, NULL);
    clFinish(self->queue);
    guest_run_and_check(&g);
    guest_leave(&g);
}

// The library holds what it was given.
static void outlives_the_references_of_the_host(void **state) {
    program *self = *state;
    const ikat_opencl_adopt_params params = program_params(self);
    guest g;
    program_invite(self, &params, &g);
    program_write_inputs(self, self->queue, NULL);
    clFinish(self->queue);
    program_release(self);
    guest_run_and_check(&g);
    guest_leave(&g);
}

static void lowers_limits(void **state) {
    program *self = *state;
    ikat_opencl_adopt_params params = program_params(self);
    ikat_device_limits limits;
    memset(&limits, 0xff, sizeof(limits));
    assert_int_equal(IKAT_OK, ikat_device_limits_lower(&limits, "minimal"));
    params.limits = &limits;
    ikat_device *device;
    assert_int_equal(IKAT_OK, ikat_opencl_adopt(self->ikat, &params, &device));
    const ikat_device_limits *lowered = &ikat_device_get_info(device)->limits;
    assert_true(lowered->shared_memory_bytes <= 16384);
    assert_true(lowered->max_group_size <= 128);
    ikat_device_destroy(&device);
}

static void refuses_what_is_wrong(void **state) {
    program *self = *state;
    const ikat_opencl_adopt_params params = program_params(self);
    guest g;
    program_invite(self, &params, &g);
    cl_int error;
    cl_context other = clCreateContext(NULL, 1, &self->device, NULL, NULL, &error);
    cl_command_queue other_queue = clCreateCommandQueue(other, self->device, 0, &error);
    cl_mem other_buffer = clCreateBuffer(other, CL_MEM_READ_WRITE, 64, NULL, &error);
    ikat_device *device;
    ikat_buffer *buffer;
    ikat_opencl_adopt_params wrong = params;
    wrong.context = NULL;
    assert_int_equal(IKAT_INVALID, ikat_opencl_adopt(self->ikat, &wrong, &device));
    wrong = params;
    wrong.queue = other_queue;
    assert_int_equal(IKAT_INVALID, ikat_opencl_adopt(self->ikat, &wrong, &device));
    assert_int_equal(IKAT_INVALID, ikat_opencl_adopt(self->ikat, NULL, &device));

    assert_int_equal(IKAT_INVALID, ikat_opencl_wrap_buffer(g.device, NULL, 0, &buffer));
    assert_int_equal(IKAT_INVALID, ikat_opencl_wrap_buffer(g.device, other_buffer, 0, &buffer));
    assert_int_equal(IKAT_INVALID,
                     ikat_opencl_wrap_buffer(g.device, self->memories[V], K_BYTES + 1, &buffer));
    assert_int_equal(IKAT_INVALID, ikat_opencl_wrap_buffer(NULL, self->memories[V], 0, &buffer));
    assert_null(buffer);

    cl_event event = (cl_event)self;
    assert_int_equal(IKAT_INVALID, ikat_opencl_enqueue(g.plan, g.num_slices, g.bindings,
                                                       self->queue, 0, NULL, &event));
    assert_null(event);
    assert_int_equal(IKAT_INVALID,
                     ikat_opencl_enqueue(g.plan, 0, g.bindings, other_queue, 0, NULL, &event));
    assert_int_equal(IKAT_INVALID,
                     ikat_opencl_enqueue(g.plan, 0, g.bindings, NULL, 0, NULL, &event));
    assert_int_equal(IKAT_INVALID,
                     ikat_opencl_enqueue(g.plan, 0, NULL, self->queue, 0, NULL, &event));
    assert_int_equal(IKAT_INVALID,
                     ikat_opencl_enqueue(g.plan, 0, g.bindings, self->queue, 1, NULL, &event));
    clReleaseMemObject(other_buffer);
    clReleaseCommandQueue(other_queue);
    clReleaseContext(other);
    // None of it has hurt the device.
    assert_int_equal(IKAT_OK, ikat_plan_run(g.plan, g.bindings));
    guest_leave(&g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, program_create, program_destroy)
        TEST(enqueues_on_the_adopted_queue),
        TEST(enqueues_on_an_out_of_order_queue),
        TEST(enqueues_without_events),
        TEST(waits_for_events_of_the_host),
        TEST(runs_on_the_adopted_queue),
        TEST(runs_on_a_queue_of_its_own),
        TEST(outlives_the_references_of_the_host),
        TEST(lowers_limits),
        TEST(refuses_what_is_wrong),
#undef TEST
    };
    return program_run_tests(tests, sizeof(tests) / sizeof(tests[0]));
}
