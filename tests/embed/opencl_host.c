// A program with an OpenCL context, queues and buffers of its own, which borrows dense attention
// from the library: adopts its device, wraps its buffers, enqueues a plan among its own commands,
// and checks the result against plain loops. Runs on every OpenCL device of the machine.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define CL_TARGET_OPENCL_VERSION 120
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#ifdef __APPLE__
#include <OpenCL/opencl.h>
#else
#include <CL/cl.h>
#endif

#include <ikat/ikat.h>
#include <ikat/opencl.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { HEADS = 2, QUERIES = 37, KEYS = 53, SIZE = 16, MAX_DEVICES = 16 };
enum { Q = HEADS * QUERIES * SIZE, K = HEADS * KEYS * SIZE, OUT = Q };

// What the host has before it knows of the library.
typedef struct host_objects {
    cl_device_id device;
    cl_context context;
    cl_command_queue queue;
    cl_mem qk; // one buffer: queries from 0, keys from k_offset, a sub-buffer
    cl_mem k, v, out;
    float q_data[Q], k_data[K], v_data[K], out_data[OUT];
    char log[1024]; // the last message
} host_objects;

static cl_device_id tested_device;

static void keep_message(void *user, ikat_log_level level, ikat_message_id id, const char *text) {
    host_objects *self = user;
    (void)level;
    (void)id;
    snprintf(self->log, sizeof(self->log), "%s", text);
}

static void fill(float *data, size_t count, uint32_t seed) {
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        data[i] = (float)(seed >> 8) * (2.0f / 16777216.0f) - 1.0f;
    }
}

static int set_up(void **state) {
    static host_objects self; // too big for some stacks
    memset(&self, 0, sizeof(self));
    cl_int error;
    self.device = tested_device;
    self.context = clCreateContext(NULL, 1, &self.device, NULL, NULL, &error);
    assert_int_equal(error, CL_SUCCESS);
    self.queue = clCreateCommandQueue(self.context, self.device, CL_QUEUE_PROFILING_ENABLE, &error);
    assert_int_equal(error, CL_SUCCESS);

    fill(self.q_data, Q, 1);
    fill(self.k_data, K, 2);
    fill(self.v_data, K, 3);
    const size_t k_offset = 64 * 1024; // aligned enough for any device
    const cl_buffer_region region = {k_offset, sizeof(self.k_data)};
    self.qk = clCreateBuffer(self.context, CL_MEM_READ_ONLY, k_offset + sizeof(self.k_data), NULL,
                             &error);
    assert_int_equal(error, CL_SUCCESS);
    self.k = clCreateSubBuffer(self.qk, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &error);
    assert_int_equal(error, CL_SUCCESS);
    self.v = clCreateBuffer(self.context, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR,
                            sizeof(self.v_data), self.v_data, &error);
    assert_int_equal(error, CL_SUCCESS);
    self.out = clCreateBuffer(self.context, CL_MEM_READ_WRITE, sizeof(self.out_data), NULL, &error);
    assert_int_equal(error, CL_SUCCESS);
    *state = &self;
    return 0;
}

static int tear_down(void **state) {
    host_objects *self = *state;
    // A test that gave its references away has cleared them.
    cl_mem *memories[] = {&self->out, &self->v, &self->k, &self->qk};
    for (size_t i = 0; i < 4; i++) {
        if (*memories[i]) clReleaseMemObject(*memories[i]);
    }
    if (self->queue) clReleaseCommandQueue(self->queue);
    if (self->context) clReleaseContext(self->context);
    return 0;
}

static void write_inputs(host_objects *self, cl_command_queue queue, cl_event *out_event) {
    assert_int_equal(CL_SUCCESS,
                     clEnqueueWriteBuffer(queue, self->qk, CL_TRUE, 0, sizeof(self->q_data),
                                          self->q_data, 0, NULL, NULL));
    assert_int_equal(CL_SUCCESS,
                     clEnqueueWriteBuffer(queue, self->k, CL_FALSE, 0, sizeof(self->k_data),
                                          self->k_data, 0, NULL, out_event));
}

// The definition, in double.
static void expect_row(const host_objects *self, int head, int query, double *row) {
    const float *q = self->q_data + (head * QUERIES + query) * SIZE;
    double weights[KEYS], most = -INFINITY, sum = 0;
    for (int key = 0; key < KEYS; key++) {
        const float *k = self->k_data + (head * KEYS + key) * SIZE;
        weights[key] = 0;
        for (int d = 0; d < SIZE; d++) {
            weights[key] += (double)q[d] * k[d] / sqrt(SIZE);
        }
        most = fmax(most, weights[key]);
    }
    memset(row, 0, SIZE * sizeof(double));
    for (int key = 0; key < KEYS; key++) {
        weights[key] = exp(weights[key] - most);
        sum += weights[key];
        for (int d = 0; d < SIZE; d++) {
            row[d] += weights[key] * self->v_data[(head * KEYS + key) * SIZE + d];
        }
    }
    for (int d = 0; d < SIZE; d++) {
        row[d] /= sum;
    }
}

static void check_result(const host_objects *self) {
    double difference = 0, norm = 0, row[SIZE];
    for (int i = 0; i < HEADS * QUERIES; i++) {
        expect_row(self, i / QUERIES, i % QUERIES, row);
        for (int d = 0; d < SIZE; d++) {
            const double off = self->out_data[i * SIZE + d] - row[d];
            difference += off * off;
            norm += row[d] * row[d];
        }
    }
    assert_true(sqrt(difference / norm) < 2e-6);
}

// What the host makes with the library.
typedef struct guest_objects {
    ikat_context *context;
    ikat_device *device;
    ikat_buffer *q, *k, *v, *out;
    ikat_plan *plan;
    ikat_bindings *bindings;
    uint32_t num_slices;
} guest_objects;

static void adopt(host_objects *self, const ikat_opencl_adopt_params *params, guest_objects *out) {
    memset(out, 0, sizeof(*out));
    const ikat_context_params context_params = {.log = keep_message, .log_user = self};
    assert_int_equal(IKAT_OK, ikat_context_create(&context_params, &out->context));
    assert_int_equal(IKAT_OK, ikat_opencl_adopt(out->context, params, &out->device));
    assert_string_equal(ikat_device_get_info(out->device)->backend, "opencl");
}

static void prepare(host_objects *self, const ikat_opencl_adopt_params *params,
                    guest_objects *out) {
    adopt(self, params, out);
    assert_int_equal(IKAT_OK,
                     ikat_opencl_wrap_buffer(out->device, self->qk, sizeof(self->q_data), &out->q));
    assert_int_equal(IKAT_OK, ikat_opencl_wrap_buffer(out->device, self->k, 0, &out->k));
    assert_int_equal(IKAT_OK, ikat_opencl_wrap_buffer(out->device, self->v, 0, &out->v));
    assert_int_equal(IKAT_OK, ikat_opencl_wrap_buffer(out->device, self->out, 0, &out->out));
    assert_int_equal(ikat_buffer_size_bytes(out->k), sizeof(self->k_data));

    const ikat_argument inputs[] = {
        {"q", ikat_tensor_packed(IKAT_FLOAT32, 4, 1, HEADS, QUERIES, SIZE), NULL},
        {"k", ikat_tensor_packed(IKAT_FLOAT32, 4, 1, HEADS, KEYS, SIZE), NULL},
        {"v", ikat_tensor_packed(IKAT_FLOAT32, 4, 1, HEADS, KEYS, SIZE), NULL},
    };
    const ikat_plan_params plan_params = {
        .mechanism = "dense", .inputs = inputs, .num_inputs = 3, .slice_flops = 1000};
    assert_int_equal(IKAT_OK, ikat_plan_create(out->device, &plan_params, &out->plan));
    const ikat_binding tensors[] = {
        {"q", out->q, 0}, {"k", out->k, 0}, {"v", out->v, 0}, {"out", out->out, 0}};
    const ikat_bindings_params bindings_params = {.tensors = tensors, .num_tensors = 4};
    assert_int_equal(IKAT_OK, ikat_bindings_create(out->plan, &bindings_params, &out->bindings));
    ikat_plan_info info;
    ikat_plan_get_info(out->plan, &info);
    out->num_slices = info.num_slices;
    assert_true(out->num_slices > 1);
}

static void leave(guest_objects *self) {
    ikat_bindings_destroy(&self->bindings);
    ikat_plan_destroy(&self->plan);
    ikat_buffer_destroy(&self->out);
    ikat_buffer_destroy(&self->v);
    ikat_buffer_destroy(&self->k);
    ikat_buffer_destroy(&self->q);
    ikat_device_destroy(&self->device);
    ikat_context_destroy(&self->context);
}

static ikat_opencl_adopt_params params_of(const host_objects *self) {
    return (ikat_opencl_adopt_params){
        .context = self->context, .device = self->device, .queue = self->queue};
}

// Enqueues all slices, each after the one before, the first after `event`, which it consumes.
static cl_event enqueue_all(const guest_objects *self, cl_command_queue queue, cl_event event) {
    for (uint32_t slice = 0; slice < self->num_slices; slice++) {
        cl_event next;
        assert_int_equal(IKAT_OK, ikat_opencl_enqueue(self->plan, slice, self->bindings, queue, 1,
                                                      &event, &next));
        assert_non_null(next);
        clReleaseEvent(event);
        event = next;
    }
    return event;
}

static void read_after(host_objects *self, cl_command_queue queue, cl_event event) {
    assert_int_equal(CL_SUCCESS,
                     clEnqueueReadBuffer(queue, self->out, CL_TRUE, 0, sizeof(self->out_data),
                                         self->out_data, 1, &event, NULL));
    clReleaseEvent(event);
}

static void enqueues_on_the_adopted_queue(void **state) {
    host_objects *self = *state;
    const ikat_opencl_adopt_params params = params_of(self);
    guest_objects guest;
    prepare(self, &params, &guest);
    cl_event written;
    write_inputs(self, self->queue, &written);
    read_after(self, self->queue, enqueue_all(&guest, self->queue, written));
    check_result(self);

    ikat_device_statistics statistics;
    ikat_device_get_statistics(guest.device, &statistics);
    assert_true(statistics.dispatches >= guest.num_slices);
    leave(&guest);
}

static void enqueues_on_an_out_of_order_queue(void **state) {
    host_objects *self = *state;
    cl_int error;
    cl_command_queue queue = clCreateCommandQueue(self->context, self->device,
                                                  CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &error);
    if (error == CL_INVALID_QUEUE_PROPERTIES) skip();
    assert_int_equal(error, CL_SUCCESS);
    const ikat_opencl_adopt_params params = params_of(self);
    guest_objects guest;
    prepare(self, &params, &guest);
    cl_event written;
    write_inputs(self, queue, &written);
    read_after(self, queue, enqueue_all(&guest, queue, written));
    check_result(self);
    leave(&guest);
    clReleaseCommandQueue(queue);
}

// Between two commands of the host on an in-order queue no event is needed.
static void enqueues_without_events(void **state) {
    host_objects *self = *state;
    const ikat_opencl_adopt_params params = params_of(self);
    guest_objects guest;
    prepare(self, &params, &guest);
    write_inputs(self, self->queue, NULL);
    for (uint32_t slice = 0; slice < guest.num_slices; slice++) {
        assert_int_equal(IKAT_OK, ikat_opencl_enqueue(guest.plan, slice, guest.bindings,
                                                      self->queue, 0, NULL, NULL));
    }
    assert_int_equal(CL_SUCCESS,
                     clEnqueueReadBuffer(self->queue, self->out, CL_TRUE, 0, sizeof(self->out_data),
                                         self->out_data, 0, NULL, NULL));
    check_result(self);
    leave(&guest);
}

// Nothing waits inside the call: the host signals the event only after it.
static void waits_for_events_of_the_host(void **state) {
    host_objects *self = *state;
    cl_int error;
    cl_event gate = clCreateUserEvent(self->context, &error);
    assert_int_equal(error, CL_SUCCESS);
    const ikat_opencl_adopt_params params = params_of(self);
    guest_objects guest;
    prepare(self, &params, &guest);
    write_inputs(self, self->queue, NULL);
    clRetainEvent(gate);
    cl_event done = enqueue_all(&guest, self->queue, gate);
    cl_int status = CL_COMPLETE;
    clFlush(self->queue);
    assert_int_equal(CL_SUCCESS, clGetEventInfo(done, CL_EVENT_COMMAND_EXECUTION_STATUS,
                                                sizeof(status), &status, NULL));
    assert_true(status > CL_COMPLETE);
    assert_int_equal(CL_SUCCESS, clSetUserEventStatus(gate, CL_COMPLETE));
    read_after(self, self->queue, done);
    check_result(self);
    clReleaseEvent(gate);
    leave(&guest);
}

static void runs_on_the_adopted_queue(void **state) {
    host_objects *self = *state;
    const ikat_opencl_adopt_params params = params_of(self);
    guest_objects guest;
    prepare(self, &params, &guest);
    write_inputs(self, self->queue, NULL);
    ikat_ticket ticket;
    uint64_t time_ns = 0;
    bool complete = false;
    assert_int_equal(IKAT_OK, ikat_plan_submit(guest.plan, guest.bindings, 0, 0, &ticket));
    assert_int_equal(IKAT_OK,
                     ikat_device_wait(guest.device, ticket, UINT64_C(60000000000), &complete));
    assert_true(complete);
    assert_int_equal(IKAT_OK, ikat_device_time(guest.device, ticket, &time_ns));
    assert_true(time_ns > 0);
    assert_int_equal(IKAT_OK,
                     ikat_buffer_read(guest.out, 0, self->out_data, sizeof(self->out_data)));
    check_result(self);
    leave(&guest);
}

static void runs_on_a_queue_of_its_own(void **state) {
    host_objects *self = *state;
    ikat_opencl_adopt_params params = params_of(self);
    params.queue = NULL;
    guest_objects guest;
    prepare(self, &params, &guest);
    write_inputs(self, self->queue, NULL);
    clFinish(self->queue);
    assert_int_equal(IKAT_OK, ikat_plan_run(guest.plan, guest.bindings));
    assert_int_equal(IKAT_OK,
                     ikat_buffer_read(guest.out, 0, self->out_data, sizeof(self->out_data)));
    check_result(self);
    leave(&guest);
}

// The library holds what it was given.
static void outlives_the_references_of_the_host(void **state) {
    host_objects *self = *state;
    const ikat_opencl_adopt_params params = params_of(self);
    guest_objects guest;
    prepare(self, &params, &guest);
    write_inputs(self, self->queue, NULL);
    clFinish(self->queue);
    tear_down(state);
    self->qk = self->k = self->v = self->out = NULL;
    self->queue = NULL;
    self->context = NULL;
    assert_int_equal(IKAT_OK, ikat_plan_run(guest.plan, guest.bindings));
    assert_int_equal(IKAT_OK,
                     ikat_buffer_read(guest.out, 0, self->out_data, sizeof(self->out_data)));
    check_result(self);
    leave(&guest);
}

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
    host_objects *self = *state;
    function_source source = {0};
    ikat_opencl_adopt_params params = params_of(self);
    params.get_function = find_function;
    params.get_function_user = &source;
    guest_objects guest;
    prepare(self, &params, &guest);
    write_inputs(self, self->queue, NULL);
    assert_int_equal(IKAT_OK, ikat_plan_run(guest.plan, guest.bindings));
    assert_int_equal(IKAT_OK,
                     ikat_buffer_read(guest.out, 0, self->out_data, sizeof(self->out_data)));
    check_result(self);
    assert_true(source.num_calls > 0);

    ikat_device *device;
    source.missing = "clCreateSubBuffer";
    assert_int_equal(IKAT_NO_DEVICE, ikat_opencl_adopt(guest.context, &params, &device));
    assert_null(device);
    assert_non_null(strstr(self->log, source.missing));
    leave(&guest);
}

static void survives_failing_launches(void **state) {
    host_objects *self = *state;
    function_source source = {0};
    ikat_opencl_adopt_params params = params_of(self);
    params.get_function = find_function;
    params.get_function_user = &source;
    guest_objects guest;
    prepare(self, &params, &guest);
    write_inputs(self, self->queue, NULL);
    cl_event event = NULL;
    launch_error = CL_MEM_OBJECT_ALLOCATION_FAILURE;
    assert_int_equal(IKAT_NO_MEMORY, ikat_plan_run(guest.plan, guest.bindings));
    assert_int_equal(IKAT_NO_MEMORY, ikat_opencl_enqueue(guest.plan, 0, guest.bindings, self->queue,
                                                         0, NULL, &event));
    assert_null(event);
    launch_error = CL_SUCCESS;
    assert_int_equal(IKAT_OK, ikat_plan_run(guest.plan, guest.bindings));

    // A lost device stays lost, whatever the driver says later, and can be destroyed.
    launch_error = CL_DEVICE_NOT_AVAILABLE;
    assert_int_equal(IKAT_DEVICE_LOST, ikat_plan_run(guest.plan, guest.bindings));
    launch_error = CL_SUCCESS;
    assert_int_equal(IKAT_DEVICE_LOST, ikat_plan_run(guest.plan, guest.bindings));
    assert_int_equal(IKAT_DEVICE_LOST, ikat_buffer_read(guest.out, 0, self->out_data, 4));
    assert_int_equal(IKAT_DEVICE_LOST, ikat_buffer_write(guest.out, 0, self->out_data, 4));
    assert_int_equal(IKAT_DEVICE_LOST, ikat_opencl_enqueue(guest.plan, 0, guest.bindings,
                                                           self->queue, 0, NULL, &event));
    assert_int_equal(IKAT_DEVICE_LOST, ikat_device_wait(guest.device, 1, 0, NULL));
    leave(&guest);
}

static void lowers_limits(void **state) {
    host_objects *self = *state;
    ikat_opencl_adopt_params params = params_of(self);
    ikat_device_limits limits;
    memset(&limits, 0xff, sizeof(limits));
    assert_int_equal(IKAT_OK, ikat_device_limits_lower(&limits, "minimal"));
    params.limits = &limits;
    guest_objects guest;
    adopt(self, &params, &guest);
    const ikat_device_limits *lowered = &ikat_device_get_info(guest.device)->limits;
    assert_true(lowered->shared_memory_bytes <= 16384);
    assert_true(lowered->max_group_size <= 128);
    leave(&guest);
}

static void refuses_what_is_wrong(void **state) {
    host_objects *self = *state;
    const ikat_opencl_adopt_params params = params_of(self);
    guest_objects guest;
    prepare(self, &params, &guest);
    cl_int error;
    cl_context other = clCreateContext(NULL, 1, &self->device, NULL, NULL, &error);
    cl_command_queue other_queue = clCreateCommandQueue(other, self->device, 0, &error);
    cl_mem other_buffer = clCreateBuffer(other, CL_MEM_READ_WRITE, 64, NULL, &error);
    ikat_device *device;
    ikat_buffer *buffer;
    ikat_opencl_adopt_params wrong = params;
    wrong.context = NULL;
    assert_int_equal(IKAT_INVALID, ikat_opencl_adopt(guest.context, &wrong, &device));
    wrong = params;
    wrong.queue = other_queue;
    assert_int_equal(IKAT_INVALID, ikat_opencl_adopt(guest.context, &wrong, &device));
    assert_int_equal(IKAT_INVALID, ikat_opencl_adopt(guest.context, NULL, &device));

    assert_int_equal(IKAT_INVALID, ikat_opencl_wrap_buffer(guest.device, NULL, 0, &buffer));
    assert_int_equal(IKAT_INVALID, ikat_opencl_wrap_buffer(guest.device, other_buffer, 0, &buffer));
    assert_int_equal(IKAT_INVALID, ikat_opencl_wrap_buffer(guest.device, self->v,
                                                           sizeof(self->v_data) + 1, &buffer));
    assert_int_equal(IKAT_INVALID, ikat_opencl_wrap_buffer(NULL, self->v, 0, &buffer));
    assert_null(buffer);

    cl_event event = (cl_event)self;
    assert_int_equal(IKAT_INVALID, ikat_opencl_enqueue(guest.plan, guest.num_slices, guest.bindings,
                                                       self->queue, 0, NULL, &event));
    assert_null(event);
    assert_int_equal(IKAT_INVALID, ikat_opencl_enqueue(guest.plan, 0, guest.bindings, other_queue,
                                                       0, NULL, &event));
    assert_int_equal(IKAT_INVALID,
                     ikat_opencl_enqueue(guest.plan, 0, guest.bindings, NULL, 0, NULL, &event));
    assert_int_equal(IKAT_INVALID,
                     ikat_opencl_enqueue(guest.plan, 0, NULL, self->queue, 0, NULL, &event));
    assert_int_equal(IKAT_INVALID, ikat_opencl_enqueue(guest.plan, 0, guest.bindings, self->queue,
                                                       1, NULL, &event));
    clReleaseMemObject(other_buffer);
    clReleaseCommandQueue(other_queue);
    clReleaseContext(other);
    // None of it has hurt the device.
    assert_int_equal(IKAT_OK, ikat_plan_run(guest.plan, guest.bindings));
    leave(&guest);
}

static cl_uint list_devices(cl_device_id *devices) {
    cl_platform_id platforms[MAX_DEVICES];
    cl_uint num_platforms = 0, count = 0;
    if (clGetPlatformIDs(MAX_DEVICES, platforms, &num_platforms) != CL_SUCCESS) return 0;
    for (cl_uint i = 0; i < num_platforms && i < MAX_DEVICES; i++) {
        cl_uint found = 0;
        if (count == MAX_DEVICES ||
            clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL, MAX_DEVICES - count, devices + count,
                           &found) != CL_SUCCESS) {
            continue;
        }
        count += found < MAX_DEVICES - count ? found : MAX_DEVICES - count;
    }
    return count;
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(enqueues_on_the_adopted_queue),
        TEST(enqueues_on_an_out_of_order_queue),
        TEST(enqueues_without_events),
        TEST(waits_for_events_of_the_host),
        TEST(runs_on_the_adopted_queue),
        TEST(runs_on_a_queue_of_its_own),
        TEST(outlives_the_references_of_the_host),
        TEST(takes_functions_of_the_host),
        TEST(survives_failing_launches),
        TEST(lowers_limits),
        TEST(refuses_what_is_wrong),
#undef TEST
    };
    cl_device_id devices[MAX_DEVICES];
    const cl_uint count = list_devices(devices);
    int failures = 0;
    for (cl_uint i = 0; i < count; i++) {
        char name[256] = "";
        cl_bool has_compiler = CL_FALSE;
        clGetDeviceInfo(devices[i], CL_DEVICE_NAME, sizeof(name), name, NULL);
        clGetDeviceInfo(devices[i], CL_DEVICE_COMPILER_AVAILABLE, sizeof(has_compiler),
                        &has_compiler, NULL);
        if (!has_compiler) continue;
        tested_device = devices[i];
        failures += cmocka_run_group_tests_name(name, tests, NULL, NULL);
    }
    return failures;
}
