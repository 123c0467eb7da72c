#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// ring: each query over its neighbours on a ring, itself, its embedding and the relay. LANES invocations own a
// query, each of them columns in fours that lie 4 * LANES apart; their shares of the products meet in shared
// memory. See params/ring.h.
//
// Defines: LANES (16: 8 queries a workgroup; 1: 16 queries a workgroup, nothing is shared).

#include "../params/ring.h"
#define KERNEL_PARAMS RING_PARAMS
#define KERNEL_SPECIALISATION RING_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"

#if LANES == 1
#define GROUP_SIZE 16
#else
#define GROUP_SIZE 128
shared float shares[5 * GROUP_SIZE];
#endif
layout(local_size_x = GROUP_SIZE) in;

layout(std430, set = 0, binding = 0) readonly buffer Q { uint q[]; };
layout(std430, set = 0, binding = 1) readonly buffer K { uint k[]; };
layout(std430, set = 0, binding = 2) readonly buffer V { uint v[]; };
layout(std430, set = 0, binding = 3) readonly buffer KEmb { uint k_emb[]; };
layout(std430, set = 0, binding = 4) readonly buffer VEmb { uint v_emb[]; };
layout(std430, set = 0, binding = 5) readonly buffer Relay { uint relay[]; };
layout(std430, set = 0, binding = 6) writeonly buffer Out { uint out_words[]; };
layout(std430, set = 0, binding = 7) writeonly buffer Lse { float lse[]; };

#define EACH(i, n) [[unroll]] for (int i = 0; i < n; ++i)

bool has(uint option) { return (OPTIONS & option) != 0u; }

// Elements e .. e + 3, of which only `left` belong to the row; the others are read as 0.
#define LOADER(load, name, is_half) \
    float load##_one(uint e) { \
        if (!(is_half)) return uintBitsToFloat(name[e]); \
        return unpackHalf2x16(name[e >> 1])[e & 1u]; \
    } \
    vec4 load(uint e, uint left) { \
        if (left >= 4u) \
            return vec4(load##_one(e), load##_one(e + 1u), load##_one(e + 2u), load##_one(e + 3u)); \
        vec4 x = vec4(load##_one(e), 0.0, 0.0, 0.0); \
        if (left > 1u) x.y = load##_one(e + 1u); \
        if (left > 2u) x.z = load##_one(e + 2u); \
        return x; \
    }
LOADER(load_q, q, has(RING_HALF))
LOADER(load_k, k, has(RING_HALF))
LOADER(load_v, v, has(RING_HALF))
LOADER(load_k_emb, k_emb, has(RING_HALF))
LOADER(load_v_emb, v_emb, has(RING_HALF))
LOADER(load_relay, relay, false)

// Products with the keys, then weights: neighbours and itself, the relay, the embedding.
float product[5];

// Brings the lanes' shares of the products together, in all of them.
void add_lanes(uint lane) {
#if LANES > 1
    uint first = gl_LocalInvocationIndex - lane;
    EACH(j, 5) shares[j * GROUP_SIZE + gl_LocalInvocationIndex] = product[j];
    barrier();
    EACH(j, 5) {
        product[j] = 0.0;
        for (uint i = 0u; i < LANES; ++i) product[j] += shares[j * GROUP_SIZE + first + i];
    }
#endif
}

// Products to weights; returns the lse.
float weigh() {
    int num = has(RING_EMBEDDING) ? 5 : 4;
    float top = product[0] *= p.scale;
    EACH(j, 4) {
        product[j + 1] *= p.scale;
        if (j + 1 < num) top = max(top, product[j + 1]);
    }
    float sum = 0.0, all = 0.0; // all: NaN if a product is
    EACH(j, 5) {
        all += j < num ? product[j] : 0.0;
        product[j] = j < num ? exp2((product[j] - top) * LOG2_E) : 0.0;
        sum += product[j];
    }
    if (is_nan(all)) sum = NOT_A_NUMBER; // which max and exp2 may lose
    EACH(j, 5) product[j] /= sum;
    return top + log2(sum) * LN_2;
}

void store(uint e, uint left, vec4 x) {
    if (has(RING_OUT_HALF)) {
        out_words[e >> 1] = pack_half(x.xy);
        if (left > 2u) out_words[(e >> 1) + 1u] = pack_half(x.zw);
        return;
    }
    out_words[e] = floatBitsToUint(x.x);
    if (left > 1u) out_words[e + 1u] = floatBitsToUint(x.y);
    if (left > 2u) out_words[e + 2u] = floatBitsToUint(x.z);
    if (left > 3u) out_words[e + 3u] = floatBitsToUint(x.w);
}

void main() {
    uint lane = gl_LocalInvocationIndex % LANES;
    uint item = group_index() * (GROUP_SIZE / LANES) + gl_LocalInvocationIndex / LANES;
    uint i = item % p.num_positions;
    uint head = item / p.num_positions % p.num_heads;
    uint batch = item / p.num_positions / p.num_heads;
    bool exists = batch < p.num_batches;

    uint n = p.num_positions;
    if (has(RING_LENGTHS) && exists)
        n = uint(clamp(int(relay[p.base_relay + p.batch_begin + batch]), 0, int(p.num_positions)));
    bool valid = exists && i < n && !has(RING_PRUNED);
    uint kv_head = (head + p.head_phase) / p.heads_per_kv;
    uint record = (p.batch_begin + batch) * p.kv_heads + p.kv_begin + kv_head;
    uint before = i == 0u ? n - 1u : i - 1u;
    uint after = i + 1u == n ? 0u : i + 1u;

    uint q_at = p.base_q + batch * p.q_batch + head * p.q_head + i * p.q_row;
    uint k_at = p.base_k + batch * p.k_batch + kv_head * p.k_head;
    uint emb_at = p.base_k_emb + batch * p.k_emb_batch + kv_head * p.k_emb_head + i * p.k_emb_row;
    uint relay_at = p.base_relay + p.relay_k_at + record * p.head_size;
    EACH(j, 5) product[j] = 0.0;
    for (uint d = 4u * lane; valid && d < p.head_size; d += 4u * LANES) {
        uint left = p.head_size - d;
        vec4 x = load_q(q_at + d, left);
        product[0] += dot(x, load_k(k_at + before * p.k_row + d, left));
        product[1] += dot(x, load_k(k_at + i * p.k_row + d, left));
        product[2] += dot(x, load_k(k_at + after * p.k_row + d, left));
        product[3] += dot(x, load_relay(relay_at + d, left));
        if (has(RING_EMBEDDING)) product[4] += dot(x, load_k_emb(emb_at + d, left));
    }
    add_lanes(lane);
    if (!exists) return;
    float log_sum = valid ? weigh() : -INFINITY;

    uint v_at = p.base_v + batch * p.v_batch + kv_head * p.v_head;
    emb_at = p.base_v_emb + batch * p.v_emb_batch + kv_head * p.v_emb_head + i * p.v_emb_row;
    relay_at = p.base_relay + p.relay_v_at + record * p.value_size;
    uint to = p.base_out + batch * p.out_batch + head * p.out_head + i * p.out_row;
    for (uint d = 4u * lane; has(RING_OUT) && d < p.value_size; d += 4u * LANES) {
        uint left = p.value_size - d;
        vec4 x = vec4(0.0);
        if (valid) {
            x = product[0] * load_v(v_at + before * p.v_row + d, left) +
                product[1] * load_v(v_at + i * p.v_row + d, left) +
                product[2] * load_v(v_at + after * p.v_row + d, left) +
                product[3] * load_relay(relay_at + d, left);
            if (has(RING_EMBEDDING)) x += product[4] * load_v_emb(emb_at + d, left);
        }
        store(to + d, left, x);
    }
    if (has(RING_LSE) && lane == 0u)
        lse[p.base_lse + batch * p.lse_batch + head * p.lse_head + i * p.lse_row] = log_sum;
}
