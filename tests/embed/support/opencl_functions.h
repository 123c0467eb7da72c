// OpenCL's functions as a host hands them out that loads OpenCL itself, or stands between it and the
// library.

#ifndef TESTS_EMBED_OPENCL_FUNCTIONS_H
#define TESTS_EMBED_OPENCL_FUNCTIONS_H

#include <ikat/opencl.h>

// missing       the name of a function that is not there; NULL: all are
// replacements  functions of the test's own, before those of OpenCL
// num_calls     how often one was asked for
typedef struct opencl_functions {
    const char *missing;
    struct {
        const char *name;
        ikat_opencl_function function;
    } replacements[4];
    int num_calls;
} opencl_functions;

// For ikat_opencl_adopt_params.get_function; `user` is an opencl_functions.
ikat_opencl_function opencl_functions_find(void *user, const char *name);

#endif
