#include "opencl_functions.h"

#include <string.h>

#include "opencl_program.h"

ikat_opencl_function opencl_functions_find(void *user, const char *name) {
#define FUNCTION(name) {#name, (ikat_opencl_function)name},
    static const struct {
        const char *name;
        ikat_opencl_function function;
    } functions[] = {
        // clang-format off
        FUNCTION(clBuildProgram) FUNCTION(clCreateBuffer) FUNCTION(clCreateCommandQueue)
        FUNCTION(clCreateContext) FUNCTION(clCreateKernel) FUNCTION(clCreateProgramWithBinary)
        FUNCTION(clCreateProgramWithSource) FUNCTION(clCreateSubBuffer)
        FUNCTION(clEnqueueMarkerWithWaitList) FUNCTION(clEnqueueNDRangeKernel)
        FUNCTION(clEnqueueReadBuffer) FUNCTION(clEnqueueWriteBuffer) FUNCTION(clFinish) FUNCTION(clFlush)
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
    opencl_functions *self = user;
    self->num_calls++;
    if (self->missing && strcmp(self->missing, name) == 0) return NULL;
    for (size_t i = 0; i < 4 && self->replacements[i].name; i++) {
        if (strcmp(self->replacements[i].name, name) == 0) return self->replacements[i].function;
    }
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        if (strcmp(functions[i].name, name) == 0) return functions[i].function;
    }
    return NULL;
}
