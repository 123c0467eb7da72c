#include "opencl_program.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_DEVICES = 16 };

static cl_device_id tested_device;

static void create_memories(program *self) {
    const size_t k_offset = (Q_BYTES + 65535) / 65536 * 65536; // aligned enough for any device
    const cl_buffer_region region = {k_offset, K_BYTES};
    cl_int errors[4];
    self->memories[Q] =
        clCreateBuffer(self->context, CL_MEM_READ_ONLY, k_offset + K_BYTES, NULL, &errors[Q]);
    self->memories[K] =
        clCreateSubBuffer(self->memories[Q], 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &errors[K]);
    self->memories[V] = clCreateBuffer(self->context, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR,
                                       K_BYTES, self->inputs[V], &errors[V]);
    self->memories[OUT] =
        clCreateBuffer(self->context, CL_MEM_READ_WRITE, Q_BYTES, NULL, &errors[OUT]);
    for (int i = 0; i < NUM_TENSORS; i++) {
        assert_int_equal(errors[i], CL_SUCCESS);
    }
}

int program_create(void **state) {
    program *self = calloc(1, sizeof(*self));
    float *inputs = malloc(Q_BYTES + 2 * K_BYTES);
    cl_int error;
    assert_non_null(self);
    assert_non_null(inputs);
    *state = self;
    self->inputs[Q] = inputs;
    self->inputs[K] = inputs + Q_ELEMENTS;
    self->inputs[V] = self->inputs[K] + K_ELEMENTS;
    guest_fill(self->inputs[Q], self->inputs[K], self->inputs[V]);
    self->device = tested_device;
    self->context = clCreateContext(NULL, 1, &self->device, NULL, NULL, &error);
    assert_int_equal(error, CL_SUCCESS);
    self->queue =
        clCreateCommandQueue(self->context, self->device, CL_QUEUE_PROFILING_ENABLE, &error);
    assert_int_equal(error, CL_SUCCESS);
    create_memories(self);
    recorder_create_context(&self->messages, IKAT_LOG_WARNING, NULL, &self->ikat);
    return 0;
}

void program_release(program *self) {
    for (int i = OUT; i >= Q; i--) {
        if (self->memories[i]) clReleaseMemObject(self->memories[i]);
        self->memories[i] = NULL;
    }
    if (self->queue) clReleaseCommandQueue(self->queue);
    if (self->context) clReleaseContext(self->context);
    self->queue = NULL;
    self->context = NULL;
}

int program_destroy(void **state) {
    program *self = *state;
    program_release(self);
    ikat_context_destroy(&self->ikat);
    free(self->inputs[Q]);
    free(self);
    return 0;
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

int program_run_tests(const struct CMUnitTest *tests, size_t num_tests) {
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
        failures += _cmocka_run_group_tests(name, tests, num_tests, NULL, NULL);
    }
    return failures;
}

ikat_opencl_adopt_params program_params(const program *self) {
    return (ikat_opencl_adopt_params){
        .context = self->context, .device = self->device, .queue = self->queue};
}

void program_invite(const program *self, const ikat_opencl_adopt_params *params, guest *out_guest) {
    guest *g = out_guest;
    memset(g, 0, sizeof(*g));
    assert_int_equal(IKAT_OK, ikat_opencl_adopt(self->ikat, params, &g->device));
    assert_string_equal(ikat_device_get_info(g->device)->backend, "opencl");
    for (int i = 0; i < NUM_TENSORS; i++) {
        const uint64_t size = i == Q ? Q_BYTES : 0; // 0: all of it
        assert_int_equal(
            IKAT_OK, ikat_opencl_wrap_buffer(g->device, self->memories[i], size, &g->buffers[i]));
        assert_int_equal(ikat_buffer_size_bytes(g->buffers[i]), guest_tensor_bytes[i]);
    }
    guest_prepare(g);
}

void program_write_inputs(const program *self, cl_command_queue queue, cl_event *out_event) {
    assert_int_equal(CL_SUCCESS, clEnqueueWriteBuffer(queue, self->memories[Q], CL_TRUE, 0, Q_BYTES,
                                                      self->inputs[Q], 0, NULL, NULL));
    assert_int_equal(CL_SUCCESS,
                     clEnqueueWriteBuffer(queue, self->memories[K], CL_FALSE, 0, K_BYTES,
                                          self->inputs[K], 0, NULL, out_event));
}

void program_check(const program *self, cl_command_queue queue, cl_event event) {
    float *out = malloc(Q_BYTES);
    assert_non_null(out);
    assert_int_equal(CL_SUCCESS,
                     clEnqueueReadBuffer(queue, self->memories[OUT], CL_TRUE, 0, Q_BYTES, out,
                                         event ? 1 : 0, event ? &event : NULL, NULL));
    if (event) clReleaseEvent(event);
    guest_check(out);
    free(out);
}
