// Keys and values that are made of others, windows of positions or projections, and attention over them:
// filters, checks and lowering of what linformer and memory_compressed share.

#ifndef IKATI_WINDOWS_H
#define IKATI_WINDOWS_H

#include "attention.h"
#include "lower_attend.h"
#include "lower_pool.h"

// Filters of a convolution over positions.
#define IKATI_CONV_INPUT(input_name, input_shape, input_help)                         \
    {                                                                                 \
        .name = input_name, .shape = input_shape, .dtype = "float", .optional = true, \
        .help = input_help                                                            \
    }
#define IKATI_CONV_INPUTS                                                                       \
    IKATI_CONV_INPUT("conv_k", "[w,Cg,C0]",                                                     \
                     "filters of the keys (tap, in, out); C0 is D, one bank for all heads, or " \
                     "Hkv D"),                                                                  \
        IKATI_CONV_INPUT("conv_v", "[w,Cv,C1]", "the same of the values; C1 is Dv or Hkv Dv"),  \
        IKATI_CONV_INPUT("conv_k_bias", "[C0]", "bias"),                                        \
        IKATI_CONV_INPUT("conv_v_bias", "[C1]", "bias")

// Whether the filters of keys and values, of those that are given, fit their tensors.
ikat_status ikati_conv_check(const ikati_request *request);

// An input is missing that the call needs, for "projection=conv", say.
ikat_status ikati_input_require(const ikati_request *request, const char *name, const char *why);

// One of the two tensors of keys and values, made in scratch: [B,Hkv,num_rows,columns], float32.
typedef struct ikati_made_rows {
    ikat_tensor tensor;
    ikati_view view; // of the tensor: valid where this struct stays
} ikati_made_rows;

// Makes room for them.
//
// is_joined  rows of all heads lie next to each other, as convolutions that mix heads write them
ikat_status ikati_made_rows_create(ikati_lowering *lowering, const ikat_tensor *positions,
                                   int64_t num_rows, bool is_joined, ikati_made_rows *out);

// Lowers the windows of k and v to rows num_front and on of made keys and values: x, pooling, size,
// stride and number are given, filters are the call's (without conv_v those of the keys).
ikat_status ikati_lower_windows(const ikati_request *request, ikati_lowering *lowering,
                                ikati_pooling kind, const ikati_attend_windows *windows,
                                uint32_t num_windows, ikati_made_rows *out_keys,
                                ikati_made_rows *out_values);

// Lowers attention of the call's queries over made keys and values, of which `windows` tells how many
// are visible. With as many queries as positions lengths are those of the queries too.
//
// attention  of the call, with its window if it has one; what belongs to keys is filled in here
ikat_status ikati_lower_made_attention(const ikati_request *request, ikati_lowering *lowering,
                                       const ikati_attend_windows *windows,
                                       const ikati_made_rows *keys, const ikati_made_rows *values,
                                       const ikati_attention *attention);

#endif
