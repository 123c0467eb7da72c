// ring: each query over its neighbours on a ring, itself, its embedding and the relay. LANES_A_QUERY work-items
// own a query, each of them columns in fours that lie 4 * LANES_A_QUERY apart; their shares of the products meet
// in local memory. An item that owns a whole query takes 16 columns at a time. See params/ring.h.
//
// Defines: LANES_A_QUERY (16: 8 queries a work-group; 1: 16 queries a work-group, nothing is shared).
#define LANES (LANES_A_QUERY == 1 ? 16 : 1)
#include "params/ring.h"
#define KERNEL_PARAMS RING_PARAMS
#include "lib/kernel.cl"
#include "lib/storage.cl"

#if OPTIONS & RING_HALF
typedef half Element;
#define load_element load_half
#define load16_element load16_half
#define load4_element(x, e) vload_half4(0, (x) + (e))
#else
typedef float Element;
#define load_element load_float
#define load16_element load16_float
#define load4_element(x, e) vload4(0, (x) + (e))
#endif
#if OPTIONS & RING_OUT_HALF
typedef half Result;
#define store_result store_half
#else
typedef float Result;
#define store_result store_float
#endif

#define LOG2_E 1.44269504088896340736f
#define LN_2 0.69314718055994530942f
#define GROUP_SIZE (LANES_A_QUERY == 1 ? 16 : 128)
#define NUM_KEYS (OPTIONS & RING_EMBEDDING ? 5 : 4)
#define EACH_KEY _Pragma("unroll") for (int j = 0; j < NUM_KEYS; j++)

// A lane's columns run from lane * STEP on, STEP at a time, LANES_A_QUERY * STEP apart.
#if LANES_A_QUERY == 1
#define STEP 16
typedef float16 Columns;
static inline float add_columns(float16 x) {
    const float8 a = x.lo + x.hi;
    const float4 b = a.lo + a.hi;
    return (b.x + b.y) + (b.z + b.w);
}
#define load_columns_element load16_element
#define load_columns_float load16_float
#define PUT_COLUMNS(x, to) vstore16(x, 0, to)
#define GET_COLUMNS(from) vload16(0, from)
#else
#define STEP 4
typedef float4 Columns;
static inline float add_columns(float4 x) { return (x.x + x.y) + (x.z + x.w); }
#define load_columns_element load4_element
#define load_columns_float(x, e) vload4(0, (x) + (e))
#define PUT_COLUMNS(x, to) vstore4(x, 0, to)
#define GET_COLUMNS(from) vload4(0, from)
#endif

// Columns from element e on, of which `left` belong to the row; the others are 0.
#define LOADER(name, Type, load_columns, load_one)                                                 \
    static inline Columns name(__global const Type *x, uint e, uint left) {                        \
        if (left >= STEP) return load_columns(x, e);                                               \
        float columns[STEP];                                                                       \
        _Pragma("unroll") for (uint i = 0; i < STEP; i++) columns[i] =                             \
            i < left ? load_one(x, e + i) : 0.0f;                                                  \
        return GET_COLUMNS(columns);                                                               \
    }
LOADER(load_part, Element, load_columns_element, load_element)
LOADER(load_relay, float, load_columns_float, load_float)

__kernel __attribute__((reqd_work_group_size(GROUP_SIZE, 1, 1))) void
ring(__global const Element *q, __global const Element *k, __global const Element *v,
     __global const Element *k_emb, __global const Element *v_emb, __global const float *relay,
     __global Result *out, __global float *lse, const Params params, uint first_group) {
    const Params *p = &params;
    const uint lane = (uint)get_local_id(0) % LANES_A_QUERY;
    const uint item = group_index(first_group) * (GROUP_SIZE / LANES_A_QUERY) +
                      (uint)get_local_id(0) / LANES_A_QUERY;
    const uint i = item % p->num_positions;
    const uint head = item / p->num_positions % p->num_heads;
    const uint batch = item / p->num_positions / p->num_heads;
    const bool exists = batch < p->num_batches;

    uint n = p->num_positions;
    if (has(RING_LENGTHS) && exists)
        n = (uint)clamp(((__global const int *)relay)[p->base_relay + p->batch_begin + batch], 0,
                        (int)p->num_positions);
    const bool valid = exists && i < n && !has(RING_PRUNED);
    const uint kv_head = (head + p->head_phase) / p->heads_per_kv;
    const uint record = (p->batch_begin + batch) * p->kv_heads + p->kv_begin + kv_head;
    const uint places[3] = {i == 0u ? n - 1u : i - 1u, i, i + 1u == n ? 0u : i + 1u};

    const uint q_at = p->base_q + batch * p->q_batch + head * p->q_head + i * p->q_row;
    const uint k_at = p->base_k + batch * p->k_batch + kv_head * p->k_head;
    const uint k_emb_at =
        p->base_k_emb + batch * p->k_emb_batch + kv_head * p->k_emb_head + i * p->k_emb_row;
    const uint relay_k_at = p->base_relay + p->relay_k_at + record * p->head_size;
    float product[NUM_KEYS];
    EACH_KEY product[j] = 0.0f;
    for (uint d = STEP * lane; valid && d < p->head_size; d += STEP * LANES_A_QUERY) {
        const uint left = p->head_size - d;
        const Columns x = load_part(q, q_at + d, left);
        _Pragma("unroll") for (int j = 0; j < 3; j++) product[j] +=
            add_columns(x * load_part(k, k_at + places[j] * p->k_row + d, left));
        product[3] += add_columns(x * load_relay(relay, relay_k_at + d, left));
#if OPTIONS & RING_EMBEDDING
        product[4] += add_columns(x * load_part(k_emb, k_emb_at + d, left));
#endif
    }
#if LANES_A_QUERY > 1
    __local float shares[NUM_KEYS * GROUP_SIZE];
    const uint first = (uint)get_local_id(0) - lane;
    EACH_KEY shares[j * GROUP_SIZE + get_local_id(0)] = product[j];
    barrier(CLK_LOCAL_MEM_FENCE);
    EACH_KEY {
        product[j] = 0.0f;
        for (uint l = 0; l < LANES_A_QUERY; l++) product[j] += shares[j * GROUP_SIZE + first + l];
    }
#endif
    if (!exists) return;

    float top = product[0] * p->scale, sum = 0.0f;
    EACH_KEY {
        product[j] *= p->scale;
        top = fmax(top, product[j]);
    }
    EACH_KEY {
        product[j] = exp2((product[j] - top) * LOG2_E);
        sum += product[j];
    }
    const float factor = 1.0f / sum;
    const uint v_at = p->base_v + batch * p->v_batch + kv_head * p->v_head;
    const uint v_emb_at =
        p->base_v_emb + batch * p->v_emb_batch + kv_head * p->v_emb_head + i * p->v_emb_row;
    const uint relay_v_at = p->base_relay + p->relay_v_at + record * p->value_size;
    const uint to = p->base_out + batch * p->out_batch + head * p->out_head + i * p->out_row;
    for (uint d = STEP * lane; has(RING_OUT) && d < p->value_size; d += STEP * LANES_A_QUERY) {
        const uint left = p->value_size - d;
        Columns x = 0.0f;
        if (valid) {
            _Pragma("unroll") for (int j = 0; j < 3; j++) x +=
                product[j] * load_part(v, v_at + places[j] * p->v_row + d, left);
            x += product[3] * load_relay(relay, relay_v_at + d, left);
#if OPTIONS & RING_EMBEDDING
            x += product[4] * load_part(v_emb, v_emb_at + d, left);
#endif
            x *= factor;
        }
        float columns[STEP];
        PUT_COLUMNS(x, columns);
        _Pragma("unroll") for (uint c = 0; c < STEP; c++) if (c < left)
            store_result(out, to + d + c, columns[c]);
    }
    if (has(RING_LSE) && lane == 0u)
        lse[p->base_lse + batch * p->lse_batch + head * p->lse_head + i * p->lse_row] =
            valid ? top + log2(sum) * LN_2 : -INFINITY;
}
