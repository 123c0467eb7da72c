// The kernels' OpenCL C text, built into the library. The definitions are generated
// (cmake/embed_sources.cmake): one entry a file below shaders/opencl/ that a variant names, with its
// includes already in place.

#ifndef IKATI_OPENCL_SOURCE_H
#define IKATI_OPENCL_SOURCE_H

#include <stddef.h>

typedef struct ocl_source {
    const char *name; // as in ikati_variant.source
    const char *text;
} ocl_source;

extern const ocl_source ocl_source_table[];
extern const size_t ocl_source_count;

#endif
