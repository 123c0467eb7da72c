#include "lower_pool.h"

#include "attend_steps.h"

#include "../shaders/params/pool.h"

#include <assert.h>
#include <string.h>

enum {
    MAX_PART = 512,      // positions of a window that one invocation adds up
    MAX_PRODUCTS = 1024, // the same of a convolution: taps times inputs
    LEAST_GEMM_GROUP =
        16 // inputs an output from which on a convolution is worth a product of matrices
};

typedef struct pool_params {
    POOL_PARAMS(IKATI_PARAM_FIELD)
} pool_params;

// A pooling under way. Channels are counted over all heads (head_channels not 0) or within each, and go
// to_group neighbours at a time to places to_group_stride apart.
typedef struct builder {
    ikati_lowering *lowering;
    ikati_pool pool;
    uint32_t num_batches, num_heads, num_positions, num_columns;
    uint32_t num_parts, part_size, head_channels, to_group;
    uint64_t to_group_stride;
    double factor;
} builder;

// A part of the work: `first` of each axis and how many.
// parts: of a window; not all of them only where there is one window
typedef struct block {
    ikati_axis_range batches, heads, windows, parts;
} block;

static bool joins_heads(const ikati_pool *pool) {
    return pool->kind == IKATI_POOL_CONV &&
           pool->weights.tensor->shape[2] != pool->x.tensor->shape[3];
}

static uint32_t group_of(const ikati_pool *pool) {
    return pool->kind == IKATI_POOL_CONV ? (uint32_t)pool->weights.tensor->shape[1] : 1;
}

static builder begin(ikati_lowering *lowering, const ikati_pool *pool) {
    const int64_t *shape = pool->x.tensor->shape;
    builder b = {
        .lowering = lowering,
        .pool = *pool,
        .num_batches = (uint32_t)shape[0],
        .num_heads = (uint32_t)shape[1],
        .num_positions = (uint32_t)shape[2],
        .num_columns = (uint32_t)shape[3],
        .head_channels = joins_heads(pool) ? (uint32_t)shape[3] : 0,
        .to_group = UINT32_MAX,
        .factor = 1,
    };
    const uint32_t most = pool->kind == IKATI_POOL_CONV
                              ? (MAX_PRODUCTS > group_of(pool) ? MAX_PRODUCTS / group_of(pool) : 1)
                              : MAX_PART;
    if (b.pool.size > b.num_positions) { // there are no more to see
        b.pool.size = b.num_positions ? b.num_positions : 1;
    }
    b.num_parts = (uint32_t)ikati_divide_up(b.pool.size, most);
    b.part_size = (uint32_t)ikati_divide_up(b.pool.size, b.num_parts);
    return b;
}

static ikati_operand operand_of_x(const builder *b, const block *blk) {
    const ikati_pool *pool = &b->pool;
    const uint64_t first =
        (uint64_t)blk->windows.first * pool->stride + (uint64_t)blk->parts.first * b->part_size;
    const uint64_t own = (uint64_t)blk->parts.count * b->part_size;
    uint64_t rows = (uint64_t)(blk->windows.count - 1) * pool->stride + own;
    if (first >= b->num_positions) {
        return (ikati_operand){0}; // nothing is valid
    }
    rows = b->num_positions - first < rows ? b->num_positions - first : rows;
    const ikati_axis_range all = {0, b->num_heads};
    return ikati_view_operand(&pool->x, blk->batches, b->head_channels ? all : blk->heads,
                              (ikati_axis_range){(uint32_t)first, (uint32_t)rows}, 0,
                              b->num_columns);
}

static ikati_operand operand_of_to(const builder *b, const block *blk) {
    const ikati_pool *pool = &b->pool;
    const uint64_t channels =
        b->head_channels ? (uint64_t)b->num_heads * b->num_columns : b->num_columns;
    const uint64_t rows = (uint64_t)blk->windows.count * blk->parts.count;
    const uint64_t groups = ikati_divide_up(channels, b->to_group);
    ikati_operand to = {IKATI_SLOT_SCRATCH, pool->to, IKAT_FLOAT32, pool->to_offset, 0};
    to.offset += blk->batches.first * pool->to_batch +
                 ((uint64_t)blk->windows.first * b->num_parts + blk->parts.first) * pool->to_row;
    to.count = (blk->batches.count - 1) * pool->to_batch + (rows - 1) * pool->to_row +
               (groups - 1) * b->to_group_stride + (groups > 1 ? b->to_group : channels);
    if (!b->head_channels) {
        to.offset += blk->heads.first * pool->to_head;
        to.count += (blk->heads.count - 1) * pool->to_head;
    }
    return to;
}

// Taps of a block's parts.
static ikati_operand operand_of_weights(const builder *b, const block *blk) {
    const ikati_view *view = &b->pool.weights;
    if (b->pool.kind != IKATI_POOL_CONV) {
        return (ikati_operand){0};
    }
    const int64_t *strides = view->tensor->strides, *shape = view->tensor->shape;
    const uint64_t first = (uint64_t)blk->parts.first * b->part_size;
    uint64_t taps = (uint64_t)blk->parts.count * b->part_size;
    taps = b->pool.size - first < taps ? b->pool.size - first : taps;
    return (ikati_operand){view->kind, view->index, view->tensor->dtype,
                           (uint64_t)view->tensor->offset + first * (uint64_t)strides[0],
                           (taps - 1) * (uint64_t)strides[0] +
                               (uint64_t)((shape[1] - 1) * strides[1] + shape[2])};
}

static uint32_t options_of(const builder *b) {
    const ikati_pool *pool = &b->pool;
    uint32_t options = pool->x.tensor->dtype == IKAT_FLOAT16 ? POOL_HALF : 0;
    options |= pool->lengths.kind ? POOL_LENGTHS : 0;
    options |= pool->kind == IKATI_POOL_MAX ? POOL_MAX : 0;
    if (pool->kind == IKATI_POOL_CONV) {
        options |= POOL_CONV | (pool->bias.kind ? POOL_BIAS : 0);
        options |= pool->weights.tensor->dtype == IKAT_FLOAT16 ? POOL_WEIGHTS_HALF : 0;
    }
    return options;
}

static pool_params params_of(const builder *b, const block *blk) {
    const ikati_pool *pool = &b->pool;
    const ikati_view_strides x = ikati_view_strides_of(&pool->x);
    pool_params params = {
        .num_batches = blk->batches.count,
        .num_heads = blk->heads.count,
        .num_windows = blk->windows.count,
        .num_parts = blk->parts.count,
        .num_columns = b->num_columns,
        .num_positions = b->num_positions,
        .window_begin = blk->windows.first,
        .size = pool->size,
        .stride = pool->stride,
        .part_begin = blk->parts.first,
        .part_size = b->part_size,
        .x_batch = ikati_step_of(x.batch, blk->batches.count),
        .x_head = ikati_step_of(x.head, b->num_heads),
        .x_row = ikati_step_of(x.row, b->num_positions),
        .group = group_of(pool),
        .head_begin = blk->heads.first,
        .head_channels = b->head_channels,
        .to_batch = ikati_step_of(pool->to_batch, blk->batches.count),
        .to_head = b->head_channels ? 0 : ikati_step_of(pool->to_head, blk->heads.count),
        .to_row = (uint32_t)pool->to_row,
        .to_group = b->to_group,
        .to_group_stride = (uint32_t)b->to_group_stride,
        .factor = (float)b->factor,
    };
    if (pool->kind == IKATI_POOL_CONV) {
        const ikat_tensor *weights = pool->weights.tensor;
        params.weights_tap =
            ikati_step_of((uint64_t)weights->strides[0], (uint32_t)weights->shape[0]);
        params.weights_row =
            ikati_step_of((uint64_t)weights->strides[1], (uint32_t)weights->shape[1]);
    }
    return params;
}

static ikat_status add_step(const builder *b, const block *blk) {
    const ikati_pool *pool = &b->pool;
    static const char *const words[] = {".mean", ".max", ".conv"};
    ikati_step step = {0};
    const ikati_pick pick = {.offers = IKATI_NEED_FLOAT};
    ikat_status status = ikati_pick_variant(b->lowering, IKATI_KERNEL_pool, &pick, &step);
    if (status) {
        return status;
    }
    const pool_params params = params_of(b, blk);
    step.operands[0] = operand_of_x(b, blk);
    if (pool->kind == IKATI_POOL_CONV) {
        step.operands[1] = operand_of_weights(b, blk);
        const ikati_axis_range channels = {0, (uint32_t)pool->weights.tensor->shape[2]};
        step.operands[2] = ikati_vector_operand(&pool->bias, channels);
    }
    step.operands[3] = ikati_vector_operand(&pool->lengths, blk->batches);
    step.operands[4] = operand_of_to(b, blk);
    step.specialisation[0] = options_of(b);
    const uint64_t rows = (uint64_t)blk->batches.count * blk->heads.count * blk->windows.count;
    const uint64_t items_a_row = ikati_divide_up(b->num_columns, step.variant->tile_keys);
    step.num_groups =
        ikati_divide_up(rows * blk->parts.count * items_a_row, step.variant->tile_rows);
    step.flops =
        2.0 * (double)rows * blk->parts.count * b->part_size * b->num_columns * params.group;
    memcpy(step.params, &params, sizeof(params));
    return ikati_lowering_step(b->lowering, &step, pool->x.tensor->dtype, words[pool->kind]);
}

static uint64_t bytes_of(const ikati_operand *operand) {
    return operand->kind ? operand->count * ikat_dtype_size(operand->dtype) : 0;
}

static bool fits(const builder *b, const block *blk) {
    const uint64_t limit = ikati_lowering_binding_bytes(b->lowering);
    const ikati_operand x = operand_of_x(b, blk), to = operand_of_to(b, blk);
    const ikati_operand weights = operand_of_weights(b, blk);
    return bytes_of(&x) <= limit && bytes_of(&to) <= limit && bytes_of(&weights) <= limit;
}

// The largest block that fits, from the beginning of each axis.
static ikat_status choose_block(const builder *b, block *out) {
    const uint32_t least_heads = b->head_channels ? b->num_heads : 1;
    *out = (block){
        {0, b->num_batches}, {0, b->num_heads}, {0, b->pool.num_windows}, {0, b->num_parts}};
    while (!fits(b, out)) {
        ikati_axis_range *axis = out->batches.count > 1           ? &out->batches
                                 : out->heads.count > least_heads ? &out->heads
                                 : out->windows.count > 1         ? &out->windows
                                                                  : &out->parts;
        if (axis->count == 1) {
            return ikati_fail(b->lowering->host, IKAT_UNSUPPORTED, IKAT_MESSAGE_DEVICE,
                              "a window's positions lie too far apart for %s, expected smaller "
                              "windows",
                              ikati_lowering_device(b->lowering)->id);
        }
        axis->count = (axis->count + 1) / 2;
    }
    return IKAT_OK;
}

static ikat_status add_windows(const builder *b, const block *most, block blk) {
    ikat_status status = IKAT_OK;
    for (uint32_t w = 0; w < b->pool.num_windows && !status; w += most->windows.count) {
        blk.windows = ikati_next_range(w, most->windows.count, b->pool.num_windows);
        for (uint32_t p = 0; p < b->num_parts && !status; p += most->parts.count) {
            blk.parts = ikati_next_range(p, most->parts.count, b->num_parts);
            status = add_step(b, &blk);
        }
    }
    return status;
}

static ikat_status add_steps(const builder *b) {
    block most;
    ikat_status status = choose_block(b, &most);
    for (uint32_t i = 0; i < b->num_batches && !status; i += most.batches.count) {
        for (uint32_t h = 0; h < b->num_heads && !status; h += most.heads.count) {
            const block blk = {.batches = ikati_next_range(i, most.batches.count, b->num_batches),
                               .heads = ikati_next_range(h, most.heads.count, b->num_heads)};
            status = add_windows(b, &most, blk);
        }
    }
    return status;
}

static uint32_t make_scratch(const builder *b, uint64_t elements) {
    return ikati_lowering_scratch(b->lowering, elements * sizeof(float));
}

static ikat_status pool_in_steps(builder *b);

// Parts of windows, packed as channels are counted, and then what they give together.
static ikat_status pool_parts(builder *b) {
    const uint64_t rows = (uint64_t)b->pool.num_windows * b->num_parts;
    const int64_t heads = b->num_heads, columns = b->num_columns;
    ikat_tensor tensor =
        ikati_packed_tensor(IKAT_FLOAT32, b->num_batches, heads, (int64_t)rows, columns);
    builder parts = *b;
    if (b->head_channels) {
        tensor.strides[1] = columns;
        tensor.strides[2] = heads * columns;
    }
    parts.pool.to = make_scratch(b, (uint64_t)(b->num_batches * tensor.strides[0]));
    parts.pool.to_offset = 0;
    parts.pool.to_batch = (uint64_t)tensor.strides[0];
    parts.pool.to_head = (uint64_t)tensor.strides[1];
    parts.pool.to_row = (uint64_t)tensor.strides[2];
    ikat_status status = parts.pool.to == UINT32_MAX ? IKAT_NO_MEMORY : add_steps(&parts);
    ikati_pool joined = b->pool;
    joined.x = (ikati_view){IKATI_SLOT_SCRATCH, parts.pool.to, &tensor};
    joined.lengths = (ikati_view){0};
    joined.kind = b->pool.kind == IKATI_POOL_MAX ? IKATI_POOL_MAX : IKATI_POOL_MEAN;
    joined.size = joined.stride = b->num_parts;
    builder join = begin(b->lowering, &joined);
    join.factor = b->num_parts; // parts are shares of sums: they add up
    return status ? status : pool_in_steps(&join);
}

static ikat_status pool_in_steps(builder *b) {
    return b->num_parts > 1 ? pool_parts(b) : add_steps(b);
}

// Weights as matrices [size * Cg, C0]: in place if taps follow each other, else copied.
static ikat_status gather_weights(const builder *b, ikati_matrices *out) {
    const ikati_view *weights = &b->pool.weights;
    const ikat_tensor *t = weights->tensor;
    const uint64_t taps = (uint64_t)t->shape[0], group = (uint64_t)t->shape[1];
    *out = ikati_matrices_of(weights, IKATI_NO_AXIS, IKATI_NO_AXIS, group > 1 ? 1 : 0, 2);
    if (taps == 1 || group == 1 || t->strides[0] == t->shape[1] * t->strides[1]) {
        return IKAT_OK;
    }
    const ikat_tensor rows = {.dtype = t->dtype,
                              .rank = 4,
                              .offset = t->offset,
                              .shape = {1, t->shape[0], t->shape[1], t->shape[2]},
                              .strides = {0, t->strides[0], t->strides[1], 1}};
    const ikati_view view = {weights->kind, weights->index, &rows};
    const uint64_t columns = (uint64_t)t->shape[2];
    const uint32_t scratch = make_scratch(b, taps * group * columns);
    *out = ikati_matrices_of_scratch(scratch, 1, taps * group, columns);
    out->batch = 0;
    return scratch == UINT32_MAX ? IKAT_NO_MEMORY
                                 : ikati_lower_float_rows(b->lowering, &view, scratch, 0, 0,
                                                          group * columns, columns);
}

// Whether windows are rows of x as it lies: all of them whole, positions one after the other.
static bool is_in_place(const builder *b) {
    const ikati_pool *pool = &b->pool;
    const ikat_tensor *x = pool->x.tensor;
    const uint64_t end = (uint64_t)(pool->num_windows - 1) * pool->stride + pool->size;
    return !pool->lengths.kind && group_of(pool) == b->num_columns && !b->head_channels &&
           end <= b->num_positions && (b->num_positions == 1 || x->strides[2] == x->shape[3]);
}

// Windows as rows of matrices, one a group of channels, of which `groups` are a head's or, with heads
// joined, a batch entry's: positions of a group are copied one after the other, zeros where they are not
// valid.
static ikat_status gather_windows(const builder *b, uint64_t groups, ikati_matrices *out) {
    const uint64_t group = group_of(&b->pool);
    const uint64_t rows = (uint64_t)(b->pool.num_windows - 1) * b->pool.stride + b->pool.size;
    const uint64_t matrix = rows * group;
    const uint64_t num = (uint64_t)b->num_batches * (b->head_channels ? 1 : b->num_heads) * groups;
    const uint32_t scratch = make_scratch(b, num * matrix);
    ikati_pool copy = {.x = b->pool.x,
                       .lengths = b->pool.lengths,
                       .num_windows = (uint32_t)rows,
                       .size = 1,
                       .stride = 1,
                       .to = scratch,
                       .to_row = group};
    copy.to_head = groups * matrix;
    copy.to_batch = copy.to_head * (b->head_channels ? 1 : b->num_heads);
    builder copying = begin(b->lowering, &copy);
    copying.head_channels = b->head_channels;
    copying.to_group = (uint32_t)group;
    copying.to_group_stride = matrix;
    *out = ikati_matrices_of_scratch(scratch, groups, rows, group);
    return scratch == UINT32_MAX ? IKAT_NO_MEMORY : add_steps(&copying);
}

// Batch entries of the product are those of x, or its heads one by one; heads are groups of channels.
static ikat_status convolve_by_gemm(builder *b) {
    const ikati_pool *pool = &b->pool;
    const uint64_t group = group_of(pool);
    const uint64_t groups = (uint64_t)pool->weights.tensor->shape[2] / group;
    const bool in_place = is_in_place(b);
    ikati_gemm gemm = {
        .bias = ikati_matrices_of(&pool->bias, IKATI_NO_AXIS, IKATI_NO_AXIS, IKATI_NO_AXIS, 0),
        .num_batches = b->num_batches * (b->head_channels ? 1 : b->num_heads),
        .num_heads = (uint32_t)groups,
        .num_rows = pool->num_windows,
        .num_columns = (uint32_t)group,
        .depth = (uint32_t)(pool->size * group),
        .scale = 1,
    };
    gemm.c = (ikati_matrices){IKATI_SLOT_SCRATCH,
                              pool->to,
                              IKAT_FLOAT32,
                              pool->to_offset,
                              b->head_channels ? pool->to_batch : pool->to_head,
                              group,
                              pool->to_row,
                              1};
    assert(b->head_channels || b->num_batches == 1 ||
           pool->to_batch == b->num_heads * pool->to_head);
    ikat_status status = gather_weights(b, &gemm.b);
    gemm.b.head = gemm.bias.head = group;
    if (in_place) {
        gemm.a = ikati_matrices_of(&pool->x, 0, 1, 2, 3);
        gemm.num_batches = b->num_batches;
        gemm.num_heads = b->num_heads;
        gemm.b.head = gemm.bias.head = 0;
        gemm.c.batch = pool->to_batch;
        gemm.c.head = pool->to_head;
    } else if (!status) {
        status = gather_windows(b, groups, &gemm.a);
    }
    gemm.a.row = pool->stride * group;
    gemm.a.column = 1;
    return status ? status : ikati_lower_gemm(b->lowering, &gemm);
}

ikat_status ikati_lower_pool(ikati_lowering *lowering, const ikati_pool *pool) {
    builder b = begin(lowering, pool);
    if (!b.num_batches || !b.num_heads || !pool->num_windows || !b.num_columns) {
        return IKAT_OK;
    }
    if (pool->kind == IKATI_POOL_CONV && group_of(pool) >= LEAST_GEMM_GROUP) {
        return convolve_by_gemm(&b);
    }
    return pool_in_steps(&b);
}

ikat_status ikati_lower_float_rows(ikati_lowering *lowering, const ikati_view *x, uint32_t to,
                                   uint64_t to_offset, uint64_t to_batch, uint64_t to_head,
                                   uint64_t to_row) {
    const ikati_pool copy = {.x = *x,
                             .num_windows = (uint32_t)x->tensor->shape[2],
                             .size = 1,
                             .stride = 1,
                             .to = to,
                             .to_offset = to_offset,
                             .to_batch = to_batch,
                             .to_head = to_head,
                             .to_row = to_row};
    return ikati_lower_pool(lowering, &copy);
}
