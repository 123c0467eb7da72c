#include "values.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

float half_to_float(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = (half >> 10) & 31;
    uint32_t mantissa = half & 0x3ff;
    if (exponent == 0) {
        float value = (float)mantissa * 0x1p-24f;
        return sign ? -value : value;
    }
    uint32_t bits = exponent == 31 ? sign | 0x7f800000 | mantissa << 13
                                   : sign | (exponent + 112) << 23 | mantissa << 13;
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

uint16_t half_from_float(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    bits &= 0x7fffffff;
    if (bits > 0x7f800000) {
        return (uint16_t)(sign | 0x7e00);
    }
    if (bits >= 0x477ff000) { // 65520 and above round to infinity
        return (uint16_t)(sign | 0x7c00);
    }
    if (bits < 0x38800000) { // below 2^-14: a multiple of 2^-24, rounded by the addition
        float magic = fabsf(value) + 0.5f;
        memcpy(&bits, &magic, sizeof(bits));
        return (uint16_t)(sign | (bits - 0x3f000000));
    }
    bits += 0xfff + (bits >> 13 & 1);
    return (uint16_t)(sign | ((bits - 0x38000000) >> 13));
}

double value_load(ikat_dtype dtype, const void *data, uint64_t index) {
    switch (dtype) {
    case IKAT_FLOAT32: return ((const float *)data)[index];
    case IKAT_FLOAT16: return half_to_float(((const uint16_t *)data)[index]);
    case IKAT_INT32: return ((const int32_t *)data)[index];
    case IKAT_INT8: return ((const int8_t *)data)[index];
    case IKAT_UINT8: return ((const uint8_t *)data)[index];
    default: return 0;
    }
}

static double clamp_round(double value, double minimum, double maximum) {
    return value >= maximum ? maximum : value > minimum ? rint(value) : minimum;
}

void value_store(ikat_dtype dtype, void *data, uint64_t index, double value) {
    switch (dtype) {
    case IKAT_FLOAT32: ((float *)data)[index] = (float)value; break;
    case IKAT_FLOAT16: ((uint16_t *)data)[index] = half_from_float((float)value); break;
    case IKAT_INT32:
        ((int32_t *)data)[index] = (int32_t)clamp_round(value, INT32_MIN, INT32_MAX);
        break;
    case IKAT_INT8: ((int8_t *)data)[index] = (int8_t)clamp_round(value, INT8_MIN, INT8_MAX); break;
    case IKAT_UINT8: ((uint8_t *)data)[index] = (uint8_t)clamp_round(value, 0, UINT8_MAX); break;
    default: break;
    }
}

// An element of a file: a real number, or a whole one with its sign apart.
typedef struct cli_number {
    bool whole;
    bool negative;
    uint64_t magnitude;
    double real;
} cli_number;

static cli_number read_number(const npy_array *array, uint64_t index) {
    uint8_t bytes[8] = {0};
    const uint8_t *element = array->data + index * array->size;
    for (uint32_t i = 0; i < array->size; i++) {
        bytes[i] = element[array->swapped ? array->size - 1 - i : i];
    }
    uint64_t bits = 0;
    for (uint32_t i = 0; i < 8; i++) {
        bits |= (uint64_t)bytes[i] << 8 * i;
    }
    cli_number value = {.whole = array->kind != 'f', .magnitude = bits};
    if (array->kind == 'b') {
        value.magnitude = bits != 0;
    } else if (array->kind == 'i' && bits >> (8 * array->size - 1)) {
        value.negative = true;
        uint64_t ones = array->size == 8 ? 0 : ~(uint64_t)0 << 8 * array->size;
        value.magnitude = ~(bits | ones) + 1;
    } else if (array->kind == 'f' && array->size == 2) {
        value.real = half_to_float((uint16_t)bits);
    } else if (array->kind == 'f' && array->size == 4) {
        uint32_t word = (uint32_t)bits;
        float single;
        memcpy(&single, &word, sizeof(single));
        value.real = single;
    } else if (array->kind == 'f') {
        memcpy(&value.real, &bits, sizeof(value.real));
    }
    return value;
}

// A whole number as a double; false if that is not exact.
static bool whole_to_double(const cli_number *value, double *out) {
    uint64_t odd = value->magnitude;
    while (odd && !(odd & 1)) {
        odd >>= 1;
    }
    *out = value->negative ? -(double)value->magnitude : (double)value->magnitude;
    return odd >> 53 == 0;
}

static bool store_exactly(ikat_dtype dtype, void *out, uint64_t index, const cli_number *value) {
    double real = value->real;
    if (value->whole && !whole_to_double(value, &real)) {
        return false;
    }
    bool floating = dtype == IKAT_FLOAT32 || dtype == IKAT_FLOAT16;
    if (isnan(real)) {
        value_store(dtype, out, index, real);
        return floating;
    }
    if (dtype == IKAT_FLOAT16 && (double)(float)real != real) {
        return false;
    }
    value_store(dtype, out, index, real);
    return value_load(dtype, out, index) == real;
}

// Index in the file of element `index` of the row-major order.
static uint64_t file_index(const npy_array *array, uint64_t index) {
    if (!array->fortran) {
        return index;
    }
    uint64_t result = 0;
    uint64_t stride = array->count;
    for (uint32_t axis = array->rank; axis-- > 0;) {
        uint64_t extent = (uint64_t)array->shape[axis];
        stride /= extent;
        result += index % extent * stride;
        index /= extent;
    }
    return result;
}

bool values_convert(const npy_array *array, ikat_dtype dtype, void *out, char *message,
                    size_t message_size) {
    if (npy_dtype(array) == dtype && !array->fortran) {
        memcpy(out, array->data, array->count * array->size);
        return true;
    }
    for (uint64_t i = 0; i < array->count; i++) {
        uint64_t source = file_index(array, i);
        if (npy_dtype(array) == dtype) {
            memcpy((uint8_t *)out + i * array->size, array->data + source * array->size,
                   array->size);
            continue;
        }
        cli_number value = read_number(array, source);
        if (!store_exactly(dtype, out, i, &value)) {
            char type[32];
            npy_type_name(array, type);
            double real = value.real;
            if (value.whole) {
                whole_to_double(&value, &real);
            }
            snprintf(message, message_size,
                     "is %s and its element %" PRIu64 " is %.17g, expected values exact in %s",
                     type, i, real, ikat_dtype_name(dtype));
            return false;
        }
    }
    return true;
}
