// Emitted functions as OpenCL C, on every OpenCL device of the machine.

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

#include <stdio.h>
#include <stdlib.h>

#include "suite.h"

enum { MAX_DEVICES = 16, NUM_BUFFERS = 4 };

static const char head[] = "#include \"opencl/lib/expression.cl\"\n"
                           "#include \"lib/expression_run.h\"\n"
                           "#define CALL , expression_words\n";
static const char kernel_text[] =
    "__kernel void run(__global const int *expression_words, __global const int *places,\n"
    "                  __global const float *scores, __global int *results) {\n"
    "    int g = get_global_id(0);\n"
    "    __global const int *p = places + g * 8;\n"
    "    Place at = {p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]};\n"
    "    CALLS\n"
    "}\n";

static cl_kernel build(cl_context context, cl_device_id device, const suite *functions) {
    char *source = suite_source(functions);
    const char *texts[] = {head, source, kernel_text};
    cl_int error;
    cl_program program = clCreateProgramWithSource(context, 3, texts, NULL, &error);
    assert_int_equal(error, CL_SUCCESS);
    if (clBuildProgram(program, 1, &device, "-I " IKAT_SHADERS, NULL, NULL) != CL_SUCCESS) {
        static char log[4096];
        clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, sizeof(log), log, NULL);
        fail_msg("%.4000s", log);
    }
    cl_kernel kernel = clCreateKernel(program, "run", &error);
    assert_int_equal(error, CL_SUCCESS);
    clReleaseProgram(program);
    free(source);
    return kernel;
}

static void run(cl_device_id device) {
    suite functions;
    suite_open(&functions);
    cl_int error;
    cl_context context = clCreateContext(NULL, 1, &device, NULL, NULL, &error);
    assert_int_equal(error, CL_SUCCESS);
    cl_command_queue queue = clCreateCommandQueue(context, device, 0, &error);
    assert_int_equal(error, CL_SUCCESS);
    cl_kernel kernel = build(context, device, &functions);
    static int32_t results[SUITE_MAX_RESULTS];
    void *const data[NUM_BUFFERS] = {functions.words, functions.places, functions.scores, results};
    const size_t sizes[NUM_BUFFERS] = {functions.num_words * 4u, sizeof(functions.places),
                                       sizeof(functions.scores), sizeof(results)};
    cl_mem buffers[NUM_BUFFERS];
    for (cl_uint k = 0; k < NUM_BUFFERS; k++) {
        buffers[k] = clCreateBuffer(context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, sizes[k],
                                    data[k], &error);
        assert_int_equal(error, CL_SUCCESS);
        assert_int_equal(clSetKernelArg(kernel, k, sizeof(cl_mem), &buffers[k]), CL_SUCCESS);
    }
    const size_t num_items = SUITE_PLACES;
    assert_int_equal(
        clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &num_items, NULL, 0, NULL, NULL),
        CL_SUCCESS);
    assert_int_equal(clEnqueueReadBuffer(queue, buffers[NUM_BUFFERS - 1], CL_TRUE, 0,
                                         sizeof(results), results, 0, NULL, NULL),
                     CL_SUCCESS);
    suite_check(&functions, results);
    for (int k = 0; k < NUM_BUFFERS; k++) {
        clReleaseMemObject(buffers[k]);
    }
    clReleaseKernel(kernel);
    clReleaseCommandQueue(queue);
    clReleaseContext(context);
    suite_close(&functions);
}

static void every_device(void **state) {
    (void)state;
    cl_platform_id platforms[MAX_DEVICES];
    cl_uint num_platforms = 0, num_run = 0;
    if (clGetPlatformIDs(MAX_DEVICES, platforms, &num_platforms) != CL_SUCCESS) {
        skip();
    }
    for (cl_uint p = 0; p < num_platforms && p < MAX_DEVICES; p++) {
        cl_device_id devices[MAX_DEVICES];
        cl_uint num_devices = 0;
        if (clGetDeviceIDs(platforms[p], CL_DEVICE_TYPE_ALL, MAX_DEVICES, devices, &num_devices) !=
            CL_SUCCESS) {
            continue;
        }
        for (cl_uint d = 0; d < num_devices && d < MAX_DEVICES; d++, num_run++) {
            char name[256] = "";
            clGetDeviceInfo(devices[d], CL_DEVICE_NAME, sizeof(name), name, NULL);
            print_message("%s\n", name);
            run(devices[d]);
        }
    }
    if (num_run == 0) {
        skip();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_device)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
