// Lowers linear attention, sums over keys that are products of features, to kernels `feature`, `gemm`,
// `outer`, `carry`, `readout` and few more: what every mechanism shares whose weights are a_ij =
// phi(q_i).phi(k_j).
//
// Positions lie in slots, slots in chunks, chunks in segments. Without a causal mask the outer products
// of all keys are summed up, chunk by chunk in parallel, and rows read the sum. With one, each chunk
// leaves the sum of its own; `carry` turns these into what each chunk begins with; and rows read that,
// and the keys of their own chunk up to themselves. What lies between the steps is float32 scratch of
// one segment, so it does not grow with the number of positions; the state is carried from segment to
// segment.

#ifndef IKATI_LOWER_LINEAR_H
#define IKATI_LOWER_LINEAR_H

#include "lower_attend.h"
#include "lower_gemm.h"

// Of one component x; the last two, of projections, are exp(x - |row|^2 / 2 - maximum), and that joined
// by the same of -x.
typedef enum ikati_feature_map {
    IKATI_FEATURE_ELU, // elu(x) + 1
    IKATI_FEATURE_RELU,
    IKATI_FEATURE_EXP,
    IKATI_FEATURE_IDENTITY,
    IKATI_FEATURE_SOFTMAX,
    IKATI_FEATURE_MIRRORED,
} ikati_feature_map;

// phi.
//
// eps          added to every feature
// rows         [num_rows, D], projections w of q and k, one matrix a query head or for all (head 0);
//              absent: the components of q and k themselves are mapped
// input_scale  factor on q and k before they are projected
// stabilizes   exponentials: the maximum is that of the query's projections, of keys that of all valid
//              ones of the (batch, head); else 0
typedef struct ikati_features {
    ikati_feature_map map;
    double eps;
    ikati_matrices rows;
    uint32_t num_rows;
    double input_scale;
    bool stabilizes;
} ikati_features;

// q [B,H,N,D], k [B,Hkv,M,D], v [B,Hkv,M,Dv], out [B,H,N,Dv]; all else may be absent.
//
// decay             [Hkv] or [B,Hkv,M]: factor on the state before a key enters; only if causal
// state_s, state_z  [B,Hkv,D,Dv] and [B,Hkv,D] float32: the state before the first key; only without
//                   projections
// s_out, z_out      the same, after the last valid key
// lengths           [B], valid keys; where N = M valid queries too
// causal            row i sees keys up to i + valid keys - valid queries
// out               scale sum_j a_ij v_j / (scale sum_j a_ij + eps), with normalizes, else the dividend;
//                   0 where the denominator is 0
// guard             not 0: twice as much is added to denominators of at most guard
// chunk             slots a chunk, roughly; 0: chosen
// head_mask         [H], 0: the head's rows are 0; NULL: all are kept
typedef struct ikati_linear_attention {
    ikati_view q, k, v, decay, state_s, state_z, lengths, out, s_out, z_out;
    ikati_features features;
    bool causal, normalizes;
    double scale, eps, guard;
    int64_t chunk;
    const int32_t *head_mask;
} ikati_linear_attention;

// Adds the steps.
//
// IKAT_UNSUPPORTED (logged) what one chunk of a head needs exceeds what the device can bind at once
ikat_status ikati_lower_linear(ikati_lowering *lowering, const ikati_linear_attention *attention);

#endif
