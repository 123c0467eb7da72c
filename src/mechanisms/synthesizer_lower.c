// Lowers Synthesizer to attention. Logits that are products of rows are all one product: the rows of dense
// (hidden layer and w2), factorized_random (r1, r2) and dot (q, k), each times its alpha, are written side
// by side (kernel `combine`) into one q and one k.
//
// What is no such product (random, factorized_dense), and rows wider than a head can be, become a bias:
// kernels `gemm` and `synthesize` make the logits of a block of rows, which attention reads, and then those
// of the next. So N x N logits are never in memory, but for the caller's or drawn r.

#include "synthesizer.h"

#include "../integers.h"
#include "../lower_rows.h"
#include "../philox.h"
#include "../row_blocks.h"

#include "../../shaders/params/synthesize.h"

#include <string.h>

typedef struct synthesize_params {
    SYNTHESIZE_PARAMS(IKATI_PARAM_FIELD)
} synthesize_params;

// Logits of a block of rows take no more.
static const uint64_t block_bytes = 64u << 20;

// The words of the plan's table: zeros, and the share of each component.
enum { ZEROS = 4, SHARE_AT = ZEROS, NUM_CONSTANTS = ZEROS + 1 };

typedef struct synthesizer {
    const ikati_request *request;
    ikati_lowering *lowering;
    int64_t num_batches, num_heads, num_kv_heads, group, num_positions, value_size;
    ikati_view lengths, v, out, lse;   // v and out as float32
    uint32_t constants;                // table
    uint32_t q, k;                     // scratch, [B,H,N,width] and [k_batches,k_heads,N,width]
    int64_t width, k_batches, k_heads; // width 0: no component is a product of rows
    bool is_wide;                      // more than a head can be
    bool is_blocked;                   // there is a bias
    bool causal;
    ikati_view r;
    uint32_t factors[2]; // scratch of factorized_dense, [B,factor_heads,N,factor_sizes]
    int64_t factor_sizes[2], factor_heads[2];
    ikat_tensor tensors[6]; // of v, out, r, r1, r2
} synthesizer;

static bool has(const synthesizer *s, ikati_component component) {
    return ikati_synthesizer_place(s->request, component) >= 0;
}

static ikati_view find(const synthesizer *s, const char *name) {
    return ikati_input_view(s->request, name);
}

// Extent of the first axis of [1 or H,...]; 1 of what is absent.
static int64_t heads_of(const ikati_view *view) { return view->kind ? view->tensor->shape[0] : 1; }

static uint32_t scratch(const synthesizer *s, int64_t elements) {
    return ikati_lowering_scratch(s->lowering, (uint64_t)elements * sizeof(float));
}

// The weight of a component, one a head: every element of a row.
static ikati_matrices alpha_of(const synthesizer *s, ikati_component component) {
    const ikati_view alpha = find(s, "alpha");
    if (!alpha.kind) {
        return (ikati_matrices){IKATI_SLOT_TABLE, s->constants, IKAT_FLOAT32, SHARE_AT, 0, 0, 0, 0};
    }
    ikati_matrices m = ikati_matrices_of(&alpha, IKATI_NO_AXIS, 0, IKATI_NO_AXIS, IKATI_NO_AXIS);
    m.offset += (uint64_t)ikati_synthesizer_place(s->request, component);
    return m;
}

// Columns of q or k.
typedef struct target {
    uint32_t scratch;
    int64_t batches, heads;
    int64_t column, num;
} target;

// Copies x, times y if it is there, to columns of q or k. A step for each of `group` heads in turn, whose
// neighbours share a head of x; 1 where each has its own or all share.
static ikat_status write_columns(const synthesizer *s, const target *to, ikati_matrices x,
                                 ikati_matrices y, double scale, int64_t group) {
    ikat_status status = IKAT_OK;
    for (int64_t g = 0; g < group && !status; g++) {
        const uint64_t head = (uint64_t)(s->num_positions * s->width);
        ikati_combine copy = {
            .combination = y.kind ? IKATI_COMBINE_MULTIPLY : IKATI_COMBINE_COPY,
            .scale = scale,
            .x = x,
            .y = y,
            .to = {IKATI_SLOT_SCRATCH, to->scratch, IKAT_FLOAT32,
                   (uint64_t)g * head + (uint64_t)to->column, head * (uint64_t)to->heads,
                   head * (uint64_t)group, (uint64_t)s->width, 1},
            .lengths = s->lengths,
            .num_batches = (uint32_t)to->batches,
            .num_heads = (uint32_t)(to->heads / group),
            .num_rows = (uint32_t)s->num_positions,
            .num_columns = (uint32_t)to->num,
        };
        if (to->batches != s->num_batches) {
            copy.lengths = (ikati_view){0}; // of all batch entries
        }
        status = ikati_lower_combine(s->lowering, &copy);
    }
    return status;
}

static target q_columns(const synthesizer *s, int64_t column, int64_t num) {
    return (target){s->q, s->num_batches, s->num_heads, column, num};
}
static target k_columns(const synthesizer *s, int64_t column, int64_t num) {
    return (target){s->k, s->k_batches, s->k_heads, column, num};
}

// x w + bias of a network's layer, float32 [B,heads,N,columns].
static ikat_status project(const synthesizer *s, const char *weight, const char *bias_name,
                           bool relu, uint32_t to, int64_t heads) {
    const ikati_view x = find(s, "x"), w = find(s, weight), bias = find(s, bias_name);
    const int64_t columns = w.tensor->shape[2];
    const ikati_gemm gemm = {
        .a = ikati_matrices_of(&x, 0, IKATI_NO_AXIS, 1, 2),
        .b = ikati_matrices_of(&w, IKATI_NO_AXIS, 0, 1, 2),
        .bias = ikati_matrices_of(&bias, IKATI_NO_AXIS, 0, IKATI_NO_AXIS, 1),
        .c = ikati_matrices_of_scratch(to, (uint64_t)heads, (uint64_t)s->num_positions,
                                       (uint64_t)columns),
        .num_batches = (uint32_t)s->num_batches,
        .num_heads = (uint32_t)heads,
        .num_rows = (uint32_t)s->num_positions,
        .num_columns = (uint32_t)columns,
        .depth = (uint32_t)w.tensor->shape[1],
        .scale = 1,
        .activation = relu ? IKATI_ACTIVATION_RELU : IKATI_ACTIVATION_NONE,
    };
    return ikati_lower_gemm(s->lowering, &gemm);
}

// Hidden layer and w2's columns; b2 is one more column of k, of q 1.
static ikat_status write_dense(const synthesizer *s, int64_t column) {
    const ikati_view w1 = find(s, "w1"), b1 = find(s, "b1"), w2 = find(s, "w2"), b2 = find(s, "b2");
    const int64_t size = w1.tensor->shape[2], heads = ikati_most(heads_of(&w1), heads_of(&b1));
    const uint32_t hidden = scratch(s, s->num_batches * heads * s->num_positions * size);
    const ikati_matrices alpha = alpha_of(s, IKATI_COMPONENT_DENSE), none = {0};
    const target to_q = q_columns(s, column, size), to_k = k_columns(s, column, size);
    if (hidden == UINT32_MAX) {
        return IKAT_NO_MEMORY;
    }
    ikati_matrices x = ikati_matrices_of_scratch(hidden, (uint64_t)heads,
                                                 (uint64_t)s->num_positions, (uint64_t)size);
    x.head = heads == 1 ? 0 : x.head;
    ikat_status status = project(s, "w1", "b1", true, hidden, heads);
    status = status ? status : write_columns(s, &to_q, x, alpha, 1, 1);
    x = ikati_matrices_of(&w2, IKATI_NO_AXIS, 0, 2, 1);
    status = status ? status : write_columns(s, &to_k, x, none, 1, 1);
    if (status || !b2.kind) {
        return status;
    }
    const target one_of_q = q_columns(s, column + size, 1),
                 one_of_k = k_columns(s, column + size, 1);
    x = ikati_matrices_of(&b2, IKATI_NO_AXIS, 0, 1, IKATI_NO_AXIS);
    status = write_columns(s, &one_of_q, alpha, none, 1, 1);
    return status ? status : write_columns(s, &one_of_k, x, none, 1, 1);
}

static ikat_status write_dot(const synthesizer *s, int64_t column) {
    const ikati_view q = find(s, "q"), k = find(s, "k");
    const int64_t size = q.tensor->shape[3];
    const ikati_call_setting *setting = ikati_setting(s->request, "scale");
    const double scale = setting->given ? setting->number : 1.0 / sqrt((double)size);
    const target to_q = q_columns(s, column, size), to_k = k_columns(s, column, size);
    const ikati_matrices none = {0};
    ikati_matrices alpha = alpha_of(s, IKATI_COMPONENT_DOT);
    if (scale == 0) { // no factor of `combine`
        alpha = (ikati_matrices){IKATI_SLOT_TABLE, s->constants, IKAT_FLOAT32, 0, 0, 0, 0, 0};
    }
    ikat_status status =
        write_columns(s, &to_q, ikati_matrices_of(&q, 0, 1, 2, 3), alpha, scale, 1);
    return status ? status
                  : write_columns(s, &to_k, ikati_matrices_of(&k, 0, 1, 2, 3), none, 1, s->group);
}

// [heads, Nmax, size] in (-limit, limit), Glorot's rule: a table of the plan, and an output.
static ikat_status draw(synthesizer *s, uint32_t stream, int64_t size, int64_t fan,
                        ikati_view *view, ikat_tensor *tensor) {
    const uint64_t seed = (uint64_t)ikati_setting(s->request, "seed")->integer;
    const int64_t length = ikati_synthesizer_max_length(s->request);
    const uint64_t count = (uint64_t)(s->num_heads * length * size);
    const double limit = sqrt(6.0 / (double)fan);
    float *values = ikati_alloc(s->lowering->host, (size_t)count, sizeof(*values));
    if (!values) {
        return IKAT_NO_MEMORY;
    }
    for (uint64_t i = 0; i < count; i++) {
        values[i] = (float)((2 * ikati_draw_uniform(seed, stream, i) - 1) * limit);
    }
    const uint32_t table = ikati_lowering_table(s->lowering, values, count * sizeof(*values));
    ikat_status status = table == UINT32_MAX ? IKAT_NO_MEMORY : IKAT_OK;
    status =
        status ? status : ikati_lowering_write_output(s->lowering, s->request, 2 + stream, values);
    ikati_free(s->lowering->host, values);
    *tensor = (ikat_tensor){.dtype = IKAT_FLOAT32,
                            .rank = 3,
                            .shape = {s->num_heads, length, size},
                            .strides = {length * size, size, 1}};
    *view = (ikati_view){IKATI_SLOT_TABLE, table, tensor};
    return status;
}

// r1 and r2 as given, or drawn.
static ikat_status find_factors(synthesizer *s, ikati_view views[2]) {
    const int64_t length = ikati_synthesizer_max_length(s->request);
    const int64_t rank = ikati_setting(s->request, "rank")->integer;
    views[0] = find(s, "r1");
    views[1] = find(s, "r2");
    const bool given = views[0].kind != IKATI_SLOT_NONE;
    ikat_status status = IKAT_OK;
    for (uint32_t i = 0; i < 2 && !given && !status; i++) {
        status = draw(s, 1 + i, rank, length + rank, &views[i], &s->tensors[3 + i]);
    }
    return status;
}

static ikat_status write_factors(const synthesizer *s, const ikati_view views[2], int64_t column) {
    const int64_t size = views[0].tensor->shape[2];
    const target to_q = q_columns(s, column, size), to_k = k_columns(s, column, size);
    const ikati_matrices none = {0};
    ikat_status status =
        write_columns(s, &to_q, ikati_matrices_of(&views[0], IKATI_NO_AXIS, 0, 1, 2),
                      alpha_of(s, IKATI_COMPONENT_FACTORIZED_RANDOM), 1, 1);
    return status ? status
                  : write_columns(s, &to_k, ikati_matrices_of(&views[1], IKATI_NO_AXIS, 0, 1, 2),
                                  none, 1, 1);
}

// How wide the rows of q and k are, and whether batch entries and heads share those of k.
static int64_t measure(synthesizer *s, const ikati_view factors[2]) {
    int64_t width = 0;
    s->k_batches = 1;
    s->k_heads = 1;
    if (has(s, IKATI_COMPONENT_DENSE)) {
        const ikati_view w2 = find(s, "w2"), b2 = find(s, "b2");
        width += w2.tensor->shape[1] + (b2.kind != IKATI_SLOT_NONE);
        s->k_heads = ikati_most(heads_of(&w2), heads_of(&b2));
    }
    if (has(s, IKATI_COMPONENT_FACTORIZED_RANDOM)) {
        width += factors[0].tensor->shape[2];
        s->k_heads = ikati_most(s->k_heads, heads_of(&factors[1]));
    }
    if (has(s, IKATI_COMPONENT_DOT)) {
        width += find(s, "q").tensor->shape[3];
        s->k_heads = s->num_heads;
        s->k_batches = s->num_batches;
    }
    return width;
}

// q and k side by side, rows of whole vectors.
static ikat_status write_rows(synthesizer *s, const ikati_view factors[2]) {
    const int64_t width = measure(s, factors);
    s->width = (width + 3) / 4 * 4;
    s->is_wide = s->width > IKATI_MAX_HEAD_SIZE;
    if (!width) {
        return IKAT_OK;
    }
    s->q = scratch(s, s->num_batches * s->num_heads * s->num_positions * s->width);
    s->k = scratch(s, s->k_batches * s->k_heads * s->num_positions * s->width);
    if (s->q == UINT32_MAX || s->k == UINT32_MAX) {
        return IKAT_NO_MEMORY;
    }
    ikat_status status = IKAT_OK;
    int64_t column = 0;
    if (has(s, IKATI_COMPONENT_DENSE)) {
        status = write_dense(s, column);
        column += find(s, "w2").tensor->shape[1] + (find(s, "b2").kind != IKATI_SLOT_NONE);
    }
    if (has(s, IKATI_COMPONENT_FACTORIZED_RANDOM) && !status) {
        status = write_factors(s, factors, column);
        column += factors[0].tensor->shape[2];
    }
    if (has(s, IKATI_COMPONENT_DOT) && !status) {
        status = write_dot(s, column);
    }
    const ikati_matrices zero = {IKATI_SLOT_TABLE, s->constants, IKAT_FLOAT32, 0, 0, 0, 0, 1};
    const target rest[] = {q_columns(s, width, s->width - width),
                           k_columns(s, width, s->width - width)};
    for (int i = 0; i < 2 && width < s->width && !status; i++) {
        status = write_columns(s, &rest[i], zero, (ikati_matrices){0}, 1, 1);
    }
    return status;
}

static ikat_status make_factors(synthesizer *s) {
    static const char *const weights[] = {"w_a", "w_b"}, *const biases[] = {"b_a", "b_b"};
    ikat_status status = IKAT_OK;
    for (int i = 0; i < 2 && !status; i++) {
        const ikati_view w = find(s, weights[i]), bias = find(s, biases[i]);
        s->factor_sizes[i] = w.tensor->shape[2];
        s->factor_heads[i] = ikati_most(heads_of(&w), heads_of(&bias));
        s->factors[i] =
            scratch(s, s->num_batches * s->factor_heads[i] * s->num_positions * s->factor_sizes[i]);
        status = s->factors[i] == UINT32_MAX
                     ? IKAT_NO_MEMORY
                     : project(s, weights[i], biases[i], false, s->factors[i], s->factor_heads[i]);
    }
    return status;
}

// A block's part of a view [B,heads,rows,columns]: every `step`th head from `head` on.
static ikati_view part_of(const ikati_view *view, const ikati_row_block *blk, int64_t head,
                          int64_t step, ikati_axis_range rows, ikat_tensor *tensor) {
    if (!view->kind) {
        return *view;
    }
    *tensor = *view->tensor;
    tensor->offset += (int64_t)blk->batches.first * tensor->strides[0] + head * tensor->strides[1] +
                      (int64_t)rows.first * tensor->strides[2];
    tensor->shape[0] = blk->batches.count;
    tensor->shape[1] = blk->heads.count / step;
    tensor->shape[2] = rows.count;
    tensor->strides[1] *= step;
    return (ikati_view){view->kind, view->index, tensor};
}

// q and k of attention: rows side by side, or zeros.
static ikati_view rows_view(const synthesizer *s, bool of_q, ikat_tensor *tensor) {
    const int64_t n = s->num_positions;
    if (!s->width || s->is_wide) {
        *tensor = ikati_packed_tensor(IKAT_FLOAT32, s->num_batches, s->num_heads, n, ZEROS);
        tensor->strides[0] = tensor->strides[1] = tensor->strides[2] = 0;
        return (ikati_view){IKATI_SLOT_TABLE, s->constants, tensor};
    }
    *tensor = ikati_packed_tensor(IKAT_FLOAT32, s->num_batches, s->num_heads, n, s->width);
    if (!of_q) {
        tensor->strides[0] = s->k_batches == 1 ? 0 : s->k_heads * n * s->width;
        tensor->strides[1] = s->k_heads == 1 ? 0 : n * s->width;
    }
    return (ikati_view){IKATI_SLOT_SCRATCH, of_q ? s->q : s->k, tensor};
}

// Attention of a block's rows, a step for the heads that are the g-th of their key/value head each. bias: of
// kind NONE, or the block's.
static ikat_status attend_group(const synthesizer *s, const ikati_row_block *blk,
                                const ikati_view *bias, int64_t g, int32_t *head_mask) {
    const ikati_axis_range all = {0, (uint32_t)s->num_positions}, own = {0, blk->rows.count};
    const int64_t head = blk->heads.first + g, step = s->group;
    const ikati_row_block own_bias = {.batches = {0, blk->batches.count}, .heads = blk->heads};
    ikati_row_block kv = *blk;
    kv.heads.count /= (uint32_t)step;
    ikat_tensor tensors[8];
    const ikati_view q = rows_view(s, true, &tensors[0]), k = rows_view(s, false, &tensors[1]);
    ikati_attention attention = {
        .q = part_of(&q, blk, head, step, blk->rows, &tensors[2]),
        .k = part_of(&k, blk, head, step, all, &tensors[3]),
        .v = part_of(&s->v, &kv, blk->heads.first / step, 1, all, &tensors[4]),
        .out = part_of(&s->out, blk, head, step, blk->rows, &tensors[5]),
        .lse = part_of(&s->lse, blk, head, step, blk->rows, &tensors[6]),
        .bias = part_of(bias, &own_bias, g, step, own, &tensors[7]),
        .lengths = s->lengths,
        .is_cross = bias->kind != IKATI_SLOT_NONE, // which says what rows see
        .scale = 1,
        .window_left = -1,
        .window_right = s->causal && !bias->kind ? 0 : -1,
    };
    ikat_tensor lengths;
    if (s->lengths.kind) {
        lengths = *s->lengths.tensor;
        lengths.offset += blk->batches.first;
        lengths.shape[0] = blk->batches.count;
        attention.lengths.tensor = &lengths;
    }
    if (ikati_head_mask(s->request)) {
        for (int64_t h = 0; h < kv.heads.count; h++) {
            head_mask[h] = ikati_keeps_head(s->request, head + h * step);
        }
        attention.head_mask = head_mask;
    }
    return ikati_lower_attention(s->lowering, &attention);
}

static ikat_status attend_block(const synthesizer *s, const ikati_row_block *blk,
                                const ikati_view *bias) {
    int32_t *head_mask = ikati_alloc(s->lowering->host, blk->heads.count, sizeof(*head_mask));
    ikat_status status = head_mask ? IKAT_OK : IKAT_NO_MEMORY;
    for (int64_t g = 0; g < s->group && !status; g++) {
        status = attend_group(s, blk, bias, g, head_mask);
    }
    ikati_free(s->lowering->host, head_mask);
    return status;
}

// Logits of a block that are products of rows too wide for a head.
static ikat_status multiply_block(const synthesizer *s, const ikati_row_block *blk, uint32_t to) {
    const int64_t n = s->num_positions, w = s->width;
    const uint64_t a_head = (uint64_t)(n * w), b_head = s->k_heads == 1 ? 0 : a_head;
    const uint64_t b_batch = s->k_batches == 1 ? 0 : a_head * (uint64_t)s->k_heads;
    const uint64_t a_batch = a_head * (uint64_t)s->num_heads;
    const uint64_t batch = blk->batches.first, head = blk->heads.first;
    const ikati_gemm gemm = {
        .a = {IKATI_SLOT_SCRATCH, s->q, IKAT_FLOAT32,
              batch * a_batch + head * a_head + blk->rows.first * (uint64_t)w, a_batch, a_head,
              (uint64_t)w, 1},
        .b = {IKATI_SLOT_SCRATCH, s->k, IKAT_FLOAT32, batch * b_batch + head * b_head, b_batch,
              b_head, 1, (uint64_t)w},
        .c = ikati_matrices_of_scratch(to, blk->heads.count, blk->rows.count, (uint64_t)n),
        .num_batches = blk->batches.count,
        .num_heads = blk->heads.count,
        .num_rows = blk->rows.count,
        .num_columns = (uint32_t)n,
        .depth = (uint32_t)w,
        .scale = 1,
    };
    return ikati_lower_gemm(s->lowering, &gemm);
}

// The operand of a factor's rows, and its strides.
static ikati_operand factor_operand(const synthesizer *s, int which, const ikati_row_block *blk,
                                    uint32_t *out_batch, uint32_t *out_head) {
    ikati_matrices m =
        ikati_matrices_of_scratch(s->factors[which], (uint64_t)s->factor_heads[which],
                                  (uint64_t)s->num_positions, (uint64_t)s->factor_sizes[which]);
    m.head = s->factor_heads[which] == 1 ? 0 : m.head;
    *out_batch = ikati_step_of(m.batch, blk->batches.count);
    *out_head = ikati_step_of(m.head, blk->heads.count);
    return ikati_matrices_operand(&m, blk->batches, blk->heads, blk->rows,
                                  (uint32_t)s->factor_sizes[which]);
}

static uint32_t synthesize_options(const synthesizer *s, const ikati_matrices *alpha) {
    const bool outer = ikati_setting(s->request, "tiling")->integer == 1; // "tile,outer"
    return (s->is_wide ? SYNTHESIZE_BASE : 0) | (s->r.kind ? SYNTHESIZE_RANDOM : 0) |
           (s->r.kind && s->r.tensor->dtype == IKAT_FLOAT16 ? SYNTHESIZE_R_HALF : 0) |
           (has(s, IKATI_COMPONENT_FACTORIZED_DENSE) ? SYNTHESIZE_FACTORS : 0) |
           (outer ? SYNTHESIZE_OUTER : 0) |
           (alpha->dtype == IKAT_FLOAT16 ? SYNTHESIZE_ALPHA_HALF : 0) |
           (s->lengths.kind ? SYNTHESIZE_LENGTHS : 0) | (s->causal ? SYNTHESIZE_CAUSAL : 0);
}

static ikat_status synthesize_block(const synthesizer *s, const ikati_row_block *blk, uint32_t base,
                                    uint32_t to) {
    const uint64_t count = (uint64_t)blk->batches.count * blk->heads.count * blk->rows.count *
                           (uint64_t)s->num_positions;
    const ikati_axis_range one = {0, 1};
    const uint32_t n = (uint32_t)s->num_positions;
    ikati_matrices alpha = alpha_of(s, IKATI_COMPONENT_DOT); // any: its places follow
    const bool weighted = find(s, "alpha").kind != IKATI_SLOT_NONE;
    const int random = ikati_synthesizer_place(s->request, IKATI_COMPONENT_RANDOM);
    const int factors = ikati_synthesizer_place(s->request, IKATI_COMPONENT_FACTORIZED_DENSE);
    const int places[] = {weighted && random > 0 ? random : 0,
                          weighted && factors > 0 ? factors : 0};
    if (weighted) {
        const ikati_view view = find(s, "alpha");
        alpha.offset = (uint64_t)view.tensor->offset;
    }
    ikati_step step = {0};
    const ikati_pick pick = {.offers = IKATI_NEED_FLOAT};
    ikat_status status = ikati_pick_variant(s->lowering, IKATI_KERNEL_synthesize, &pick, &step);
    if (status) {
        return status;
    }
    synthesize_params params = {
        .num_batches = blk->batches.count,
        .num_heads = blk->heads.count,
        .num_rows = blk->rows.count,
        .row_begin = blk->rows.first,
        .num_columns = n,
        .size_a = (uint32_t)s->factor_sizes[0],
        .size_b = (uint32_t)s->factor_sizes[1],
        .alpha_head = ikati_step_of(alpha.head, blk->heads.count),
        .random_at = (uint32_t)places[0],
        .factors_at = (uint32_t)places[1],
    };
    if (s->is_wide) {
        step.operands[0] = (ikati_operand){IKATI_SLOT_SCRATCH, base, IKAT_FLOAT32, 0, count};
    }
    if (s->r.kind) {
        const ikati_matrices r = ikati_matrices_of(&s->r, IKATI_NO_AXIS, 0, 1, 2);
        params.r_head = ikati_step_of(r.head, blk->heads.count);
        params.r_row = ikati_step_of(r.row, blk->rows.count);
        step.operands[1] = ikati_matrices_operand(&r, one, blk->heads, blk->rows, n);
    }
    if (factors >= 0) {
        step.operands[2] = factor_operand(s, 0, blk, &params.a_batch, &params.a_head);
        step.operands[3] = factor_operand(s, 1, blk, &params.b_batch, &params.b_head);
    }
    const uint32_t columns = 1 + (uint32_t)(places[0] > places[1] ? places[0] : places[1]);
    alpha.column = 1;
    step.operands[4] = ikati_matrices_operand(&alpha, one, blk->heads, one, columns);
    step.operands[5] = ikati_vector_operand(&s->lengths, blk->batches);
    step.operands[6] = (ikati_operand){IKATI_SLOT_SCRATCH, to, IKAT_FLOAT32, 0, count};
    step.specialisation[0] = synthesize_options(s, &alpha);
    step.num_groups = ikati_divide_up(count / n * ikati_divide_up(n, 4), step.variant->tile_rows);
    step.flops = 2.0 * (double)count;
    memcpy(step.params, &params, sizeof(params));
    return ikati_lowering_step(s->lowering, &step, IKAT_FLOAT32, "");
}

// Logits of a block that are no products of rows of a head, and attention with them.
static ikat_status add_block(const void *user, ikati_lowering *lowering,
                             const ikati_row_block *blk) {
    const synthesizer *s = user;
    const int64_t count =
        (int64_t)blk->batches.count * blk->heads.count * blk->rows.count * s->num_positions;
    const uint32_t base = s->is_wide ? scratch(s, count) : 0, to = scratch(s, count);
    (void)lowering;
    if (base == UINT32_MAX || to == UINT32_MAX) {
        return IKAT_NO_MEMORY;
    }
    ikat_tensor tensor = ikati_packed_tensor(IKAT_FLOAT32, blk->batches.count, blk->heads.count,
                                             blk->rows.count, s->num_positions);
    const ikati_view bias = {IKATI_SLOT_SCRATCH, to, &tensor};
    ikat_status status = s->is_wide ? multiply_block(s, blk, base) : IKAT_OK;
    status = status ? status : synthesize_block(s, blk, base, to);
    return status ? status : attend_block(s, blk, &bias);
}

static ikat_status lower_blocks(const synthesizer *s) {
    const uint32_t n = (uint32_t)s->num_positions;
    ikati_row_work work = {
        .num_batches = (uint32_t)s->num_batches,
        .num_heads = (uint32_t)s->num_heads,
        .num_rows = n,
        .num_columns = n,
        .to =
            ikati_matrices_of_scratch(0, (uint64_t)s->num_heads, n, n), // as large as a block's are
        .granule = (uint32_t)s->group,
        .most_bytes = block_bytes,
        .add = add_block,
        .user = s,
    };
    if (s->r.kind) { // reads[0] has fewer heads
        work.reads[1] = ikati_matrices_of(&s->r, IKATI_NO_AXIS, 0, 1, 2);
    }
    return ikati_lower_row_blocks(s->lowering, &work);
}

// Where results are float32 before they are rounded: attention has one type.
static ikat_status redirect_out(synthesizer *s) {
    s->tensors[0] = ikati_packed_tensor(IKAT_FLOAT32, s->num_batches, s->num_heads,
                                        s->num_positions, s->value_size);
    return ikati_scratch_view(s->lowering, &s->tensors[0], &s->out);
}

// Makes all that blocks of rows read.
static ikat_status prepare(synthesizer *s) {
    const float share = 1.0f / (float)ikati_synthesizer_num_components(s->request);
    const float constants[NUM_CONSTANTS] = {0, 0, 0, 0, share};
    ikati_view factors[2] = {{0}};
    s->constants = ikati_lowering_table(s->lowering, constants, sizeof(constants));
    ikat_status status = s->constants == UINT32_MAX ? IKAT_NO_MEMORY : IKAT_OK;
    if (has(s, IKATI_COMPONENT_FACTORIZED_RANDOM) && !status) {
        status = find_factors(s, factors);
    }
    if (has(s, IKATI_COMPONENT_RANDOM) && !status) {
        const int64_t length = ikati_synthesizer_max_length(s->request);
        s->r = find(s, "r");
        status = s->r.kind ? IKAT_OK : draw(s, 0, length, 2 * length, &s->r, &s->tensors[2]);
    }
    if (!s->num_batches || !s->num_positions) {
        return status;
    }
    status = status ? status : ikati_lower_widen(s->lowering, &s->v, &s->tensors[1]);
    status = status ? status : write_rows(s, factors);
    if (has(s, IKATI_COMPONENT_FACTORIZED_DENSE) && !status) {
        status = make_factors(s);
    }
    s->is_blocked = s->r.kind || s->is_wide || has(s, IKATI_COMPONENT_FACTORIZED_DENSE);
    return status;
}

ikat_status ikati_synthesizer_lower(const ikati_request *request, ikati_lowering *lowering) {
    synthesizer s = {
        .request = request,
        .lowering = lowering,
        .num_batches = ikati_extent(request, "B"),
        .num_heads = ikati_extent(request, "H"),
        .num_kv_heads = ikati_extent(request, "Hkv"),
        .num_positions = ikati_extent(request, "N"),
        .value_size = ikati_extent(request, "Dv"),
        .lengths = ikati_input_view(request, "lengths"),
        .v = ikati_input_view(request, "v"),
        .out = ikati_output_view(request, 0),
        .lse = ikati_output_view(request, 1),
        .causal = ikati_setting(request, "causal")->integer != 0,
    };
    s.group = s.num_heads / s.num_kv_heads;
    const ikati_view out = s.out, none = {0};
    const bool rounds = out.kind && request->dtype == IKAT_FLOAT16;
    ikat_status status = prepare(&s);
    if (status || !s.num_batches || !s.num_positions || (!out.kind && !s.lse.kind)) {
        return status;
    }
    status = rounds ? redirect_out(&s) : IKAT_OK;
    const ikati_row_block all = {.batches = {0, (uint32_t)s.num_batches},
                                 .heads = {0, (uint32_t)s.num_heads},
                                 .rows = {0, (uint32_t)s.num_positions}};
    if (!status) {
        status = s.is_blocked ? lower_blocks(&s) : attend_block(&s, &all, &none);
    }
    return status || !rounds ? status : ikati_lower_copy(lowering, &s.out, &out);
}
