// NumPy's .npy files, versions 1.0 and 2.0, in memory: what a header says, and headers of our own.
//
// Nothing in a file is believed: a header that is cut, malformed, or says more or fewer bytes than
// there are is refused.

#ifndef NPY_H
#define NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ikat/types.h>

enum { NPY_MAX_RANK = 32, NPY_MAX_HEADER = 512 };

// kind     'f', 'i', 'u' or 'b' (bool), as NumPy calls them
// size     bytes of an element: 1, 2, 4 or 8
// swapped  elements are big-endian
// fortran  the first axis runs fastest
// data     inside the file's bytes, `count` elements; not aligned
typedef struct npy_array {
    char kind;
    uint8_t size;
    bool swapped;
    bool fortran;
    uint32_t rank;
    int64_t shape[NPY_MAX_RANK];
    uint64_t count;
    const uint8_t *data;
} npy_array;

// Reads a whole file's bytes. On failure returns false and says in `message` what is wrong and what
// was expected.
bool npy_parse(const uint8_t *bytes, size_t size, npy_array *out_array, char *message,
               size_t message_size);

// Writes the header of a version 1.0 file of packed elements into `out`. Returns its size.
size_t npy_header(ikat_dtype dtype, uint32_t rank, const int64_t *shape, char out[NPY_MAX_HEADER]);

// The element type as the library's, IKAT_DTYPE_NONE if it has none such (or not in this byte
// order).
ikat_dtype npy_dtype(const npy_array *array);

// "float64", ">i4" in words, for messages; `out` holds at least 32 characters.
void npy_type_name(const npy_array *array, char *out);

#endif
