#include "npy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/half.h"

static bool parse_dtype(const char *header, npy *array) {
    static const struct {
        const char *text;
        ikat_dtype dtype;
    } dtypes[] = {{"'<f8'", IKAT_DTYPE_NONE}, {"'<f4'", IKAT_FLOAT32}, {"'<f2'", IKAT_FLOAT16},
                  {"'<i4'", IKAT_INT32},      {"'|i1'", IKAT_INT8},    {"'|u1'", IKAT_UINT8}};
    for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++) {
        if (strstr(header, dtypes[i].text)) {
            array->tensor.dtype = dtypes[i].dtype;
            array->is_double = dtypes[i].dtype == IKAT_DTYPE_NONE;
            return true;
        }
    }
    return false;
}

// "(2, 3, )" to extents.
static bool parse_shape(const char *header, npy *array) {
    const char *at = strstr(header, "'shape': (");
    if (!at) {
        return false;
    }
    at += strlen("'shape': (");
    array->count = 1;
    while (*at != ')') {
        char *end = NULL;
        const long long extent = strtoll(at, &end, 10);
        if (end == at || extent < 0 || array->tensor.rank == IKAT_MAX_RANK) {
            return false;
        }
        array->tensor.shape[array->tensor.rank++] = extent;
        array->count *= (size_t)extent;
        at = end + strspn(end, ", ");
    }
    return true;
}

static bool read_file(FILE *file, npy *array) {
    unsigned char start[10];
    char header[1024];
    if (fread(start, sizeof(start), 1, file) != 1 || memcmp(start, "\x93NUMPY\x01", 7) != 0) {
        return false;
    }
    const size_t length = start[8] + 256u * start[9];
    if (length >= sizeof(header) || fread(header, length, 1, file) != 1) {
        return false;
    }
    header[length] = '\0';
    if (!strstr(header, "'fortran_order': False") || !parse_dtype(header, array) ||
        !parse_shape(header, array)) {
        return false;
    }
    array->size_bytes =
        array->count * (array->is_double ? 8 : ikat_dtype_size(array->tensor.dtype));
    array->data = malloc(array->size_bytes + 1);
    return array->data && fread(array->data, 1, array->size_bytes, file) == array->size_bytes;
}

bool npy_read(const char *path, npy *out_array) {
    memset(out_array, 0, sizeof(*out_array));
    FILE *file = fopen(path, "rb");
    if (!file) {
        return false;
    }
    const bool good = read_file(file, out_array);
    fclose(file);
    if (!good) {
        free(out_array->data);
        out_array->data = NULL;
    }
    return good;
}

double npy_element(const npy *array, size_t index) {
    switch (array->tensor.dtype) {
    case IKAT_FLOAT32: return ((const float *)array->data)[index];
    case IKAT_FLOAT16: return ikati_half_to_float(((const uint16_t *)array->data)[index]);
    case IKAT_INT32: return ((const int32_t *)array->data)[index];
    case IKAT_INT8: return ((const int8_t *)array->data)[index];
    case IKAT_UINT8: return ((const uint8_t *)array->data)[index];
    case IKAT_DTYPE_NONE: break;
    }
    return array->is_double ? ((const double *)array->data)[index] : NAN;
}
