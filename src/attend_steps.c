// The steps of attention: parameter blocks, bindings and group counts of kernels `attend`, `merge` and
// `spread`.

#include "attend_steps.h"

#include "../shaders/params/attend.h"
#include "../shaders/params/merge.h"
#include "../shaders/params/spread.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

typedef struct attend_params {
    ATTEND_PARAMS(IKATI_PARAM_FIELD)
} attend_params;
typedef struct merge_params {
    MERGE_PARAMS(IKATI_PARAM_FIELD)
} merge_params;
typedef struct spread_params {
    SPREAD_PARAMS(IKATI_PARAM_FIELD)
} spread_params;

// The key/value heads that a range of query heads reads.
static ikati_axis_range kv_heads_of(const ikati_attend_builder *b, ikati_axis_range heads) {
    uint32_t first = heads.first / b->heads_per_kv;
    uint32_t last = (heads.first + heads.count - 1) / b->heads_per_kv;
    return (ikati_axis_range){first, last - first + 1};
}

static uint32_t label_options(const ikati_attend_labels *labels) {
    uint32_t options = 0;
    options |= labels->scores.kind ? OPTION_LABELS : 0;
    options |= labels->edges.kind ? OPTION_EDGES : 0;
    options |= labels->segments.kind ? OPTION_SEGMENTS : 0;
    options |= labels->is_hard ? OPTION_HARD : 0;
    return options;
}

static uint32_t attend_options(const ikati_attend_builder *b, bool in_parts) {
    const ikati_attention *a = b->attention;
    uint32_t options = 0;
    options |= b->dtype == IKAT_FLOAT16 ? OPTION_HALF : 0;
    options |= a->bias.kind ? OPTION_BIAS : 0;
    options |= a->bias.kind && a->bias.tensor->dtype == IKAT_FLOAT16 ? OPTION_BIAS_HALF : 0;
    options |= a->softcap > 0 ? OPTION_SOFTCAP : 0;
    options |= a->alibi ? OPTION_ALIBI : 0;
    options |= a->sinks.kind ? OPTION_SINK : 0;
    options |= a->labels ? label_options(a->labels) : 0;
    options |= a->lengths.kind || a->query_lengths.kind ? OPTION_LENGTHS : 0;
    options |= b->mask_table != UINT32_MAX ? OPTION_LENGTHS : 0;
    const bool is_windowed = a->window_left >= 0 || a->window_right >= 0;
    options |= is_windowed ? OPTION_WINDOW : 0;
    options |= is_windowed && a->windows ? OPTION_STEPS : 0;
    options |= a->lse.kind || in_parts ? OPTION_LSE : 0;
    const bool widens = b->dtype == IKAT_FLOAT16 && a->out.tensor->dtype == IKAT_FLOAT32;
    const bool is_float = in_parts || b->needs_float || widens;
    const bool narrows = b->dtype == IKAT_FLOAT32 && a->out.tensor->dtype == IKAT_FLOAT16;
    options |= is_float ? OPTION_OUT_FLOAT : 0;
    options |= narrows && !is_float ? OPTION_OUT_HALF : 0;
    options |= a->pattern ? OPTION_SCHEDULE : 0;
    options |= a->cluster_shift ? OPTION_CLUSTERS : 0;
    options |= a->expressions && a->expressions->score_words ? OPTION_SCORE_EXPRESSION : 0;
    return options;
}

// Words for a step's name.
static void name_options(const ikati_attention *attention, uint32_t options, char *text,
                         size_t capacity) {
    static const struct {
        uint32_t bit;
        const char *word;
    } words[] = {
        {OPTION_BIAS, ".bias"},
        {OPTION_LABELS, ".labels"},
        {OPTION_EDGES, ".edges"},
        {OPTION_SEGMENTS, ".segments"},
        {OPTION_HARD, ".hard"},
        {OPTION_SOFTCAP, ".softcap"},
        {OPTION_ALIBI, ".alibi"},
        {OPTION_SINK, ".sink"},
        {OPTION_LENGTHS, ".lengths"},
        {OPTION_WINDOW, ".window"},
        {OPTION_LSE, ".lse"},
        {OPTION_OUT_FLOAT, ".part"},
        {OPTION_STEPS, ".steps"},
        {OPTION_OUT_HALF, ".half"},
        {OPTION_SCHEDULE, ".schedule"},
        {OPTION_CLUSTERS, ".clusters"},
        {OPTION_SCORE_EXPRESSION, ".score"},
        {OPTION_SEED, ".seed"},
    };
    snprintf(text, capacity, "%s", attention->was_pattern ? ".whole" : "");
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if ((options & words[i].bit) && strlen(text) + strlen(words[i].word) < capacity) {
            strcat(text, words[i].word);
        }
    }
}

ikati_attend_targets ikati_attend_direct(const ikati_attend_builder *b,
                                         const ikati_attend_block *blk, uint32_t packed_scratch) {
    const ikati_attention *a = b->attention;
    ikati_attend_targets t = {0};
    ikati_view_strides s = ikati_view_strides_of(&a->out);
    t.out = ikati_view_operand(&a->out, blk->batches, blk->heads, blk->queries, 0, b->value_size);
    t.out_strides[1] = ikati_step_of(s.batch, blk->batches.count);
    t.out_strides[2] = ikati_step_of(s.head, blk->heads.count);
    t.out_strides[3] = ikati_step_of(s.row, blk->queries.count);
    if (packed_scratch != UINT32_MAX) {
        uint32_t rows = blk->heads.count * blk->queries.count;
        t.out = (ikati_operand){IKATI_SLOT_SCRATCH, packed_scratch, IKAT_FLOAT32, 0,
                                (uint64_t)blk->batches.count * rows * b->value_size};
        t.out_strides[1] = rows * b->value_size;
        t.out_strides[2] = blk->queries.count * b->value_size;
        t.out_strides[3] = b->value_size;
    }
    if (a->lse.kind) {
        s = ikati_view_strides_of(&a->lse);
        t.lse = ikati_view_operand(&a->lse, blk->batches, blk->heads, blk->queries, 0, 1);
        t.lse_strides[1] = ikati_step_of(s.batch, blk->batches.count);
        t.lse_strides[2] = ikati_step_of(s.head, blk->heads.count);
        t.lse_strides[3] = ikati_step_of(s.row, blk->queries.count);
    }
    return t;
}

ikati_attend_targets ikati_attend_parts(const ikati_attend_builder *b,
                                        const ikati_attend_block *blk, uint32_t out_scratch,
                                        uint32_t lse_scratch, uint64_t first_row) {
    ikati_attend_targets t = {.in_parts = true};
    uint32_t head = blk->queries.count, batch = head * blk->heads.count,
             part = batch * blk->batches.count;
    uint32_t lse_strides[4] = {part, batch, head, 1};
    memcpy(t.lse_strides, lse_strides, sizeof(lse_strides));
    for (int i = 0; i < 4; i++) {
        t.out_strides[i] = lse_strides[i] * b->value_size;
    }
    uint64_t count = (uint64_t)b->num_splits * part;
    t.lse = (ikati_operand){IKATI_SLOT_SCRATCH, lse_scratch, IKAT_FLOAT32, first_row, count};
    t.out = (ikati_operand){IKATI_SLOT_SCRATCH, out_scratch, IKAT_FLOAT32,
                            first_row * b->value_size, count * b->value_size};
    return t;
}

uint64_t ikati_attend_keys_of_group(const ikati_attend_builder *b, uint32_t keys_per_split) {
    const ikati_attention *a = b->attention;
    if (a->window_left < 0 || a->window_right < 0) {
        return keys_per_split;
    }
    uint64_t seen = (uint64_t)(a->window_left + a->window_right) + b->attend.variant->tile_rows;
    if (a->windows) {
        seen = (seen + a->windows->row_block) / a->windows->stride + 1;
    }
    return seen < keys_per_split ? seen : keys_per_split;
}

static ikati_axis_range all_of(uint32_t count) { return (ikati_axis_range){0, count}; }

// Where the words of a block's pairs are: its edges, or the segments of its rows or keys.
static ikati_operand operand_of_pairs(const ikati_attend_labels *labels,
                                      const ikati_attend_block *blk) {
    const ikati_axis_range one = all_of(1);
    if (labels->segments.kind) {
        return ikati_view_operand(&labels->segments, blk->batches, one,
                                  labels->segment_of_key ? blk->keys : blk->queries, 0, 1);
    }
    if (!labels->edges.kind) {
        return (ikati_operand){0};
    }
    const uint32_t columns = (uint32_t)labels->edges.tensor->shape[3];
    return labels->is_local
               ? ikati_view_operand(&labels->edges, blk->batches, one, blk->queries, 0, columns)
               : ikati_view_operand(&labels->edges, blk->batches, one, blk->queries,
                                    blk->keys.first, blk->keys.count);
}

static void fill_label_params(const ikati_attend_labels *labels, const ikati_attend_block *blk,
                              attend_params *out) {
    const ikati_view *words = labels->edges.kind ? &labels->edges : &labels->segments;
    const uint32_t batches = blk->batches.count, queries = blk->queries.count;
    const ikati_view_strides s =
        words->kind ? ikati_view_strides_of(words) : (ikati_view_strides){0};
    if (labels->scores.kind) {
        const ikati_view_strides scores = ikati_view_strides_of(&labels->scores);
        out->bias_batch = ikati_step_of(scores.batch, batches);
        out->bias_head = ikati_step_of(scores.head, blk->heads.count);
        out->bias_row = ikati_step_of(scores.row, queries);
        out->num_labels = (uint32_t)labels->scores.tensor->shape[3];
    }
    out->label_reach = labels->reach;
    out->label_between = labels->is_between;
    out->segment_of_key = labels->segment_of_key;
    out->edge_batch = ikati_step_of(s.batch, batches);
    out->edge_row = ikati_step_of(s.row, queries);
    out->edge_local = labels->is_local;
    out->edge_shift = labels->is_local ? (int32_t)labels->radius : -(int32_t)blk->keys.first;
    out->edge_columns = labels->is_local && labels->edges.kind
                            ? (uint32_t)labels->edges.tensor->shape[3]
                            : blk->keys.count;
}

// Edges by steps: none is open, and those of keys that stand for several positions count from the
// last.
static void fill_step_params(const ikati_attention *a, attend_params *out) {
    const ikati_attend_windows *w = a->windows;
    const int32_t far = 0x3fffffff;
    const int64_t right = a->window_right - (int64_t)w->size + 1;
    assert(!w->num_front || a->window_left < 0);
    out->window_left = a->window_left < 0 || a->window_left > far ? far : (int32_t)a->window_left;
    out->window_right = a->window_right < 0 || right > far ? far : (int32_t)right;
    out->total_positions = w->num_positions;
    out->row_step = w->row_block;
    out->key_step = w->stride;
    out->front_keys = w->num_front;
    out->front_from = w->needs_position ? 0 : INT32_MIN;
    out->right_follows = !w->from_block;
}

static void fill_attend_params(const ikati_attend_builder *b, const ikati_attend_block *blk,
                               const ikati_attend_targets *t, uint32_t keys_per_split,
                               attend_params *out) {
    const ikati_attention *a = b->attention;
    ikati_view_strides q = ikati_view_strides_of(&a->q), k = ikati_view_strides_of(&a->k),
                       v = ikati_view_strides_of(&a->v);
    ikati_view_strides bias =
        a->bias.kind ? ikati_view_strides_of(&a->bias) : (ikati_view_strides){0};
    uint32_t batches = blk->batches.count, heads = blk->heads.count, queries = blk->queries.count;
    uint32_t kv_heads = kv_heads_of(b, blk->heads).count, keys = blk->keys.count;
    *out = (attend_params){
        .num_heads = heads,
        .heads_per_kv = b->heads_per_kv,
        .head_phase = blk->heads.first % b->heads_per_kv,
        .num_queries = queries,
        .query_begin = blk->queries.first,
        .total_queries = b->num_queries,
        .num_keys = keys,
        .key_begin = blk->keys.first,
        .total_keys = b->num_keys,
        .head_size = b->head_size,
        .value_size = b->value_size,
        .num_query_tiles = (uint32_t)ikati_divide_up(queries, b->attend.variant->tile_rows),
        .num_splits = b->num_splits,
        .keys_per_split = keys_per_split,
        .q_batch = ikati_step_of(q.batch, batches),
        .q_head = ikati_step_of(q.head, heads),
        .q_row = ikati_step_of(q.row, queries),
        .k_batch = ikati_step_of(k.batch, batches),
        .k_head = ikati_step_of(k.head, kv_heads),
        .k_row = ikati_step_of(k.row, keys),
        .v_batch = ikati_step_of(v.batch, batches),
        .v_head = ikati_step_of(v.head, kv_heads),
        .v_row = ikati_step_of(v.row, keys),
        .bias_batch = ikati_step_of(bias.batch, batches),
        .bias_head = ikati_step_of(bias.head, heads),
        .bias_row = ikati_step_of(bias.row, queries),
        .out_split = t->out_strides[0],
        .out_batch = t->out_strides[1],
        .out_head = t->out_strides[2],
        .out_row = t->out_strides[3],
        .lse_split = t->lse_strides[0],
        .lse_batch = t->lse_strides[1],
        .lse_head = t->lse_strides[2],
        .lse_row = t->lse_strides[3],
        .head_records = heads,
        .with_sink = blk->takes_sink,
        .scale = (float)a->scale,
        .softcap = (float)a->softcap,
        .window_left = (int32_t)a->window_left,
        .window_right = (int32_t)a->window_right,
        .batch_begin = blk->batches.first,
        .head_begin = blk->heads.first,
        .topk_counts = t->counts,
        .topk_shift = t->topk_shift,
        .topk_above = t->topk_above,
        .topk_at = 4 * batches * heads,
        .topk_rows = queries,
    };
    if (a->labels) {
        fill_label_params(a->labels, blk, out);
    }
    if (a->windows) {
        fill_step_params(a, out);
    }
    if (a->expressions) {
        out->mask_at = a->expressions->mask_at;
        out->mask_words = a->expressions->mask_words;
        out->score_at = a->expressions->score_at;
        out->score_words = a->expressions->score_words;
    }
}

// An attend step but for parameters and size.
static ikati_step start_attend(const ikati_attend_builder *b, const ikati_attend_block *blk,
                               const ikati_operand *table, const ikati_attend_targets *t) {
    const ikati_attention *a = b->attention;
    ikati_step step = b->attend;
    ikati_axis_range kv_heads = kv_heads_of(b, blk->heads);
    step.operands[0] =
        ikati_view_operand(&a->q, blk->batches, blk->heads, blk->queries, 0, b->head_size);
    step.operands[1] =
        ikati_view_operand(&a->k, blk->batches, kv_heads, blk->keys, 0, b->head_size);
    step.operands[2] =
        ikati_view_operand(&a->v, blk->batches, kv_heads, blk->keys, 0, b->value_size);
    step.operands[3] = ikati_view_operand(&a->bias, blk->batches, blk->heads, blk->queries,
                                          blk->keys.first, blk->keys.count);
    if (a->expressions) {
        step.operands[3] = (ikati_operand){IKATI_SLOT_TABLE, a->expressions->table, IKAT_INT32, 0,
                                           a->expressions->num_words};
    }
    if (a->labels) {
        step.operands[3] =
            a->labels->scores.kind
                ? ikati_view_operand(&a->labels->scores, blk->batches, blk->heads, blk->queries, 0,
                                     (uint32_t)a->labels->scores.tensor->shape[3])
                : (ikati_operand){0};
        step.operands[7] = operand_of_pairs(a->labels, blk);
    }
    step.operands[4] = *table;
    step.operands[5] = t->out;
    step.operands[6] = t->lse;
    step.specialisation[0] = attend_options(b, t->in_parts);
    step.first_batch = blk->batches.first;
    step.num_batches = blk->batches.count;
    step.first_head = blk->heads.first;
    step.num_heads = blk->heads.count;
    step.is_joint = b->other_parts > 0;
    step.share = a->share;
    return step;
}

// Heads of a block that are not pruned.
static uint32_t count_kept(const ikati_attend_builder *b, ikati_axis_range heads) {
    const int32_t *mask = b->attention->head_mask;
    uint32_t kept = 0;
    for (uint32_t h = heads.first; h < heads.first + heads.count; h++) {
        kept += !mask || mask[h];
    }
    return kept;
}

// The keys that stand for windows within the window of rows whose own positions are low to high; about.
static void clip_to_windows(const ikati_attention *a, int64_t low, int64_t high, int64_t *from,
                            int64_t *to) {
    const ikati_attend_windows *w = a->windows;
    const int64_t block = w->row_block;
    low = low < 0 ? 0 : low - low % block;
    high = high < 0 ? -1 : w->from_block ? high - high % block : high;
    if (a->window_left >= 0 && (low - a->window_left) / w->stride > *from) {
        *from = (low - a->window_left) / w->stride;
    }
    if (a->window_right < 0) {
        return;
    }
    const int64_t last = high + a->window_right - w->size + 1;
    const int64_t seen = w->num_front + (last < 0 ? 0 : last / w->stride + 1);
    *to = seen < *to ? seen : *to;
}

// Pairs that the tiles of a block compute for one head: whole tiles of rows times the keys that any of
// their rows sees. Lengths are taken as full.
static double count_pairs(const ikati_attend_builder *b, const ikati_attend_block *blk) {
    const ikati_attention *a = b->attention;
    const int64_t rows = b->attend.variant->tile_rows;
    const int64_t begin = blk->keys.first, end = begin + blk->keys.count;
    const int64_t num_positions = a->windows ? a->windows->num_positions : b->num_keys;
    double pairs = 0;
    for (int64_t row = 0; row < blk->queries.count; row += rows) {
        int64_t low = blk->queries.first + row + num_positions - b->num_queries;
        int64_t high =
            low + (rows < blk->queries.count - row ? rows : blk->queries.count - row) - 1;
        int64_t from =
            a->window_left >= 0 && low - a->window_left > begin ? low - a->window_left : begin;
        int64_t to = a->window_right >= 0 && high + a->window_right + 1 < end
                         ? high + a->window_right + 1
                         : end;
        if (a->windows) {
            from = begin;
            to = end;
            clip_to_windows(a, low, high, &from, &to);
        }
        pairs += to > from ? (double)rows * (double)(to - from) : 0;
    }
    return pairs;
}

ikat_status ikati_attend_add_attend(ikati_attend_builder *b, const ikati_attend_block *blk,
                                    const ikati_operand *table, const ikati_attend_targets *t) {
    ikati_step step = start_attend(b, blk, table, t);
    uint32_t keys_per_split = (uint32_t)ikati_divide_up(blk->keys.count, b->num_splits);
    keys_per_split = (uint32_t)ikati_round_up(keys_per_split, IKATI_KEY_GRANULE);
    attend_params params;
    fill_attend_params(b, blk, t, keys_per_split, &params);
    memcpy(step.params, &params, sizeof(params));
    step.num_tiles = (uint64_t)blk->batches.count * blk->heads.count * params.num_query_tiles;
    step.num_groups = step.num_tiles * b->num_splits;
    step.pairs = (double)blk->batches.count * count_kept(b, blk->heads) * count_pairs(b, blk);
    step.flops =
        2.0 * (b->head_size + b->value_size) * (double)step.num_groups * step.variant->tile_rows *
        (double)ikati_attend_keys_of_group(b, keys_per_split < blk->keys.count ? keys_per_split
                                                                               : blk->keys.count);
    char words[64];
    name_options(b->attention, step.specialisation[0], words, sizeof(words));
    return ikati_lowering_step(b->lowering, &step, b->dtype, words);
}

static ikati_operand operand_of_schedule(const ikati_schedule_walk *walk) {
    return (ikati_operand){IKATI_SLOT_TABLE, walk->table, IKAT_INT32, 0, walk->schedule->num_words};
}

// Place of the class of a block's first batch and head.
static uint32_t class_at(const ikati_attend_builder *b, const ikati_attend_block *blk,
                         const ikati_schedule_walk *walk) {
    return walk->schedule->class_at + blk->batches.first * b->num_heads + blk->heads.first;
}

ikat_status ikati_attend_add_walk(ikati_attend_builder *b, const ikati_attend_block *blk,
                                  const ikati_operand *table, const ikati_attend_targets *t,
                                  const ikati_schedule_walk *walk) {
    const ikati_schedule *schedule = walk->schedule;
    const ikati_tile_list *list = walk->list;
    ikati_step step = start_attend(b, blk, table, t);
    step.operands[7] = operand_of_schedule(walk);
    attend_params params;
    fill_attend_params(b, blk, t, blk->keys.count, &params);
    params.num_query_tiles = list->num_tiles;
    params.num_splits = list->num_splits;
    params.class_at = class_at(b, blk, walk);
    params.class_batch = b->num_heads;
    params.tiles_at = list->tiles_at;
    params.entries_at = schedule->entries_at;
    params.positions_at = schedule->positions_at;
    params.masks_at = schedule->masks_at;
    params.out_shift = b->attention->out_shift;
    params.rows_packed = walk->rows_packed;
    params.seed_lse_at = walk->seed_lse_at;
    params.seed_at = walk->seed_at;
    step.specialisation[0] |= walk->seeded ? OPTION_SEED : 0;
    memcpy(step.params, &params, sizeof(params));
    uint64_t heads = (uint64_t)blk->batches.count * blk->heads.count;
    step.num_tiles = heads * list->num_tiles;
    step.num_groups = step.num_tiles * list->num_splits;
    step.pairs = list->pairs * (double)heads / ((double)b->num_batches * b->num_heads);
    step.flops = 2.0 * (b->head_size + (t->counts ? 0 : b->value_size)) * step.pairs;
    char words[64];
    name_options(b->attention, step.specialisation[0], words, sizeof(words));
    if (t->counts) { // these pairs come again
        step.num_tiles = 0;
        step.pairs = 0;
        snprintf(words, sizeof(words), ".count");
    }
    return ikati_lowering_step(b->lowering, &step, b->dtype, words);
}

ikat_status ikati_attend_add_merge(ikati_attend_builder *b, const ikati_attend_block *blk,
                                   uint32_t out_scratch, uint32_t lse_scratch, uint32_t num_parts,
                                   const ikati_attend_targets *t, const ikati_schedule_walk *walk) {
    ikati_step step = {0};
    ikati_pick pick = {.offers = b->dtype == IKAT_FLOAT16 ? IKATI_NEED_HALF : IKATI_NEED_FLOAT};
    ikat_status status = ikati_pick_variant(b->lowering, IKATI_KERNEL_merge, &pick, &step);
    if (status) {
        return status;
    }
    uint32_t rows = blk->batches.count * blk->heads.count * blk->queries.count;
    merge_params params = {
        .num_parts = num_parts,
        .part_size = rows * b->value_size,
        .part_lse_size = rows,
        .num_batches = blk->batches.count,
        .num_heads = blk->heads.count,
        .num_queries = blk->queries.count,
        .value_size = b->value_size,
        .out_batch = t->out_strides[1],
        .out_head = t->out_strides[2],
        .out_row = t->out_strides[3],
        .lse_batch = t->lse_strides[1],
        .lse_head = t->lse_strides[2],
        .lse_row = t->lse_strides[3],
    };
    if (walk) {
        params.class_at = class_at(b, blk, walk);
        params.class_batch = b->num_heads;
        params.rows_at = walk->list->rows_at;
        params.out_shift = b->attention->out_shift;
        step.operands[4] = operand_of_schedule(walk);
    }
    uint64_t count = (uint64_t)num_parts * rows;
    step.operands[0] =
        (ikati_operand){IKATI_SLOT_SCRATCH, out_scratch, IKAT_FLOAT32, 0, count * b->value_size};
    step.operands[1] = (ikati_operand){IKATI_SLOT_SCRATCH, lse_scratch, IKAT_FLOAT32, 0, count};
    step.operands[2] = t->out;
    step.operands[3] = t->lse;
    step.specialisation[0] = (t->out.dtype == IKAT_FLOAT16 ? MERGE_HALF : 0) |
                             (t->lse.kind ? MERGE_LSE : 0) | (walk ? MERGE_ROWS : 0);
    bool in_rows = step.variant->group_size == 1;
    uint64_t items = in_rows ? rows : (uint64_t)rows * ((b->value_size + 1) / 2);
    step.num_groups = ikati_divide_up(items, step.variant->tile_rows);
    step.flops = 4.0 * (double)count * b->value_size;
    memcpy(step.params, &params, sizeof(params));
    return ikati_lowering_step(b->lowering, &step, t->out.dtype, t->lse.kind ? ".lse" : "");
}

bool ikati_attend_spreads_texels(const ikati_attend_builder *b, uint64_t rows) {
    return ikati_lowering_device(b->lowering)->type == IKAT_DEVICE_CPU && b->value_size % 4 == 0 &&
           rows * b->value_size * sizeof(float) <=
               ikati_lowering_texel_bytes(b->lowering, sizeof(float));
}

ikat_status ikati_attend_add_spread(ikati_attend_builder *b, const ikati_attend_block *blk,
                                    uint32_t out_scratch, uint32_t lse_scratch, uint32_t num_levels,
                                    const ikati_attend_targets *t) {
    ikati_step step = {0};
    ikati_pick pick = {.offers = t->out.dtype == IKAT_FLOAT16 ? IKATI_NEED_HALF : IKATI_NEED_FLOAT,
                       .sizes = {b->value_size, b->value_size}};
    uint64_t heads = (uint64_t)blk->batches.count * blk->heads.count, rows = 0;
    for (uint32_t level = 0; level < num_levels; level++) {
        rows += heads * ikati_divide_up(blk->queries.count, UINT64_C(1) << level);
    }
    pick.offers |= ikati_attend_spreads_texels(b, rows) ? IKATI_NEED_TEXEL : 0;
    ikat_status status = ikati_pick_variant(b->lowering, IKATI_KERNEL_spread, &pick, &step);
    if (status) {
        return status;
    }
    if (!step.variant->texel_bindings &&
        rows * b->value_size * sizeof(float) > ikati_lowering_binding_bytes(b->lowering)) {
        return ikati_fail(b->lowering->host, IKAT_UNSUPPORTED, IKAT_MESSAGE_VARIANT,
                          "the levels' results exceed what %s binds at once but as texels",
                          ikati_lowering_device(b->lowering)->id);
    }
    spread_params params = {
        .num_levels = num_levels,
        .num_batches = blk->batches.count,
        .num_heads = blk->heads.count,
        .num_queries = blk->queries.count,
        .value_size = b->value_size,
        .out_batch = t->out_strides[1],
        .out_head = t->out_strides[2],
        .out_row = t->out_strides[3],
        .lse_batch = t->lse_strides[1],
        .lse_head = t->lse_strides[2],
        .lse_row = t->lse_strides[3],
    };
    step.operands[0] =
        (ikati_operand){IKATI_SLOT_SCRATCH, out_scratch, IKAT_FLOAT32, 0, rows * b->value_size};
    step.operands[1] = (ikati_operand){IKATI_SLOT_SCRATCH, lse_scratch, IKAT_FLOAT32, 0, rows};
    step.operands[2] = t->out;
    step.operands[3] = t->lse;
    step.specialisation[0] =
        (t->out.dtype == IKAT_FLOAT16 ? SPREAD_HALF : 0) | (t->lse.kind ? SPREAD_LSE : 0);
    uint64_t items_a_row = ikati_divide_up(b->value_size, step.variant->tile_keys);
    step.num_groups =
        ikati_divide_up(heads * blk->queries.count * items_a_row, step.variant->tile_rows);
    step.flops = 4.0 * (double)heads * blk->queries.count * num_levels * b->value_size;
    memcpy(step.params, &params, sizeof(params));
    return ikati_lowering_step(b->lowering, &step, t->out.dtype, t->lse.kind ? ".lse" : "");
}

ikat_status ikati_attend_add_pack(ikati_attend_builder *b, const ikati_attend_block *blk,
                                  uint32_t scratch) {
    const ikati_attend_targets direct = ikati_attend_direct(b, blk, UINT32_MAX);
    const uint32_t counts[3] = {blk->batches.count, blk->heads.count, blk->queries.count};
    const uint64_t elements = (uint64_t)counts[0] * counts[1] * counts[2] * b->value_size;
    const ikati_row_target staged = {{IKATI_SLOT_SCRATCH, scratch, IKAT_FLOAT32, 0, elements}, {0}};
    ikati_row_target to = {.operand = direct.out};
    memcpy(to.strides, &direct.out_strides[1], sizeof(to.strides));
    return ikati_lowering_pack(b->lowering, &staged, &to, counts, b->value_size);
}
