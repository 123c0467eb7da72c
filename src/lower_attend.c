#include "lower_attend.h"

#include "attend_steps.h"

#include <assert.h>
#include <math.h>
#include <string.h>

const int32_t *ikati_head_mask(const ikati_request *request) {
    int64_t head = 0, num_heads = ikati_extent(request, "H");
    while (head < num_heads && ikati_keeps_head(request, head)) {
        head++;
    }
    return head < num_heads ? ikati_structure(request, "head_mask") : NULL;
}

ikati_attention ikati_attention_of_call(const ikati_request *request) {
    const ikati_call_setting *scale = ikati_setting(request, "scale");
    return (ikati_attention){
        .q = ikati_input_view(request, "q"),
        .k = ikati_input_view(request, "k"),
        .v = ikati_input_view(request, "v"),
        .head_mask = ikati_head_mask(request),
        .lengths = ikati_input_view(request, "lengths"),
        .out = ikati_output_view(request, 0),
        .lse = ikati_output_view(request, 1),
        .scale = scale->given ? scale->number : 1.0 / sqrt((double)ikati_extent(request, "D")),
        .window_left = -1,
        .window_right = -1,
    };
}

// Whether any of the block's rows may see any of its keys. Only device values know better when
// there are lengths.
static bool block_sees(const ikati_attend_builder *b, const ikati_attend_block *blk) {
    const ikati_attention *a = b->attention;
    if (a->lengths.kind || a->query_lengths.kind) {
        return true;
    }
    int64_t diagonal = (int64_t)b->num_keys - b->num_queries;
    int64_t first_row = blk->queries.first, last_row = first_row + blk->queries.count - 1;
    int64_t first_key = blk->keys.first, last_key = first_key + blk->keys.count - 1;
    return (a->window_left < 0 || last_key >= first_row + diagonal - a->window_left) &&
           (a->window_right < 0 || first_key <= last_row + diagonal + a->window_right);
}

static void set_keys(const ikati_attend_builder *b, ikati_attend_block *blk, uint32_t chunk) {
    blk->keys = ikati_next_range(chunk * b->most[3], b->most[3], b->num_keys);
}

// The key ranges that the block's rows may see: first and end of a run of chunks of most[3] keys;
// at least one.
static ikati_axis_range visible_chunks(const ikati_attend_builder *b, ikati_attend_block blk) {
    uint32_t num_chunks = (uint32_t)ikati_divide_up(b->num_keys ? b->num_keys : 1, b->most[3]);
    ikati_axis_range run = {0, 0};
    for (uint32_t chunk = 0; chunk < num_chunks; chunk++) {
        set_keys(b, &blk, chunk);
        if (block_sees(b, &blk)) {
            run.first = run.count ? run.first : chunk;
            run.count = chunk - run.first + 1;
        }
    }
    return run.count ? run : (ikati_axis_range){0, 1};
}

// Attentions of the same rows over keys of their own, under way. The builders agree in everything but
// keys, values, windows, labels and variant.
typedef struct joint_lowering {
    ikati_lowering *lowering;
    ikati_attend_builder *builders;
    ikati_operand *tables; // kernel heads' tables, of the block under way
    uint32_t num;
} joint_lowering;

// The keys of each attention that a block's rows may see, and the parts that these are cut into.
typedef struct row_parts {
    ikati_axis_range chunks[IKATI_MAX_JOINT];
    uint32_t num;
} row_parts;

static row_parts list_parts(const joint_lowering *self, const ikati_attend_block *blk) {
    row_parts parts = {.num = 0};
    for (uint32_t i = 0; i < self->num; i++) {
        parts.chunks[i] = visible_chunks(&self->builders[i], *blk);
        parts.num += parts.chunks[i].count * self->builders[i].num_splits;
    }
    return parts;
}

// All keys in parts, then the parts merged.
static ikat_status add_split_block(joint_lowering *self, ikati_attend_block blk,
                                   const row_parts *parts, const ikati_attend_targets *direct) {
    ikati_attend_builder *first = &self->builders[0];
    uint64_t part_rows = (uint64_t)blk.batches.count * blk.heads.count * blk.queries.count;
    uint64_t rows = part_rows * parts->num, row = 0;
    uint32_t out_scratch =
        ikati_lowering_scratch(self->lowering, rows * first->value_size * sizeof(float));
    uint32_t lse_scratch = ikati_lowering_scratch(self->lowering, rows * sizeof(float));
    if (out_scratch == UINT32_MAX || lse_scratch == UINT32_MAX) {
        return IKAT_NO_MEMORY;
    }
    ikat_status status = IKAT_OK;
    for (uint32_t i = 0; i < self->num; i++) {
        ikati_attend_builder *b = &self->builders[i];
        for (uint32_t c = 0; c < parts->chunks[i].count && !status; c++) {
            ikati_attend_targets to = ikati_attend_parts(b, &blk, out_scratch, lse_scratch, row);
            set_keys(b, &blk, parts->chunks[i].first + c);
            blk.takes_sink = row == 0;
            status = ikati_attend_add_attend(b, &blk, &self->tables[i], &to);
            row += part_rows * b->num_splits;
        }
    }
    return status ? status
                  : ikati_attend_add_merge(first, &blk, out_scratch, lse_scratch, parts->num,
                                           direct, NULL);
}

// One block of rows against all keys that it may see.
static ikat_status add_rows(joint_lowering *self, ikati_attend_block blk) {
    ikati_attend_builder *b = &self->builders[0];
    const row_parts parts = list_parts(self, &blk);
    uint32_t packed_scratch = UINT32_MAX;
    if (b->needs_float) {
        uint64_t elements =
            (uint64_t)blk.batches.count * blk.heads.count * blk.queries.count * b->value_size;
        packed_scratch = ikati_lowering_scratch(b->lowering, elements * sizeof(float));
        if (packed_scratch == UINT32_MAX) {
            return IKAT_NO_MEMORY;
        }
    }
    ikati_attend_targets direct = ikati_attend_direct(b, &blk, packed_scratch);
    ikat_status status;
    if (parts.num == 1) {
        set_keys(b, &blk, parts.chunks[0].first);
        blk.takes_sink = true;
        status = ikati_attend_add_attend(b, &blk, &self->tables[0], &direct);
    } else {
        status = add_split_block(self, blk, &parts, &direct);
    }
    return status || !b->needs_pack ? status : ikati_attend_add_pack(b, &blk, packed_scratch);
}

static ikat_status add_tables(joint_lowering *self, const ikati_attend_block *blk) {
    ikat_status status = IKAT_OK;
    for (uint32_t i = 0; i < self->num && !status; i++) {
        ikati_attend_builder *b = &self->builders[i];
        self->tables[i] = (ikati_operand){0};
        if (b->needs_table && b->num_queries) {
            status = ikati_attend_make_table(b, blk, 0, &self->tables[i]);
            status = status ? status : ikati_attend_add_heads(b, blk, &self->tables[i]);
        }
    }
    return status;
}

static ikat_status add_blocks(joint_lowering *self) {
    const ikati_attend_builder *b = &self->builders[0];
    ikat_status status = IKAT_OK;
    for (uint32_t batch = 0; batch < b->num_batches && !status; batch += b->most[0]) {
        for (uint32_t head = 0; head < b->num_heads && !status; head += b->most[1]) {
            ikati_attend_block blk = {.batches =
                                          ikati_next_range(batch, b->most[0], b->num_batches),
                                      .heads = ikati_next_range(head, b->most[1], b->num_heads)};
            status = add_tables(self, &blk);
            for (uint32_t query = 0; query < b->num_queries && !status; query += b->most[2]) {
                blk.queries = ikati_next_range(query, b->most[2], b->num_queries);
                status = add_rows(self, blk);
            }
        }
    }
    return status;
}

// Blocks of rows that fit for all of the attentions, and the parts of all for one merge. Cutting one may
// cut the others' rows, and cutting keys makes more parts: until nothing changes.
static void cut_together(joint_lowering *self) {
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = 0; i < self->num; i++) {
            ikati_attend_builder *b = &self->builders[i], before = *b;
            b->other_parts = 0;
            for (uint32_t j = 0; j < self->num; j++) {
                const ikati_attend_builder *other = &self->builders[j];
                b->other_parts += j == i ? 0 : ikati_attend_total_parts(other);
                for (int axis = 0; axis < 3; axis++) {
                    b->most[axis] =
                        other->most[axis] < b->most[axis] ? other->most[axis] : b->most[axis];
                }
            }
            ikati_attend_cut(b);
            changed = changed || memcmp(before.most, b->most, sizeof(b->most)) != 0;
        }
    }
}

static ikati_pick describe_call(const ikati_attend_builder *b) {
    const ikati_attention *a = b->attention;
    ikati_pick pick = {
        .offers = b->dtype == IKAT_FLOAT16 ? IKATI_NEED_HALF : IKATI_NEED_FLOAT,
        .sizes = {b->head_size, b->value_size},
    };
    if (ikati_view_is_multiple(&a->q, b->head_size, 4) &&
        ikati_view_is_multiple(&a->k, b->head_size, 4) &&
        ikati_view_is_multiple(&a->v, b->value_size, 4)) {
        pick.offers |= IKATI_NEED_ALIGNED4;
        pick.offers |= ikati_lowering_takes_texels(b->lowering) ? IKATI_NEED_TEXEL : 0;
    }
    return pick;
}

static uint64_t max_keys_per_group(const ikati_attend_builder *b) {
    uint64_t keys = ikati_lowering_max_keys(b->lowering, b->attend.variant, b->head_size);
    keys = keys < IKATI_MAX_KEYS_PER_GROUP ? keys : IKATI_MAX_KEYS_PER_GROUP;
    return keys / IKATI_KEY_GRANULE * IKATI_KEY_GRANULE;
}

// An invocation that interprets programs runs those of its share of a tile's pairs, a word a round.
ikati_key_work ikati_attend_key_work(const ikati_attend_builder *b) {
    const ikati_attend_expressions *programs = b->attention->expressions;
    const ikat_device_info *device = ikati_lowering_device(b->lowering);
    const ikati_variant *variant = b->attend.variant;
    ikati_key_work work = {1, 1};
    if (!programs || (variant->needs & IKATI_NEED_COMPILER) || !strstr(device->name, "llvmpipe")) {
        return work; // nothing is cut off: a key is a key
    }
    uint64_t rounds = variant->rounds[0] + variant->rounds[1] * ikati_divide_up(b->head_size, 16);
    uint64_t rows = 2 * (uint64_t)variant->tile_rows; // attend.comp takes two turns
    uint64_t scale = (rounds ? rounds : 1024) * variant->group_size;
    work.seen += (uint32_t)ikati_divide_up(programs->score_words * rows * 1024, scale);
    work.evaluated = work.seen;
    work.evaluated += (uint32_t)ikati_divide_up(programs->mask_words * rows * 1024, scale);
    return work;
}

// Few workgroups with many keys each leave a device idle: then the keys are split.
static uint32_t choose_splits(const ikati_attend_builder *b) {
    uint64_t tiles = ikati_divide_up(b->num_queries, b->attend.variant->tile_rows);
    uint64_t groups = tiles * b->num_batches * b->num_heads;
    uint64_t keys = ikati_attend_keys_of_group(b, b->num_keys);
    uint64_t needed = keys > b->max_keys ? ikati_divide_up(b->num_keys, b->max_keys) : 1;
    uint64_t busy = ikati_lowering_busy_groups(b->lowering);
    if (groups == 0 || keys < b->num_keys / 2) {
        return (uint32_t)needed; // a narrow window: most splits would be empty
    }
    uint64_t wanted = ikati_divide_up(busy, groups);
    uint64_t most = ikati_divide_up(b->num_keys, IKATI_KEY_GRANULE);
    wanted = wanted < most ? wanted : most;
    wanted = wanted > needed ? wanted : needed;
    return (uint32_t)wanted;
}

ikat_status ikati_attend_begin(ikati_lowering *lowering, const ikati_attention *attention,
                               uint32_t num_rows, uint32_t offers, ikati_attend_builder *b) {
    const int64_t *q = attention->q.tensor->shape, *k = attention->k.tensor->shape;
    *b = (ikati_attend_builder){
        .lowering = lowering,
        .attention = attention,
        .num_batches = (uint32_t)q[0],
        .num_heads = (uint32_t)q[1],
        .heads_per_kv = (uint32_t)(q[1] / k[1]),
        .num_queries = (uint32_t)q[2],
        .num_keys = (uint32_t)k[2],
        .head_size = (uint32_t)q[3],
        .value_size = (uint32_t)attention->v.tensor->shape[3],
        .dtype = attention->q.tensor->dtype,
        .num_splits = 1,
        .mask_table = UINT32_MAX,
    };
    for (int axis = 0; axis < 4; axis++) {
        int64_t extent = axis < 3 ? q[axis] : k[2];
        b->most[axis] = extent ? (uint32_t)extent : 1;
    }
    b->needs_table = attention->lengths.kind || attention->query_lengths.kind || attention->alibi ||
                     attention->sinks.kind || attention->cluster_shift || attention->topk;
    if (attention->head_mask &&
        !attention->pattern) { // schedules leave pruned heads out by themselves
        b->needs_table = true;
        b->mask_table =
            ikati_lowering_table(lowering, attention->head_mask, (uint64_t)q[1] * sizeof(int32_t));
        if (b->mask_table == UINT32_MAX) {
            return IKAT_NO_MEMORY;
        }
    }
    b->needs_pack = attention->out.kind &&
                    ikati_lowering_packs(lowering, attention->out.tensor->dtype) &&
                    !ikati_view_is_multiple(&attention->out, b->value_size, 2);
    b->needs_float = b->needs_pack || !attention->out.kind;
    ikati_pick pick = describe_call(b);
    pick.num_rows = num_rows;
    pick.offers |= offers | (attention->expressions ? IKATI_NEED_EXPRESSION : 0);
    pick.text = attention->expressions ? attention->expressions->functions : NULL;
    pick.offers |= attention->topk ? IKATI_NEED_TOPK : 0;
    ikat_status status = ikati_pick_variant(lowering, IKATI_KERNEL_attend, &pick, &b->attend);
    b->max_keys = status ? 0 : max_keys_per_group(b);
    return status;
}

ikat_status ikati_lower_attentions(ikati_lowering *lowering, const ikati_attention *attentions,
                                   uint32_t num_attentions) {
    ikati_attend_builder builders[IKATI_MAX_JOINT];
    ikati_operand tables[IKATI_MAX_JOINT];
    joint_lowering self = {lowering, builders, tables, num_attentions};
    ikat_status status = IKAT_OK;
    assert(num_attentions >= 1 && num_attentions <= IKATI_MAX_JOINT);
    for (uint32_t i = 0; i < num_attentions && !status; i++) {
        uint32_t num_rows = (uint32_t)attentions[i].q.tensor->shape[2];
        status =
            ikati_attend_begin(lowering, &attentions[i], num_rows, IKATI_NEED_DENSE, &builders[i]);
        if (!status) {
            builders[i].num_splits = choose_splits(&builders[i]);
        }
    }
    if (!status) {
        cut_together(&self);
        status = add_blocks(&self);
    }
    return status;
}

ikat_status ikati_lower_attention(ikati_lowering *lowering, const ikati_attention *attention) {
    return ikati_lower_attentions(lowering, attention, 1);
}
