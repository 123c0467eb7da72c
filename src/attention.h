// What mechanisms that end in softmax attention over [B,H,N,Dv] share: argument rows, checks of
// head sizes, cost, tolerance.

#ifndef IKATI_ATTENTION_H
#define IKATI_ATTENTION_H

#include "mechanism.h"
#include "patterns.h"

#include <math.h>

enum { IKATI_MAX_HEAD_SIZE = 512, IKATI_MAX_HEADS = 65535 };

// Rows of attention: q, k, v and lengths, where keys are counted by the letter `keys`; out, lse; scale.
#define IKATI_QKV_INPUTS(keys)                                                          \
    {.name = "q", .shape = "[B,H,N,D]", .dtype = "float", .help = "queries"},           \
        {.name = "k",                                                                   \
         .shape = "[B,Hkv," keys ",D]",                                                 \
         .dtype = "float",                                                              \
         .help = "keys; Hkv divides H"},                                                \
    {                                                                                   \
        .name = "v", .shape = "[B,Hkv," keys ",Dv]", .dtype = "float", .help = "values" \
    }
#define IKATI_LENGTHS_OF(keys, valid)                                          \
    {                                                                          \
        .name = "lengths", .shape = "[B]", .dtype = "int32", .optional = true, \
        .values = "0.." keys, .help = valid                                    \
    }
#define IKATI_SELF_ATTENTION_INPUTS IKATI_QKV_INPUTS("N")
#define IKATI_LENGTHS_INPUT IKATI_LENGTHS_OF("N", "valid positions")
#define IKATI_CROSS_ATTENTION_INPUTS IKATI_QKV_INPUTS("M")
#define IKATI_KEY_LENGTHS_INPUT IKATI_LENGTHS_OF("M", "valid keys")
#define IKATI_ATTENTION_OUTPUTS                                                   \
    {.name = "out", .shape = "[B,H,N,Dv]", .dtype = "float", .help = "result"}, { \
        .name = "lse", .shape = "[B,H,N]", .dtype = "float32", .optional = true,  \
        .help = "natural log of each row's normaliser"                            \
    }
#define IKATI_SCALE_SETTING                                                       \
    {                                                                             \
        .name = "scale", .type = IKAT_SETTING_FLOAT, .default_text = "1/sqrt(D)", \
        .minimum = -INFINITY, .maximum = INFINITY, .help = "factor on q.k"        \
    }
// The inputs of an example: q and k of one shape, v of another.
#define IKATI_QKV(shape, value_shape) "q=" shape " k=" shape " v=" value_shape

#define IKATI_COUNT(array) (uint32_t)(sizeof(array) / sizeof((array)[0]))

// Head sizes and head counts: D and Dv in 1..512, H and Hkv in 1..65535, Hkv divides H.
ikat_status ikati_attention_check(const ikati_request *request);

// A list setting has one element or one a head.
ikat_status ikati_attention_check_per_head(const ikati_request *request, const char *setting);

// Contradictions: logs that `name` is given where it has no meaning, "only with pattern = fixed".
ikat_status ikati_attention_refuse(const ikati_request *request, const char *name,
                                   const char *expected);

// flops and least traffic of `visible_pairs` (over all batch entries and heads).
ikati_cost ikati_attention_cost(const ikati_request *request, double visible_pairs);

// Cost and lowering of a mechanism that is its patterns (ikati_mechanism.patterns), with the call's
// scale, lengths, out and lse.
ikati_cost ikati_attention_cost_patterns(const ikati_request *request);
ikat_status ikati_attention_lower_patterns(const ikati_request *request, ikati_lowering *lowering);

// The spec's own rule for N keys.
double ikati_attention_tolerance(const ikati_request *request, uint32_t output);

#endif
