// Kernel `segments`. Long segments, and rows that do not fit a binding, go in parts, whose mean is taken.

#include "lower_rows.h"
#include "row_blocks.h"

#include "../shaders/params/segments.h"

#include <inttypes.h>
#include <string.h>

enum { ROWS_PER_PART = 1024 }; // of a segment: what one invocation adds up

typedef struct segments_params {
    SEGMENTS_PARAMS(IKATI_PARAM_FIELD)
} segments_params;

// A lowering under way: how x is cut, and where parts go.
typedef struct builder {
    ikati_lowering *lowering;
    const ikati_segments *segments;
    uint32_t batches, rows; // most of a block; heads are not cut
    uint32_t block_parts;   // of a segment in a block of rows
    uint32_t num_parts;
    uint32_t to;        // scratch of parts, or of the result
    uint64_t part_size; // elements
} builder;

static uint32_t num_kv_heads(const ikati_segments *s) { return s->num_heads / s->heads_per_kv; }

// The larger of what a block of x and its means take.
static uint64_t bytes_of(const builder *b) {
    const ikati_segments *s = b->segments;
    const ikati_operand operand = ikati_matrices_operand(
        &s->x, (ikati_axis_range){0, b->batches}, (ikati_axis_range){0, num_kv_heads(s)},
        (ikati_axis_range){0, b->rows}, s->num_columns);
    const uint64_t x_bytes = operand.count * ikat_dtype_size(s->x.dtype);
    const uint64_t to_bytes =
        (uint64_t)b->batches * s->num_heads * s->num_segments * s->num_columns * sizeof(float);
    return x_bytes > to_bytes ? x_bytes : to_bytes;
}

// Rows that segments may be made of: all, or those that are copied.
static uint32_t rows_of(const ikati_segments *s) {
    return s->alone && s->num_segments < s->num_rows ? s->num_segments : s->num_rows;
}

static ikat_status cut(builder *b) {
    const ikati_segments *s = b->segments;
    const uint64_t limit = ikati_lowering_binding_bytes(b->lowering);
    b->batches = s->num_batches;
    b->rows = rows_of(s);
    while (bytes_of(b) > limit && (b->batches > 1 || b->rows > 1)) {
        b->rows = b->batches > 1 ? b->rows : (b->rows + 1) / 2;
        b->batches = (b->batches + 1) / 2;
    }
    const uint64_t longest = ikati_divide_up(s->num_rows, s->num_segments);
    const uint64_t most = longest < b->rows ? longest : b->rows;
    b->block_parts = s->alone ? 1 : (uint32_t)ikati_divide_up(most, ROWS_PER_PART);
    b->num_parts = s->alone ? 1 : b->block_parts * (uint32_t)ikati_divide_up(s->num_rows, b->rows);
    const uint64_t parts_bytes = (b->block_parts - 1) * b->part_size * sizeof(float);
    return bytes_of(b) + parts_bytes <= limit
               ? IKAT_OK
               : ikati_fail(b->lowering->host, IKAT_UNSUPPORTED, IKAT_MESSAGE_DEVICE,
                            "means of %" PRIu32 " segments exceed what %s binds at once",
                            s->num_segments, ikati_lowering_device(b->lowering)->id);
}

static ikat_status add_block(const builder *b, ikati_axis_range batches, ikati_axis_range rows,
                             uint32_t first_part) {
    const ikati_segments *s = b->segments;
    const ikati_axis_range kv_heads = {0, num_kv_heads(s)};
    const uint64_t matrix = (uint64_t)s->num_segments * s->num_columns;
    const uint64_t matrices = (uint64_t)batches.count * s->num_heads;
    ikati_step step = {0};
    const ikati_pick pick = {.offers = IKATI_NEED_FLOAT};
    ikat_status status = ikati_pick_variant(b->lowering, IKATI_KERNEL_segments, &pick, &step);
    if (status) {
        return status;
    }
    const segments_params params = {
        .num_batches = batches.count,
        .num_heads = s->num_heads,
        .heads_per_kv = s->heads_per_kv,
        .num_segments = s->num_segments,
        .num_columns = s->num_columns,
        .num_parts = b->block_parts,
        .rows_per_part = s->alone ? UINT32_MAX / 2 : ROWS_PER_PART,
        .row_begin = rows.first,
        .num_rows = rows.count,
        .total_rows = s->num_rows,
        .x_batch = ikati_step_of(s->x.batch, batches.count),
        .x_head = ikati_step_of(s->x.head, num_kv_heads(s)),
        .x_row = ikati_step_of(s->x.row, rows.count),
        .to_part = (uint32_t)b->part_size,
        .factor = (float)b->num_parts, // the mean of the parts is taken
    };
    step.operands[0] = ikati_matrices_operand(&s->x, batches, kv_heads, rows, s->num_columns);
    step.operands[1] = ikati_vector_operand(&s->lengths, batches);
    step.operands[2] =
        (ikati_operand){IKATI_SLOT_SCRATCH, b->to, IKAT_FLOAT32,
                        first_part * b->part_size + (uint64_t)batches.first * s->num_heads * matrix,
                        (b->block_parts - 1) * b->part_size + matrices * matrix};
    step.specialisation[0] = (s->x.dtype == IKAT_FLOAT16 ? SEGMENTS_HALF : 0) |
                             (s->lengths.kind ? SEGMENTS_LENGTHS : 0) |
                             (s->alone ? SEGMENTS_ALONE : 0);
    step.num_groups = ikati_divide_up(b->block_parts * matrices * s->num_segments *
                                          ikati_divide_up(s->num_columns, 4),
                                      step.variant->tile_rows);
    step.flops = (double)matrices * rows.count * s->num_columns;
    memcpy(step.params, &params, sizeof(params));
    return ikati_lowering_step(b->lowering, &step, s->x.dtype, s->alone ? ".alone" : "");
}

static ikat_status add_blocks(const builder *b) {
    const ikati_segments *s = b->segments;
    const uint32_t num_rows = rows_of(s);
    ikat_status status = IKAT_OK;
    for (uint32_t n = 0; n < s->num_batches && !status; n += b->batches) {
        const uint32_t left = s->num_batches - n;
        const ikati_axis_range batches = {n, left < b->batches ? left : b->batches};
        for (uint32_t r = 0, part = 0; r < num_rows && !status; r += b->rows) {
            const ikati_axis_range rows = {r, num_rows - r < b->rows ? num_rows - r : b->rows};
            status = add_block(b, batches, rows, part);
            part += s->alone ? 0 : b->block_parts;
        }
    }
    return status;
}

ikat_status ikati_lower_segments(ikati_lowering *lowering, const ikati_segments *s) {
    builder b = {.lowering = lowering, .segments = s, .to = s->to};
    b.part_size = (uint64_t)s->num_batches * s->num_heads * s->num_segments * s->num_columns;
    if (!b.part_size || !s->num_rows) {
        return IKAT_OK;
    }
    ikat_status status = cut(&b);
    if (!status && b.num_parts > 1) {
        b.to = ikati_lowering_scratch(lowering, b.num_parts * b.part_size * sizeof(float));
        status = b.to == UINT32_MAX ? IKAT_NO_MEMORY : IKAT_OK;
    }
    status = status ? status : add_blocks(&b);
    if (status || b.num_parts == 1) {
        return status;
    }
    const ikati_mean mean = {
        .x = {IKATI_SLOT_SCRATCH, b.to, IKAT_FLOAT32, 0, 0, s->num_columns, b.part_size, 1},
        .num_batches = 1,
        .num_heads = (uint32_t)(b.part_size / s->num_columns),
        .num_rows = b.num_parts,
        .num_columns = s->num_columns,
        .to = s->to,
    };
    return ikati_lower_mean(lowering, &mean);
}
