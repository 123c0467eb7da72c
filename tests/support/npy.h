// Reads NumPy .npy files, version 1, little-endian, row-major: <f8 <f4 <f2 <i4 |i1 |u1.

#ifndef NPY_H
#define NPY_H

#include <ikat/types.h>

// is_double  elements are float64, which the library has no type for: `tensor.dtype` is
//            IKAT_DTYPE_NONE
typedef struct npy {
    ikat_tensor tensor;
    bool is_double;
    size_t count;
    size_t size_bytes;
    void *data; // freed by the caller
} npy;

// False if the file cannot be read or is of another form.
bool npy_read(const char *path, npy *out_array);

// Element `index` as a double.
double npy_element(const npy *array, size_t index);

#endif
