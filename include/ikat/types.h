// Versions, status codes, element types and tensor descriptions.
//
// Shape letters, used in every comment of this library:
//   B batch, H query heads, Hkv key/value heads, N queries, M keys, D head size, Dv value size, C
//   channels, S rows of a loss.

#ifndef IKAT_TYPES_H
#define IKAT_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(IKAT_STATIC)
#define IKAT_API
#elif defined(_WIN32)
#ifdef IKAT_BUILDING
#define IKAT_API __declspec(dllexport)
#else
#define IKAT_API __declspec(dllimport)
#endif
#else
#define IKAT_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

// Until 1.0 a new MINOR may break the interface; the shared library's soname is 0.MINOR.
#define IKAT_VERSION_MAJOR 0
#define IKAT_VERSION_MINOR 1
#define IKAT_VERSION_PATCH 0

// Returns the version of the library that was loaded, "0.1.0".
//
// Thread-safety: may be called from any thread. So may every function of this header.
IKAT_API const char *ikat_version(void);

typedef enum ikat_status {
    IKAT_OK = 0,
    IKAT_INVALID,     // an argument is wrong; the log says which, and what was expected
    IKAT_UNSUPPORTED, // this device can run no variant of some step
    IKAT_NO_DEVICE,   // no such backend or device on this machine
    IKAT_NO_MEMORY,   // host or device memory ran out
    IKAT_COMPILE,     // the driver's compiler failed for every variant
    IKAT_DEVICE_LOST, // the device is gone; every later call on it returns this, destroying still works
    IKAT_IO,          // a file could not be read or written
    IKAT_INTERNAL, // a defect of this library or of a driver
} ikat_status;

// Returns the name of a status, "IKAT_INVALID". Never NULL.
IKAT_API const char *ikat_status_name(ikat_status status);

typedef enum ikat_dtype {
    IKAT_DTYPE_NONE = 0,
    IKAT_FLOAT32,
    IKAT_FLOAT16, // IEEE 754 binary16, storage only: arithmetic is float32
    IKAT_INT32,
    IKAT_INT8,
    IKAT_UINT8,
} ikat_dtype;

// Returns the size of one element in bytes; 0 for IKAT_DTYPE_NONE.
IKAT_API size_t ikat_dtype_size(ikat_dtype dtype);

// Returns the name of an element type, "float32". Never NULL.
IKAT_API const char *ikat_dtype_name(ikat_dtype dtype);

#define IKAT_MAX_RANK 6

// How a tensor lies in memory. A zeroed description with dtype, rank and shape set is dense
// row-major.
//
// shape    extents; an extent may be 0 where the mechanism allows it
// strides  in elements, one an axis; all 0 means packed row-major. The innermost stride is 1. Views
//          whose elements overlap are legal for inputs (a stride of 0 repeats), not for outputs
// offset   elements from the start of what is bound to the tensor's first element; lets q, k and v
//          be views of one packed buffer
typedef struct ikat_tensor {
    ikat_dtype dtype;
    uint32_t rank;
    int64_t shape[IKAT_MAX_RANK];
    int64_t strides[IKAT_MAX_RANK];
    int64_t offset;
} ikat_tensor;

// Describes a packed tensor of up to four axes. Axes past `rank` are ignored.
static inline ikat_tensor ikat_tensor_packed(ikat_dtype dtype, uint32_t rank, int64_t n0,
                                             int64_t n1, int64_t n2, int64_t n3) {
    ikat_tensor tensor = {dtype, rank, {n0, n1, n2, n3, 0, 0}, {0, 0, 0, 0, 0, 0}, 0};
    for (uint32_t axis = rank; axis < IKAT_MAX_RANK; axis++) {
        tensor.shape[axis] = 0;
    }
    return tensor;
}

// Computes how many bytes must be bound for a tensor: from the start of the binding to the end of
// its last element. 0 if an extent is 0.
//
// Returns IKAT_INVALID if the rank, an extent, a stride or the offset is impossible or the size
// overflows.
IKAT_API ikat_status ikat_tensor_size_bytes(const ikat_tensor *tensor, uint64_t *out_size_bytes);

#ifdef __cplusplus
}
#endif

#endif
