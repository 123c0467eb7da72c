// The registry of kernels and their variants.
//
// A kernel is shaders/params/<kernel>.h (bindings, parameters, specialisation),
// shaders/variants/<kernel>.inc (rows below), a GLSL and an OpenCL C source, and one line in
// src/kernels.inc. A variant is one row: a source compiled with some defines, what it needs of
// device and call, and the tile it works on.

#ifndef IKATI_KERNEL_H
#define IKATI_KERNEL_H

#include <ikat/device.h>

enum { IKATI_MAX_BINDINGS = 8, IKATI_MAX_PARAMS_BYTES = 512, IKATI_MAX_SPECIALISATION = 4 };

typedef enum ikati_language { IKATI_GLSL, IKATI_OPENCL } ikati_language;

typedef enum ikati_access { IKATI_READ = 1, IKATI_WRITE = 2 } ikati_access;

// What a variant needs of the call or the device (ikati_variant.needs).
enum {
    IKATI_NEED_FLOAT = 1 << 0, // main tensors are float32
    IKATI_NEED_HALF = 1 << 1,  // main tensors are float16
    IKATI_NEED_ALIGNED4 =
        1 << 2, // sizes, strides and offsets of the main inputs are multiples of 4 elements
    IKATI_NEED_TEXEL =
        1 << 3, // the bindings in texel_bindings fit uniform texel buffers of 4 elements a texel
    IKATI_NEED_CPU = 1 << 4,   // worth taking only on devices of type CPU
    IKATI_NEED_GPU = 1 << 5,   // worth taking only on other devices
    IKATI_NEED_DENSE = 1 << 6, // walks keys in order, no schedule
    IKATI_NEED_EXPRESSION =
        1 << 7, // evaluates expressions: taken where there are some, and only there
    IKATI_NEED_COMPILER =
        1 << 8, // its source is completed by text of the call's, when the plan is made
    IKATI_NEED_TOPK =
        1 << 9, // keeps the best keys of a row: taken where that is asked, and only there
};

typedef struct ikati_variant {
    ikati_language language;
    const char *name;      // unique within kernel and language
    const char *full_name; // "kernel.name"
    const char *source;    // file name below shaders/glsl or shaders/opencl
    const char *defines;   // "-DA=1 -DB=2"
    uint32_t needs;        // IKATI_NEED_*
    uint32_t tile_rows;    // rows (or items) of work that one workgroup owns
    uint32_t
        tile_keys; // keys a step of its loop takes (or columns of an item); 0 where there is none
    uint32_t sizes[2];      // largest extents it holds (attend: head size, value size); 0 = any
    uint32_t max_rows;      // taken only for at most this many rows; 0 = any
    uint32_t group_size;    // invocations of a workgroup
    uint32_t shared_bytes;  // shared memory of a workgroup
    uint32_t subgroup_size; // exact subgroup size it is written for; 0 = none needed
    uint32_t vector_width;  // least width of an invocation's own vectors that it is worth; 0 = any
    // Rounds of all loops of one invocation for each 1024 keys: rounds[0], and rounds[1] for each 16
    // of the head size; an upper bound. {0, 0}: 1024, one a key.
    uint32_t rounds[2];
    uint32_t texel_bindings; // bit i: binding i is a uniform texel buffer (GLSL)
} ikati_variant;

typedef struct ikati_kernel {
    const char *name;
    const char *const *binding_names;
    const uint8_t *binding_access; // ikati_access, one a binding
    uint32_t num_bindings;
    const char *const *specialisation_names;
    uint32_t num_specialisation;
    uint32_t params_bytes; // the block begins with one base offset a binding
    const ikati_variant *variants;
    uint32_t num_variants;
} ikati_kernel;

typedef enum ikati_kernel_id {
#define KERNEL(name) IKATI_KERNEL_##name,
#include "kernels.inc"
#undef KERNEL
    IKATI_NUM_KERNELS
} ikati_kernel_id;

const ikati_kernel *ikati_kernel_get(ikati_kernel_id id);

#endif
