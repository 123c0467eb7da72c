// What references share: tensors and settings of a call by name, elements as doubles.
//
// A reference is the spec page written down: the equations in double, over tensors with any
// strides, each element loaded and stored through this header. It shares nothing with the lowering
// of src/mechanisms/.

#ifndef IKATI_REFERENCE_H
#define IKATI_REFERENCE_H

#include "../cpu.h"

#include "../../../src/half.h"

// NULL if the call does not have it.
const ikati_call_tensor *cpu_input(const cpu_call *call, const char *name);
const ikati_call_tensor *cpu_output(const cpu_call *call, const char *name);

// The mechanism has the setting: its name is right. `fallback` is what counts where neither a value
// nor a plain default was given.
int64_t cpu_integer(const cpu_call *call, const char *name, int64_t fallback);
double cpu_number(const cpu_call *call, const char *name, double fallback);
// Of a string or a word; "" if it is not given.
const char *cpu_text(const cpu_call *call, const char *name);
// Element `index` of a list; its only one where there is one for all. The setting is given or has a
// plain default.
int64_t cpu_item(const cpu_call *call, const char *name, int64_t index);
// Number of elements of a list; 0 if it is not given.
int64_t cpu_num_items(const cpu_call *call, const char *name);

// Element index of [i0, i1, i2, i3], counted from `data`; indices past the rank are ignored. An
// axis of extent 1 repeats: its index may be anything ("B or 1").
int64_t cpu_index(const ikati_call_tensor *tensor, int64_t i0, int64_t i1, int64_t i2, int64_t i3);

// The rows of axis N that the call wants, of `total`: their number, and the i-th of them.
static inline int64_t cpu_num_rows(const cpu_call *call, int64_t total) {
    return call->num_rows ? call->num_rows : total;
}
static inline int64_t cpu_row_at(const cpu_call *call, int64_t i) {
    return call->num_rows ? call->rows[i] : i;
}

// One element by its index.
static inline double cpu_load(const ikati_call_tensor *tensor, int64_t index) {
    switch (tensor->tensor.dtype) {
    case IKAT_FLOAT32: return ((const float *)tensor->data)[index];
    case IKAT_FLOAT16: return ikati_half_to_float(((const uint16_t *)tensor->data)[index]);
    case IKAT_INT32: return ((const int32_t *)tensor->data)[index];
    case IKAT_INT8: return ((const int8_t *)tensor->data)[index];
    case IKAT_UINT8: return ((const uint8_t *)tensor->data)[index];
    case IKAT_DTYPE_NONE: break;
    }
    return 0;
}

// Rounds to the tensor's type: float32 or float16.
static inline void cpu_store(const ikati_call_tensor *tensor, int64_t index, double value) {
    if (tensor->tensor.dtype == IKAT_FLOAT16) {
        ((uint16_t *)tensor->data)[index] = ikati_double_to_half(value);
    } else {
        ((float *)tensor->data)[index] = (float)value;
    }
}

// To an int32 tensor.
static inline void cpu_store_int(const ikati_call_tensor *tensor, int64_t index, int32_t value) {
    ((int32_t *)tensor->data)[index] = value;
}

// `count` elements along the innermost axis, whose stride is 1.
void cpu_load_row(const ikati_call_tensor *tensor, int64_t index, int64_t count, double *out);
void cpu_store_row(const ikati_call_tensor *tensor, int64_t index, int64_t count,
                   const double *values);

// sum_i a_i b_i, and sum_i += factor * values_i. Partial sums of eight elements each, so that compilers make
// vectors of them.
double cpu_dot(const double *restrict a, const double *restrict b, int64_t count);
void cpu_add_scaled(double *restrict sum, double factor, const double *restrict values,
                    int64_t count);

// A value of an int32 tensor of shape [B], within 0..maximum whatever it holds.
int64_t cpu_load_length(const ikati_call_tensor *tensor, int64_t b, int64_t maximum);

// Makes the outputs `out` and `lse`, and those of global rows (`out_global`, `lse_global`), of heads that
// input head_mask prunes, once a reference has written them: 0 and -inf, whatever they were.
void cpu_prune_heads(const cpu_call *call);

#endif
