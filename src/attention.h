// What mechanisms that end in softmax attention over [B,H,N,Dv] share: argument rows, checks of
// head sizes, cost, tolerance.

#ifndef IKATI_ATTENTION_H
#define IKATI_ATTENTION_H

#include "mechanism.h"
#include "patterns.h"

#include <math.h>

enum { IKATI_MAX_HEAD_SIZE = 512, IKATI_MAX_HEADS = 65535 };

// Rows of self-attention: q, k, v; out, lse; lengths; scale and causal.
#define IKATI_SELF_ATTENTION_INPUTS                                                               \
    {.name = "q", .shape = "[B,H,N,D]", .dtype = "float", .help = "queries"},                     \
        {.name = "k", .shape = "[B,Hkv,N,D]", .dtype = "float", .help = "keys; Hkv divides H"}, { \
        .name = "v", .shape = "[B,Hkv,N,Dv]", .dtype = "float", .help = "values"                  \
    }
#define IKATI_LENGTHS_INPUT                                                                      \
    {                                                                                            \
        .name = "lengths", .shape = "[B]", .dtype = "int32", .optional = true, .values = "0..N", \
        .help = "valid positions"                                                                \
    }
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
// The same where the pairs are those of patterns; takes and frees them. Fewer than 0 pairs if
// `status` says that memory ran out.
ikati_cost ikati_attention_cost_of(const ikati_request *request, ikat_status status,
                                   ikati_patterns *patterns);

// The spec's own rule for N keys.
double ikati_attention_tolerance(const ikati_request *request, uint32_t output);

// Names of the inputs that one pattern reads.
typedef struct ikati_attention_names {
    const char *q, *k, *v;
} ikati_attention_names;

// Lowers the patterns of a call, with its scale, lengths, out and lse; takes and frees them. Returns
// `status` if that is no success.
//
// names  one a pattern; NULL: q, k and v for all
ikat_status ikati_attention_lower(const ikati_request *request, ikati_lowering *lowering,
                                  ikat_status status, ikati_patterns *patterns,
                                  const ikati_attention_names *names);

// Stands for the lowering of mechanisms that have none yet: IKAT_UNSUPPORTED.
ikat_status ikati_attention_lower_nothing(const ikati_request *request, ikati_lowering *lowering);

#endif
