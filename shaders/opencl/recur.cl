// recur: linear attention of a few tokens after a given state, see params/recur.h.
//
// A work-group owns 32 columns of one state; a work-item 4 of them, in every SLICES-th row, which it reads, takes
// through all tokens in registers, and writes. What it adds to the rows of the output meets in local memory.
//
// Defines: SLICES (8; 1: nothing is shared).
#define LANES 1
#include "params/recur.h"
#define KERNEL_PARAMS RECUR_PARAMS
#include "lib/kernel.cl"
#include "lib/storage.cl"
#define V_HALF RECUR_V_HALF
#include "lib/values.cl"

#if OPTIONS & RECUR_DECAY_HALF
typedef half Decay;
#define load_decay load_half
#else
typedef float Decay;
#define load_decay load_float
#endif
#if OPTIONS & RECUR_OUT_HALF
typedef half Out;
#define store_out store_half
#else
typedef float Out;
#define store_out store_float
#endif

#define GROUP_SIZE (8 * SLICES)
#define MAX_ROWS 8
// Devices of type CPU keep arrays in memory either way, and compile an unrolled loop for seconds.
#if SLICES == 1
#define EACH(i, n) _Pragma("nounroll") for (int i = 0; i < n; i++)
#else
#define EACH(i, n) _Pragma("unroll") for (int i = 0; i < n; i++)
#endif

// One a row of the output: those of a token, of all heads that share the state, follow each other. value and factor
// are the token's value and decay.
typedef struct Rows {
    float4 value[MAX_ROWS], sum[MAX_ROWS];
    float factor[MAX_ROWS], den[MAX_ROWS];
} Rows;

static inline float factor_of(const Params *p, float d) {
    if (!has(RECUR_NORMALIZE)) return p->scale;
    d = d * p->scale + p->eps;
    return d == 0.0f ? 0.0f : p->scale / d;
}

// Takes element (f, 4 columns) of the state through all tokens; key, query: elements of features at f.
static inline void add_tokens(const Params *p, Rows *rows, __global const float *key,
                              __global const float *query, float4 *s, float *z) {
    uint token = 0, member = 0;
    EACH(n, MAX_ROWS) if ((uint)n < p->num_tokens * p->group) {
        if (member == 0u) {
            const float x = key[token * p->num_features];
            *s = rows->factor[n] * *s + x * rows->value[n];
            *z = rows->factor[n] * *z + x;
        }
        const float x = query[member * p->feature_head + token * p->num_features];
        rows->sum[n] += x * *s;
        rows->den[n] += x * *z;
        if (++member == p->group) {
            member = 0;
            token++;
        }
    }
}

__kernel __attribute__((reqd_work_group_size(GROUP_SIZE, 1, 1))) void
recur(__global const float *features, __global const Value *v, __global const Decay *decay,
      __global const float *state_s, __global const float *state_z, __global Out *out,
      __global float *s_out, __global float *z_out, const Params params, uint first_group) {
    const Params *p = &params;
#if SLICES > 1
    __local float4 sums[GROUP_SIZE];
    __local float dens[GROUP_SIZE];
#endif
    const uint own = (uint)get_local_id(0), tiles = (p->value_size + 31u) / 32u;
    uint item = group_index(first_group);
    const uint column = item % tiles * 32u + 4u * (own % 8u);
    item /= tiles;
    const uint head = item % p->num_heads, batch = item / p->num_heads;
    const uint left = p->value_size - min(column, p->value_size); // columns that exist

    Rows rows;
    EACH(n, MAX_ROWS) {
        rows.sum[n] = rows.value[n] = 0.0f;
        rows.den[n] = rows.factor[n] = 0.0f;
        if ((uint)n < p->num_tokens * p->group) {
            const uint token = (uint)n / p->group;
            rows.value[n] = load4_value(
                p, v, p->base_v + batch * p->v_batch + head * p->v_head + token * p->v_row, column);
            rows.factor[n] = has(RECUR_DECAY)
                                 ? load_decay(decay, p->base_decay + batch * p->decay_batch +
                                                         head * p->decay_head + token * p->decay_row)
                                 : 1.0f;
        }
    }
    const uint number = batch * p->num_heads + head;
    __global const float *key = features + p->base_features + number * p->feature_head;
    __global const float *query =
        features + p->base_features + p->query_begin + number * p->group * p->feature_head;
    const uint s_at = p->base_state_s + batch * p->s_batch + head * p->s_head + column;
    const uint z_at = p->base_state_z + batch * p->z_batch + head * p->z_head;
    const uint s_to = p->base_s_out + batch * p->s_out_batch + head * p->s_out_head + column;
    const uint z_to = p->base_z_out + batch * p->z_out_batch + head * p->z_out_head;
    for (uint f = own / 8u; f < p->size; f += SLICES) {
        float4 s = 0.0f;
        float z = 0.0f;
        if (has(RECUR_GIVEN)) {
            if (left > 0u) s.x = state_s[s_at + f * p->s_row];
            if (left > 1u) s.y = state_s[s_at + f * p->s_row + 1u];
            if (left > 2u) s.z = state_s[s_at + f * p->s_row + 2u];
            if (left > 3u) s.w = state_s[s_at + f * p->s_row + 3u];
            z = state_z[z_at + f];
        }
        add_tokens(p, &rows, key + f, query + f, &s, &z);
        if (has(RECUR_S_OUT)) {
            if (left > 0u) s_out[s_to + f * p->s_out_row] = s.x;
            if (left > 1u) s_out[s_to + f * p->s_out_row + 1u] = s.y;
            if (left > 2u) s_out[s_to + f * p->s_out_row + 2u] = s.z;
            if (left > 3u) s_out[s_to + f * p->s_out_row + 3u] = s.w;
        }
        if (has(RECUR_Z_OUT) && column == 0u) z_out[z_to + f] = z;
    }
    EACH(n, MAX_ROWS) if (has(RECUR_OUT) && (uint)n < p->num_tokens * p->group) {
        float4 sum = rows.sum[n];
        float den = rows.den[n];
#if SLICES > 1
        barrier(CLK_LOCAL_MEM_FENCE);
        sums[own] = sum;
        dens[own] = den;
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint i = 1; own < 8u && i < SLICES; i++) {
            sum += sums[8u * i + own];
            den += dens[8u * i + own];
        }
#endif
        const float factor = factor_of(p, den);
        const uint e = p->base_out + batch * p->out_batch + (head * p->group + (uint)n % p->group) * p->out_head +
                       (uint)n / p->group * p->out_row + column;
        const float4 x = factor == 0.0f ? (float4)(0.0f) : sum * factor;
        if (own < 8u && left > 0u) store_out(out, e, x.x);
        if (own < 8u && left > 1u) store_out(out, e + 1u, x.y);
        if (own < 8u && left > 2u) store_out(out, e + 2u, x.z);
        if (own < 8u && left > 3u) store_out(out, e + 3u, x.w);
    }
}
