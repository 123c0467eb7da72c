#include "lower_gemm.h"

#include "../shaders/params/collect.h"
#include "../shaders/params/gemm.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    AXIS_BATCH,
    AXIS_HEAD,
    AXIS_ROW,
    AXIS_COLUMN,
    AXIS_DEPTH,
    NUM_AXES,
    GRANULE = 256,             // axes but batch and head are cut at multiples of it
    DEPTH_GRANULE = 64,        // splits begin at multiples of it
    MIN_SPLIT_DEPTH = 512,     // less is not worth a part
    MAX_GROUP_DEPTH = 1 << 16, // bounds a workgroup's work, and the rounds of its loops
    MAX_CACHED_DEPTH = 1024,   // of rows that heads share and a processor's cache is to hold
};

typedef struct gemm_params {
    GEMM_PARAMS(IKATI_PARAM_FIELD)
} gemm_params;
typedef struct collect_params {
    COLLECT_PARAMS(IKATI_PARAM_FIELD)
} collect_params;

// A lowering under way.
typedef struct builder {
    ikati_lowering *lowering;
    ikati_gemm gemm;
    uint32_t extents[NUM_AXES];
    uint32_t most[NUM_AXES]; // largest extents of one block
    uint32_t num_splits;     // of a block's depth
    bool a_transposed, b_transposed, needs_pack;
    bool too_large;  // cutting does not help
    ikati_step step; // kernel and variant chosen
} builder;

// A part of the product: `first` of each axis and how many.
typedef ikati_axis_range block[NUM_AXES];

// Distances of a matrix's elements along the axes of the product.
typedef struct reach {
    uint64_t strides[NUM_AXES];
    uint64_t element_bytes;
    uint64_t least; // elements of one place
} reach;

static reach reach_of(const ikati_matrices *m, int row_axis, int column_axis) {
    reach r = {.element_bytes = m->kind ? ikat_dtype_size(m->dtype) : 0, .least = 1};
    r.strides[AXIS_BATCH] = m->batch;
    r.strides[AXIS_HEAD] = m->head;
    r.strides[row_axis] = m->row;
    r.strides[column_axis] = m->column;
    return r;
}

static reach reach_of_a(const ikati_gemm *g) { return reach_of(&g->a, AXIS_ROW, AXIS_DEPTH); }
static reach reach_of_b(const ikati_gemm *g) { return reach_of(&g->b, AXIS_DEPTH, AXIS_COLUMN); }
static reach reach_of_c(const ikati_gemm *g) { return reach_of(&g->c, AXIS_ROW, AXIS_COLUMN); }
static reach reach_of_bias(const ikati_gemm *g) {
    return reach_of(&g->bias, AXIS_ROW, AXIS_COLUMN);
}

static ikati_operand operand_of(const ikati_matrices *m, const reach *r, const block blk) {
    ikati_operand operand = {.kind = m->kind, .index = m->index, .dtype = m->dtype};
    if (!m->kind) {
        return operand;
    }
    operand.offset = m->offset;
    operand.count = 1;
    for (int axis = 0; axis < NUM_AXES; axis++) {
        operand.offset += blk[axis].first * r->strides[axis];
        operand.count += blk[axis].count ? (blk[axis].count - 1) * r->strides[axis] : 0;
        if (r->strides[axis] && !blk[axis].count) {
            return (ikati_operand){0}; // no depth: nothing is read
        }
    }
    return operand;
}

static ikati_operand operand_of_depths(const ikati_gemm *g, const block blk) {
    return ikati_vector_operand(&g->depths, blk[AXIS_BATCH]);
}

// Makes one matrix of `count`, whose rows follow each other with these distances, if it can.
static bool join_rows(ikati_gemm *g, uint32_t count, uint64_t a_stride, uint64_t c_stride) {
    const uint64_t rows = g->num_rows;
    const bool follow =
        rows == 1 ? g->a.column == 1 : a_stride == rows * g->a.row && c_stride == rows * g->c.row;
    if (!follow || rows * count > INT32_MAX) {
        return false;
    }
    g->a.row = rows == 1 ? a_stride : g->a.row;
    g->c.row = rows == 1 ? c_stride : g->c.row;
    g->num_rows *= count;
    return true;
}

// Matrices that are all multiplied by the same b become one: fewer cut tiles.
static void join_matrices(ikati_gemm *g) {
    if (g->bias.row) {
        return;
    }
    if (g->num_heads > 1 && !g->b.head && !g->bias.head &&
        join_rows(g, g->num_heads, g->a.head, g->c.head)) {
        g->num_heads = 1;
    }
    if (g->num_heads == 1 && g->num_batches > 1 && !g->b.batch && !g->bias.batch &&
        !g->depths.kind && join_rows(g, g->num_batches, g->a.batch, g->c.batch)) {
        g->num_batches = 1;
    }
}

// Whether the innermost axis of a matrix is that of its rows; the stride of an axis of extent 1 is none.
static bool is_transposed(ikati_matrices *m, uint32_t num_rows, uint32_t num_columns) {
    m->row = num_rows > 1 ? m->row : 0;
    m->column = num_columns > 1 ? m->column : 1;
    if (m->column != 1 && num_rows <= 1) {
        m->row = 1;
    }
    assert(m->column == 1 || m->row == 1);
    return m->column != 1;
}

// Whether offset, strides and the innermost extent are multiples of `of`.
static bool is_multiple(const ikati_matrices *m, const builder *b, uint64_t innermost,
                        uint64_t outer_stride, uint64_t of) {
    return innermost % of == 0 && m->offset % of == 0 && outer_stride % of == 0 &&
           (b->gemm.num_batches <= 1 || m->batch % of == 0) &&
           (b->gemm.num_heads <= 1 || m->head % of == 0);
}

static bool inputs_are_aligned(const builder *b) {
    const ikati_gemm *g = &b->gemm;
    return is_multiple(&g->a, b, b->a_transposed ? g->num_rows : g->depth,
                       b->a_transposed ? g->a.column : g->a.row, 4) &&
           is_multiple(&g->b, b, b->b_transposed ? g->depth : g->num_columns,
                       b->b_transposed ? g->b.column : g->b.row, 4);
}

static ikat_status pick_variant(builder *b) {
    const ikati_gemm *g = &b->gemm;
    ikati_pick pick = {0};
    if (g->a.dtype == g->b.dtype) {
        pick.offers = g->a.dtype == IKAT_FLOAT16 ? IKATI_NEED_HALF : IKATI_NEED_FLOAT;
    }
    if (inputs_are_aligned(b)) {
        pick.offers |= IKATI_NEED_ALIGNED4;
        pick.offers |= ikati_lowering_takes_texels(b->lowering) ? IKATI_NEED_TEXEL : 0;
    }
    // Rows of strips of columns, see variants/gemm.inc.
    const uint64_t strips = ikati_divide_up(g->num_columns, 64);
    const uint64_t all = strips * g->num_rows * g->num_batches * g->num_heads;
    const uint64_t most = UINT64_C(128) * g->num_rows;
    pick.num_rows = all < most ? all : most;
    return ikati_pick_variant(b->lowering, IKATI_KERNEL_gemm, &pick, &b->step);
}

// Parts of the depth, so that few tiles keep the device busy and no workgroup has too much.
static uint32_t choose_splits(const builder *b) {
    const ikati_variant *variant = b->step.variant;
    const uint64_t matrices = (uint64_t)b->gemm.num_batches * b->gemm.num_heads;
    const uint64_t tiles = ikati_divide_up(b->gemm.num_rows, variant->tile_rows) *
                           ikati_divide_up(b->gemm.num_columns, variant->tile_keys) * matrices;
    const uint64_t most = b->gemm.depth / MIN_SPLIT_DEPTH;
    const bool cached = b->gemm.num_heads > 1 && !b->gemm.a.head &&
                        ikati_lowering_device(b->lowering)->type == IKAT_DEVICE_CPU;
    const uint64_t needed =
        ikati_divide_up(b->gemm.depth, cached ? MAX_CACHED_DEPTH : MAX_GROUP_DEPTH);
    uint64_t wanted = ikati_divide_up(ikati_lowering_busy_groups(b->lowering), tiles);
    wanted = wanted < most ? wanted : most;
    wanted = wanted > needed ? wanted : needed;
    return wanted ? (uint32_t)wanted : 1;
}

static uint32_t num_chunks(const builder *b) {
    return (uint32_t)ikati_divide_up(b->gemm.depth ? b->gemm.depth : 1, b->most[AXIS_DEPTH]);
}

// What is left of an axis when it is halved: multiples of 4 at the least, so that what is aligned stays so.
static uint32_t half_of(const builder *b, int axis) {
    const uint32_t half = (b->most[axis] + 1) / 2;
    const uint32_t granule = axis <= AXIS_HEAD ? 1 : half > GRANULE ? GRANULE : 4;
    const uint32_t rounded = (uint32_t)ikati_round_up(half, granule);
    return rounded < b->most[axis] ? rounded : b->most[axis];
}

// Halves, of the axes that can be, the one along which a binding that is too large reaches furthest.
// False if it fits.
static bool shrink_for(builder *b, const reach *r, uint64_t limit_bytes) {
    uint64_t elements = r->least, furthest = 0;
    int widest = NUM_AXES;
    for (int axis = 0; axis < NUM_AXES; axis++) {
        const uint64_t steps = (b->most[axis] - 1) * r->strides[axis];
        elements += steps;
        if (steps > furthest && half_of(b, axis) < b->most[axis]) {
            furthest = steps;
            widest = axis;
        }
    }
    if (b->too_large || elements * r->element_bytes <= limit_bytes) {
        return false;
    }
    b->too_large = widest == NUM_AXES;
    if (!b->too_large) {
        b->most[widest] = half_of(b, widest);
    }
    return true;
}

// Scratch of a block: all parts, or float32 to be packed.
static bool shrink_for_scratch(builder *b, uint64_t limit_bytes) {
    const uint64_t parts = (uint64_t)b->num_splits * num_chunks(b);
    if (parts == 1 && !b->needs_pack) {
        return false;
    }
    const uint64_t row = b->most[AXIS_COLUMN] * parts, head = row * b->most[AXIS_ROW];
    const reach r = {{head * b->most[AXIS_HEAD], head, row, parts, 0}, sizeof(float), parts};
    return shrink_for(b, &r, limit_bytes);
}

// Makes b->most small enough for every binding to fit the device's ranges.
static ikat_status cut(builder *b) {
    const ikat_device_info *device = ikati_lowering_device(b->lowering);
    const uint64_t limit = ikati_lowering_binding_bytes(b->lowering);
    const reach reach_a = reach_of_a(&b->gemm), reach_b = reach_of_b(&b->gemm);
    const reach reach_c = reach_of_c(&b->gemm), reach_bias = reach_of_bias(&b->gemm);
    uint64_t limit_a = limit, limit_b = limit;
    if (b->step.variant->texel_bindings) {
        limit_a = ikati_lowering_texel_bytes(b->lowering, reach_a.element_bytes);
        limit_b = ikati_lowering_texel_bytes(b->lowering, reach_b.element_bytes);
    }
    while (shrink_for(b, &reach_a, limit_a) || shrink_for(b, &reach_b, limit_b) ||
           shrink_for(b, &reach_c, limit) || shrink_for(b, &reach_bias, limit) ||
           shrink_for_scratch(b, limit)) {
    }
    return !b->too_large
               ? IKAT_OK
               : ikati_fail(b->lowering->host, IKAT_UNSUPPORTED, IKAT_MESSAGE_DEVICE,
                            "rows of a matrix lie too far apart for %s, which binds %" PRIu64
                            " bytes at once",
                            device->id, device->limits.max_storage_range_bytes);
}

static float bias_scale_of(const ikati_gemm *g) {
    return g->bias_scale == 0 ? 1.0f : (float)g->bias_scale;
}

static uint32_t options_of(const builder *b, bool is_part, ikat_dtype to) {
    const ikati_gemm *g = &b->gemm;
    uint32_t options = 0;
    options |= g->a.dtype == IKAT_FLOAT16 ? GEMM_A_HALF : 0;
    options |= g->b.dtype == IKAT_FLOAT16 ? GEMM_B_HALF : 0;
    options |= b->a_transposed ? GEMM_A_TRANSPOSED : 0;
    options |= b->b_transposed ? GEMM_B_TRANSPOSED : 0;
    options |= g->depths.kind ? GEMM_DEPTHS : 0;
    if (is_part) {
        return options;
    }
    options |= g->bias.kind ? GEMM_BIAS : 0;
    options |= g->bias.kind && g->bias.dtype == IKAT_FLOAT16 ? GEMM_BIAS_HALF : 0;
    options |= to == IKAT_FLOAT16 ? GEMM_C_HALF : 0;
    options |= g->activation == IKATI_ACTIVATION_RELU ? GEMM_RELU : 0;
    return options;
}

// Words for a step's name.
static void name_options(uint32_t options, bool is_part, char *text, size_t capacity) {
    snprintf(text, capacity, "%s%s%s%s%s%s", options & GEMM_A_TRANSPOSED ? ".ta" : "",
             options & GEMM_B_TRANSPOSED ? ".tb" : "", options & GEMM_DEPTHS ? ".depths" : "",
             options & GEMM_BIAS ? ".bias" : "", options & GEMM_RELU ? ".relu" : "",
             is_part ? ".part" : "");
}

// Elements of the product's axes but the depth.
static uint64_t count_elements(const block blk) {
    return (uint64_t)blk[AXIS_BATCH].count * blk[AXIS_HEAD].count * blk[AXIS_ROW].count *
           blk[AXIS_COLUMN].count;
}

// One step: a block's depth, in splits, to c, or to parts beginning at part `first_part` of scratch.
static ikat_status add_gemm(const builder *b, const block blk, const ikati_row_target *to,
                            bool is_part) {
    const ikati_gemm *g = &b->gemm;
    const reach reach_a = reach_of_a(g), reach_b = reach_of_b(g), reach_bias = reach_of_bias(g);
    const uint32_t batches = blk[AXIS_BATCH].count, heads = blk[AXIS_HEAD].count;
    const uint32_t depth = blk[AXIS_DEPTH].count;
    ikati_step step = b->step;
    gemm_params params = {
        .num_heads = heads,
        .num_rows = blk[AXIS_ROW].count,
        .num_columns = blk[AXIS_COLUMN].count,
        .depth = depth,
        .depth_begin = blk[AXIS_DEPTH].first,
        .num_row_tiles = (uint32_t)ikati_divide_up(blk[AXIS_ROW].count, step.variant->tile_rows),
        .num_column_tiles =
            (uint32_t)ikati_divide_up(blk[AXIS_COLUMN].count, step.variant->tile_keys),
        .num_splits = b->num_splits,
        .depth_per_split =
            (uint32_t)ikati_round_up(ikati_divide_up(depth, b->num_splits), DEPTH_GRANULE),
        .a_batch = ikati_step_of(g->a.batch, batches),
        .a_head = ikati_step_of(g->a.head, heads),
        .a_row = (uint32_t)g->a.row,
        .a_column = (uint32_t)g->a.column,
        .b_batch = ikati_step_of(g->b.batch, batches),
        .b_head = ikati_step_of(g->b.head, heads),
        .b_row = (uint32_t)g->b.row,
        .b_column = (uint32_t)g->b.column,
        .bias_batch = ikati_step_of(g->bias.batch, batches),
        .bias_head = ikati_step_of(g->bias.head, heads),
        .bias_row = (uint32_t)g->bias.row,
        .c_split = is_part ? (uint32_t)count_elements(blk) : 0,
        .c_batch = to->strides[0],
        .c_head = to->strides[1],
        .c_row = to->strides[2],
        .scale = is_part ? 1.0f : (float)g->scale,
        .bias_scale = bias_scale_of(g),
    };
    step.operands[0] = operand_of(&g->a, &reach_a, blk);
    step.operands[1] = operand_of(&g->b, &reach_b, blk);
    step.operands[2] = is_part ? (ikati_operand){0} : operand_of(&g->bias, &reach_bias, blk);
    step.operands[3] = operand_of_depths(g, blk);
    step.operands[4] = to->operand;
    step.specialisation[0] = options_of(b, is_part, to->operand.dtype);
    step.num_groups = (uint64_t)batches * heads * params.num_row_tiles * params.num_column_tiles *
                      params.num_splits;
    step.flops = 2.0 * (double)step.num_groups * step.variant->tile_rows * step.variant->tile_keys *
                 (depth < params.depth_per_split ? depth : params.depth_per_split);
    memcpy(step.params, &params, sizeof(params));
    char words[32];
    name_options(step.specialisation[0], is_part, words, sizeof(words));
    return ikati_lowering_step(b->lowering, &step, g->a.dtype, words);
}

static ikat_status add_collect(const builder *b, const block blk, uint32_t scratch,
                               uint32_t num_parts, const ikati_row_target *to) {
    const ikati_gemm *g = &b->gemm;
    const reach reach_bias = reach_of_bias(g);
    ikati_step step = {0};
    const ikati_pick pick = {.offers = IKATI_NEED_FLOAT};
    ikat_status status = ikati_pick_variant(b->lowering, IKATI_KERNEL_collect, &pick, &step);
    if (status) {
        return status;
    }
    const uint64_t elements = count_elements(blk);
    const collect_params params = {
        .num_parts = num_parts,
        .part_size = (uint32_t)elements,
        .num_batches = blk[AXIS_BATCH].count,
        .num_heads = blk[AXIS_HEAD].count,
        .num_rows = blk[AXIS_ROW].count,
        .num_columns = blk[AXIS_COLUMN].count,
        .bias_batch = ikati_step_of(g->bias.batch, blk[AXIS_BATCH].count),
        .bias_head = ikati_step_of(g->bias.head, blk[AXIS_HEAD].count),
        .bias_row = (uint32_t)g->bias.row,
        .c_batch = to->strides[0],
        .c_head = to->strides[1],
        .c_row = to->strides[2],
        .scale = (float)g->scale,
        .bias_scale = bias_scale_of(g),
    };
    step.operands[0] =
        (ikati_operand){IKATI_SLOT_SCRATCH, scratch, IKAT_FLOAT32, 0, num_parts * elements};
    step.operands[1] = operand_of(&g->bias, &reach_bias, blk);
    step.operands[2] = to->operand;
    step.specialisation[0] = options_of(b, false, to->operand.dtype) &
                             (GEMM_BIAS | GEMM_BIAS_HALF | GEMM_C_HALF | GEMM_RELU);
    const uint64_t items_a_row = ikati_divide_up(params.num_columns, step.variant->tile_keys);
    const uint64_t rows = elements / params.num_columns;
    step.num_groups = ikati_divide_up(rows * items_a_row, step.variant->tile_rows);
    step.flops = (double)num_parts * (double)elements;
    memcpy(step.params, &params, sizeof(params));
    return ikati_lowering_step(b->lowering, &step, to->operand.dtype, "");
}

static ikati_row_target scratch_target(uint32_t scratch, const block blk, uint64_t first_part,
                                       uint32_t num_parts) {
    const uint32_t row = blk[AXIS_COLUMN].count, head = row * blk[AXIS_ROW].count;
    const uint64_t part = count_elements(blk);
    return (ikati_row_target){
        {IKATI_SLOT_SCRATCH, scratch, IKAT_FLOAT32, first_part * part, num_parts * part},
        {head * blk[AXIS_HEAD].count, head, row}};
}

static ikati_row_target direct_target(const builder *b, const block blk) {
    const ikati_matrices *c = &b->gemm.c;
    const reach r = reach_of_c(&b->gemm);
    return (ikati_row_target){operand_of(c, &r, blk),
                              {ikati_step_of(c->batch, blk[AXIS_BATCH].count),
                               ikati_step_of(c->head, blk[AXIS_HEAD].count),
                               ikati_step_of(c->row, blk[AXIS_ROW].count)}};
}

// A block of c with all its depth.
static ikat_status add_parts(const builder *b, block blk, const ikati_row_target *to) {
    const uint32_t chunks = num_chunks(b), num_parts = chunks * b->num_splits;
    uint32_t scratch = 0;
    if (num_parts > 1) {
        const uint64_t elements = num_parts * count_elements(blk);
        scratch = ikati_lowering_scratch(b->lowering, elements * sizeof(float));
    }
    ikat_status status = scratch == UINT32_MAX ? IKAT_NO_MEMORY : IKAT_OK;
    for (uint32_t i = 0; i < chunks && !status; i++) {
        const uint32_t most = b->most[AXIS_DEPTH];
        blk[AXIS_DEPTH] = ikati_next_range(i * most, most, b->gemm.depth);
        const ikati_row_target part =
            scratch_target(scratch, blk, (uint64_t)i * b->num_splits, b->num_splits);
        status = add_gemm(b, blk, num_parts > 1 ? &part : to, num_parts > 1);
    }
    return status || num_parts == 1 ? status : add_collect(b, blk, scratch, num_parts, to);
}

static ikat_status add_block(const builder *b, block blk) {
    const ikati_row_target direct = direct_target(b, blk);
    if (!b->needs_pack) {
        return add_parts(b, blk, &direct);
    }
    const uint32_t counts[3] = {blk[AXIS_BATCH].count, blk[AXIS_HEAD].count, blk[AXIS_ROW].count};
    const uint32_t columns = blk[AXIS_COLUMN].count;
    ikati_row_target staged;
    ikat_status status = ikati_lowering_stage(b->lowering, counts, columns, &staged);
    status = status ? status : add_parts(b, blk, &staged);
    return status ? status : ikati_lowering_pack(b->lowering, &staged, &direct, counts, columns);
}

// Blocks one after the other, as digits of a number count: false past the last.
static bool next_block(const builder *b, block blk) {
    for (int axis = AXIS_BATCH; axis < AXIS_DEPTH; axis++) {
        const uint32_t next = blk[axis].first + b->most[axis];
        const bool is_last = next >= b->extents[axis];
        blk[axis] = ikati_next_range(is_last ? 0 : next, b->most[axis], b->extents[axis]);
        if (!is_last) {
            return true;
        }
    }
    return false;
}

static ikat_status add_blocks(const builder *b) {
    block blk = {{0}};
    for (int axis = 0; axis < AXIS_DEPTH; axis++) {
        blk[axis].count = b->most[axis];
    }
    ikat_status status;
    do {
        status = add_block(b, blk);
    } while (!status && next_block(b, blk));
    return status;
}

ikat_status ikati_lower_gemm(ikati_lowering *lowering, const ikati_gemm *gemm) {
    builder b = {.lowering = lowering, .gemm = *gemm};
    ikati_gemm *g = &b.gemm;
    if (!g->num_batches || !g->num_heads || !g->num_rows || !g->num_columns) {
        return IKAT_OK;
    }
    join_matrices(g);
    const uint32_t extents[NUM_AXES] = {g->num_batches, g->num_heads, g->num_rows, g->num_columns,
                                        g->depth ? g->depth : 1};
    memcpy(b.extents, extents, sizeof(extents));
    memcpy(b.most, extents, sizeof(extents));
    b.a_transposed = is_transposed(&g->a, g->num_rows, g->depth);
    b.b_transposed = is_transposed(&g->b, g->depth, g->num_columns);
    b.needs_pack = ikati_lowering_packs(lowering, g->c.dtype) &&
                   !is_multiple(&g->c, &b, g->num_columns, g->num_rows > 1 ? g->c.row : 0, 2);
    ikat_status status = pick_variant(&b);
    if (!status) {
        b.num_splits = choose_splits(&b);
        status = cut(&b);
    }
    return status ? status : add_blocks(&b);
}
