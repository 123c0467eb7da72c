// Lowers Nystromformer: landmarks (kernel `segments`), K3 v (attention with landmarks for queries), the
// pseudo-inverse of K2 (`softmax`, `pinv`, `gemm`), and K1 times Z K3 v, which is attention with landmarks
// for keys.
//
// A batch entry with no more valid positions than landmarks is dense attention. Only the device knows, but
// that is K1 again, where each position is its own landmark and the value of a landmark is the position's:
// `segments` copies those values over Z K3 v.

#include "nystromformer.h"

#include "../lower_rows.h"

#include "../../shaders/params/pinv.h"

#include <string.h>

typedef struct pinv_params {
    PINV_PARAMS(IKATI_PARAM_FIELD)
} pinv_params;

// Scratch, float32: [B,H,L,...].
typedef struct nystrom {
    const ikati_request *request;
    ikati_lowering *lowering;
    ikati_attention call; // q, k, v as float32; out before the convolution
    uint32_t num_batches, num_heads, heads_per_kv, num_positions, size, value_size;
    uint32_t landmarks;
    uint32_t queries, keys, values; // landmarks; Z K3 v
    uint32_t kernel, inverse, swap; // K2; Z, and the next
    uint32_t a, x;                  // of an iteration
    ikat_tensor widened[3], base;
} nystrom;

static uint32_t scratch(const nystrom *s, uint64_t a_head) {
    return ikati_lowering_scratch(s->lowering,
                                  (uint64_t)s->num_batches * s->num_heads * a_head * sizeof(float));
}

static ikati_matrices squares(const nystrom *s, uint32_t of) {
    return ikati_matrices_of_scratch(of, s->num_heads, s->landmarks, s->landmarks);
}

static ikati_matrices rows(const nystrom *s, uint32_t of, uint32_t columns) {
    return ikati_matrices_of_scratch(of, s->num_heads, s->landmarks, columns);
}

static ikati_view view_rows(const nystrom *s, uint32_t of, uint32_t columns, ikat_tensor *tensor) {
    *tensor =
        ikati_packed_tensor(IKAT_FLOAT32, s->num_batches, s->num_heads, s->landmarks, columns);
    return (ikati_view){IKATI_SLOT_SCRATCH, of, tensor};
}

static ikat_status make_landmarks(const nystrom *s, const ikati_view *of, uint32_t heads_per_kv,
                                  uint32_t columns, bool alone, uint32_t to) {
    const ikati_segments segments = {
        .x = ikati_matrices_of(of, 0, 1, 2, 3),
        .lengths = s->call.lengths,
        .num_batches = s->num_batches,
        .num_heads = s->num_heads,
        .heads_per_kv = heads_per_kv,
        .num_rows = s->num_positions,
        .num_columns = columns,
        .num_segments = s->landmarks,
        .alone = alone,
        .to = to,
    };
    return ikati_lower_segments(s->lowering, &segments);
}

// c = scale a b + a_scale a, squares all.
static ikat_status multiply(const nystrom *s, double scale, uint32_t a, uint32_t b, double a_scale,
                            uint32_t c) {
    const ikati_gemm gemm = {
        .a = squares(s, a),
        .b = squares(s, b),
        .bias = a_scale != 0 ? squares(s, a) : (ikati_matrices){0},
        .c = squares(s, c),
        .num_batches = s->num_batches,
        .num_heads = s->num_heads,
        .num_rows = s->landmarks,
        .num_columns = s->landmarks,
        .depth = s->landmarks,
        .scale = scale,
        .bias_scale = a_scale,
    };
    return ikati_lower_gemm(s->lowering, &gemm);
}

// K2 = softmax(scale qt kt^T), by way of room that is free yet.
static ikat_status make_kernel(const nystrom *s) {
    const ikati_matrices keys = rows(s, s->keys, s->size);
    const ikati_gemm gemm = {
        .a = rows(s, s->queries, s->size),
        .b = {keys.kind, keys.index, keys.dtype, 0, keys.batch, keys.head, 1, s->size},
        .c = squares(s, s->a),
        .num_batches = s->num_batches,
        .num_heads = s->num_heads,
        .num_rows = s->landmarks,
        .num_columns = s->landmarks,
        .depth = s->size,
        .scale = s->call.scale,
    };
    const ikati_matrices scores = ikati_matrices_of_scratch(s->a, 1, 1, s->landmarks);
    ikat_status status = ikati_lower_gemm(s->lowering, &gemm);
    return status ? status
                  : ikati_lower_softmax(s->lowering, &scores,
                                        s->num_batches * s->num_heads * s->landmarks, s->landmarks,
                                        s->kernel);
}

// Steps of kernel pinv over as many matrices at once as can be bound.
static ikat_status add_pinv(const nystrom *s, uint32_t options, uint32_t mask_table,
                            uint32_t largest, uint32_t to) {
    const uint32_t all = s->num_batches * s->num_heads;
    const uint64_t matrix = (uint64_t)s->landmarks * s->landmarks;
    const uint64_t fitting = ikati_lowering_binding_bytes(s->lowering) / (matrix * sizeof(float));
    const uint32_t most = fitting < all ? (uint32_t)fitting : all;
    const bool finds = (options & PINV_LARGEST) != 0;
    const ikati_view *lengths = &s->call.lengths;
    ikat_status status = IKAT_OK;
    if (!most) {
        return ikati_fail(s->lowering->host, IKAT_UNSUPPORTED, IKAT_MESSAGE_DEVICE,
                          "a matrix of %u landmarks exceeds what %s binds at once", s->landmarks,
                          ikati_lowering_device(s->lowering)->id);
    }
    for (uint32_t first = 0; first < all && !status; first += most) {
        const uint32_t count = ikati_next_range(first, most, all).count;
        ikati_step step = {0};
        const ikati_pick pick = {.offers = IKATI_NEED_FLOAT};
        status = ikati_pick_variant(s->lowering, IKATI_KERNEL_pinv, &pick, &step);
        const pinv_params params = {.num_matrices = count,
                                    .first = first,
                                    .total_matrices = all,
                                    .num_heads = s->num_heads,
                                    .size = s->landmarks};
        step.operands[0] = (ikati_operand){IKATI_SLOT_SCRATCH, s->kernel, IKAT_FLOAT32,
                                           first * matrix, count * matrix};
        if (options & PINV_LENGTHS) {
            step.operands[1] = (ikati_operand){lengths->kind, lengths->index, IKAT_INT32,
                                               (uint64_t)lengths->tensor->offset, s->num_batches};
        }
        if (options & PINV_MASK) {
            step.operands[2] =
                (ikati_operand){IKATI_SLOT_TABLE, mask_table, IKAT_INT32, 0, s->num_heads};
        }
        if (!finds) {
            step.operands[3] = (ikati_operand){IKATI_SLOT_SCRATCH, largest, IKAT_FLOAT32, 0, all};
        }
        step.operands[4] =
            (ikati_operand){IKATI_SLOT_SCRATCH, to, IKAT_FLOAT32, first * (finds ? 1 : matrix),
                            count * (finds ? 1 : matrix)};
        step.specialisation[0] = options;
        step.num_groups =
            finds ? count
                  : ikati_divide_up(count * matrix, step.variant ? step.variant->tile_rows : 1);
        step.flops = (double)count * (double)matrix;
        memcpy(step.params, &params, sizeof(params));
        status =
            status ? status
                   : ikati_lowering_step(s->lowering, &step, IKAT_FLOAT32, finds ? ".largest" : "");
    }
    return status;
}

// Z = K2^T / c.
static ikat_status begin_inverse(const nystrom *s) {
    const bool common = ikati_setting(s->request, "pinv_init")->integer == 1;
    const uint32_t largest = scratch(s, 1);
    uint32_t mask = 0, options = 0;
    if (common) { // c of a head by itself is nobody else's
        options |= s->call.lengths.kind ? PINV_LENGTHS : 0;
        options |= s->call.head_mask ? PINV_MASK : 0;
    }
    if (options & PINV_MASK) {
        mask = ikati_lowering_table(s->lowering, s->call.head_mask, s->num_heads * sizeof(int32_t));
    }
    if (largest == UINT32_MAX || mask == UINT32_MAX) {
        return IKAT_NO_MEMORY;
    }
    ikat_status status = add_pinv(s, options | PINV_LARGEST, mask, 0, largest);
    return status ? status : add_pinv(s, common ? PINV_COMMON : 0, 0, largest, s->inverse);
}

// Z = 1/4 Z (13 I - A (15 I - A (7 I - A))), A = K2 Z, without adding to diagonals: large numbers there would
// be summed up in another order for each column, and what that leaves in directions in which K2 is singular
// grows by 13/4 a round.
static ikat_status iterate(nystrom *s) {
    ikat_status status = begin_inverse(s);
    const int64_t iterations = ikati_setting(s->request, "pinv_iterations")->integer;
    for (int64_t i = 0; i < iterations && !status; i++) {
        status = multiply(s, 1, s->kernel, s->inverse, 0, s->a);
        status = status ? status : multiply(s, 1, s->a, s->a, -7, s->x);
        status = status ? status : multiply(s, 1, s->a, s->x, 15, s->swap);
        // x is free: the next Z goes there, and what it was in takes its place.
        status = status ? status : multiply(s, -0.25, s->inverse, s->swap, 3.25, s->x);
        const uint32_t old = s->inverse;
        s->inverse = s->x;
        s->x = old;
    }
    return status;
}

// Z K3 v, or the values themselves.
static ikat_status make_values(const nystrom *s) {
    const uint32_t seen = scratch(s, (uint64_t)s->landmarks * s->value_size);
    if (seen == UINT32_MAX) {
        return IKAT_NO_MEMORY;
    }
    ikat_tensor tensors[2];
    ikati_attention attention = s->call;
    attention.q = view_rows(s, s->queries, s->size, &tensors[0]);
    attention.out = view_rows(s, seen, s->value_size, &tensors[1]);
    attention.is_cross = true;
    const ikati_gemm gemm = {
        .a = squares(s, s->inverse),
        .b = rows(s, seen, s->value_size),
        .c = rows(s, s->values, s->value_size),
        .num_batches = s->num_batches,
        .num_heads = s->num_heads,
        .num_rows = s->landmarks,
        .num_columns = s->value_size,
        .depth = s->landmarks,
        .scale = 1,
    };
    ikat_status status = ikati_lower_attention(s->lowering, &attention);
    status = status ? status : ikati_lower_gemm(s->lowering, &gemm);
    return status || !s->call.lengths.kind
               ? status
               : make_landmarks(s, &s->call.v, s->heads_per_kv, s->value_size, true, s->values);
}

// Attention of all positions over the landmarks, as many as there are valid positions at the most.
static ikat_status attend_landmarks(const nystrom *s) {
    ikat_tensor tensors[2];
    ikati_attention attention = s->call;
    attention.k = view_rows(s, s->keys, s->size, &tensors[0]);
    attention.v = view_rows(s, s->values, s->value_size, &tensors[1]);
    attention.query_lengths = s->call.lengths;
    attention.is_cross = true;
    return ikati_lower_attention(s->lowering, &attention);
}

static ikat_status lower_landmarks(nystrom *s) {
    const uint64_t l = s->landmarks;
    ikati_view *const widened[] = {&s->call.q, &s->call.k, &s->call.v};
    ikat_status status = IKAT_OK;
    for (int i = 0; i < 3 && !status; i++) {
        status = ikati_lower_widen(s->lowering, widened[i], &s->widened[i]);
    }
    const struct {
        uint32_t *index;
        uint64_t size;
    } rooms[] = {{&s->queries, l * s->size},
                 {&s->keys, l * s->size},
                 {&s->values, l * s->value_size},
                 {&s->kernel, l * l},
                 {&s->inverse, l * l},
                 {&s->swap, l * l},
                 {&s->a, l * l},
                 {&s->x, l * l}};
    for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]) && !status; i++) {
        *rooms[i].index = scratch(s, rooms[i].size);
        status = *rooms[i].index == UINT32_MAX ? IKAT_NO_MEMORY : IKAT_OK;
    }
    status = status ? status : make_landmarks(s, &s->call.q, 1, s->size, false, s->queries);
    status =
        status ? status : make_landmarks(s, &s->call.k, s->heads_per_kv, s->size, false, s->keys);
    status = status ? status : make_kernel(s);
    status = status ? status : iterate(s);
    status = status ? status : make_values(s);
    return status ? status : attend_landmarks(s);
}

// Adds the convolution to the attention's result: to all heads at once, or where some are pruned to runs
// of heads that are alike. What is pruned stays 0.
static ikat_status convolve(const nystrom *s, const ikati_view *base, const ikati_view *v) {
    const ikati_view taps = ikati_input_view(s->request, "conv_v");
    const ikati_view out = ikati_output_view(s->request, 0);
    ikat_status status = IKAT_OK;
    for (uint32_t h = 0, end; h < s->num_heads && !status; h = end) {
        const bool kept = ikati_keeps_head(s->request, h);
        end = h + 1;
        while (end < s->num_heads && (!s->call.head_mask || s->heads_per_kv == 1) &&
               ikati_keeps_head(s->request, end) == kept) {
            end++;
        }
        ikati_convolve c = {
            .x = ikati_matrices_of(v, 0, 1, 2, 3),
            .taps = ikati_matrices_of(&taps, IKATI_NO_AXIS, 0, IKATI_NO_AXIS, 1),
            .base = ikati_matrices_of(base, 0, 1, 2, 3),
            .to = ikati_matrices_of(&out, 0, 1, 2, 3),
            .lengths = s->call.lengths,
            .num_batches = s->num_batches,
            .num_heads = end - h,
            .heads_per_kv = end - h > 1 ? s->heads_per_kv : 1,
            .num_rows = s->num_positions,
            .num_columns = s->value_size,
            .num_taps = kept ? (uint32_t)ikati_extent(s->request, "ks") : 0,
            .taps_left = kept ? (uint32_t)ikati_extent(s->request, "ks") / 2 : 0,
        };
        c.x.offset += h / s->heads_per_kv * c.x.head;
        c.taps.offset += h * c.taps.head;
        c.base.offset += h * c.base.head;
        c.to.offset += h * c.to.head;
        status = ikati_lower_convolve(s->lowering, &c);
    }
    return status;
}

// Float32 scratch for the result, where it is not the last step or of another type than the landmarks.
static ikat_status redirect_out(nystrom *s) {
    s->base = ikati_packed_tensor(IKAT_FLOAT32, s->num_batches, s->num_heads, s->num_positions,
                                  s->value_size);
    return ikati_scratch_view(s->lowering, &s->base, &s->call.out);
}

ikat_status ikati_nystromformer_lower(const ikati_request *request, ikati_lowering *lowering) {
    nystrom s = {
        .request = request,
        .lowering = lowering,
        .num_batches = (uint32_t)ikati_extent(request, "B"),
        .num_heads = (uint32_t)ikati_extent(request, "H"),
        .num_positions = (uint32_t)ikati_extent(request, "N"),
        .size = (uint32_t)ikati_extent(request, "D"),
        .value_size = (uint32_t)ikati_extent(request, "Dv"),
        .landmarks = (uint32_t)ikati_nystromformer_landmarks(request),
        .call = ikati_attention_of_call(request),
    };
    const ikati_view v = s.call.v, out = s.call.out;
    const bool convolves = ikati_input(request, "conv_v")->present;
    const bool rounds = s.landmarks && request->dtype == IKAT_FLOAT16 && !convolves;
    s.heads_per_kv = s.num_heads / (uint32_t)ikati_extent(request, "Hkv");
    s.call.lse = (ikati_view){0};
    if (!s.num_batches || !s.num_positions) {
        return IKAT_OK;
    }
    ikat_status status = convolves || rounds ? redirect_out(&s) : IKAT_OK;
    const ikati_view base = s.call.out;
    if (!status) {
        status = s.landmarks ? lower_landmarks(&s) : ikati_lower_attention(lowering, &s.call);
    }
    if (convolves) {
        return status ? status : convolve(&s, &base, &v);
    }
    return status || !rounds ? status : ikati_lower_copy(lowering, &base, &out);
}
