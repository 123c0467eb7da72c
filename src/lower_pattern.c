// Lowers attention by sparse patterns: a schedule for each, then steps that walk its tiles.

#include "attend_steps.h"

#include <inttypes.h>
#include <string.h>

// A pattern of which some heads are pruned: their class comes after the others and sees nothing.
typedef struct pruned_pattern {
    ikati_pattern pattern; // its user is this
    const ikati_pattern *original;
    const int32_t *head_mask;
} pruned_pattern;

static uint32_t pruned_class(const ikati_pattern *pattern, uint32_t batch, uint32_t head) {
    const pruned_pattern *self = pattern->user;
    const ikati_pattern *original = self->original;
    if (!self->head_mask[head]) {
        return original->num_classes;
    }
    return original->class_of ? original->class_of(original, batch, head) : 0;
}

static void describe_pruned(const ikati_pattern *pattern, uint32_t class_index,
                            ikati_pattern_sink *sink) {
    const pruned_pattern *self = pattern->user;
    const ikati_positions all = ikati_span(0, 1, pattern->num_queries);
    if (class_index < self->original->num_classes) {
        self->original->describe(self->original, class_index, sink);
    } else if (!pattern->is_partial) {
        sink->group(sink, &all);
    }
}

static bool sees_pruned(const ikati_pattern *pattern, uint32_t class_index, uint32_t query,
                        uint32_t key) {
    const ikati_pattern *original = ((const pruned_pattern *)pattern->user)->original;
    return original->sees(original, class_index, query, key);
}

static ikati_tile_kind classify_pruned(const ikati_pattern *pattern, uint32_t class_index,
                                       uint32_t first_query, uint32_t last_query,
                                       uint32_t first_key, uint32_t last_key) {
    const ikati_pattern *original = ((const pruned_pattern *)pattern->user)->original;
    return original->classify(original, class_index, first_query, last_query, first_key, last_key);
}

// The attention's pattern without the heads that are pruned; `out` stays where it is.
static const ikati_pattern *prune(const ikati_attention *attention, pruned_pattern *out) {
    if (!attention->head_mask) {
        return attention->pattern;
    }
    out->original = attention->pattern;
    out->head_mask = attention->head_mask;
    out->pattern = *attention->pattern;
    out->pattern.user = out;
    out->pattern.num_classes++;
    out->pattern.num_pruned = 1;
    out->pattern.class_of = pruned_class;
    out->pattern.describe = describe_pruned;
    out->pattern.sees = sees_pruned;
    out->pattern.classify = classify_pruned;
    return &out->pattern;
}

// Patterns of a call under way. One builder each; they agree but for q, k, v and the variant, and those
// of levels in type and number of rows.
typedef struct pattern_lowering {
    ikati_lowering *lowering;
    const ikati_attention *attentions;
    uint32_t num;
    ikati_pattern_join join;
    ikati_attend_builder *builders;
    ikati_schedule *schedules;
    uint32_t *tables;     // of the schedules, among the plan's
    ikati_operand *heads; // kernel heads' tables, of the block under way
} pattern_lowering;

// Where the results of a block of batches and heads go.
typedef struct block_results {
    ikati_attend_block block;
    uint32_t packed_scratch;           // UINT32_MAX: none
    uint32_t out_scratch, lse_scratch; // parts to be joined
} block_results;

// Results of merged patterns but the last lie behind the heads' table, where the next pattern finds
// them: for each a lse a row, then out.
static uint64_t seed_words(const ikati_attend_builder *b, const ikati_attend_block *block) {
    return (uint64_t)block->batches.count * block->heads.count * b->num_queries *
           (b->value_size + 1);
}

static ikat_status make_schedule(pattern_lowering *self, uint32_t i) {
    const ikati_attention *attention = &self->attentions[i];
    const ikati_host *host = self->lowering->host;
    ikati_attend_builder *b = &self->builders[i];
    pruned_pattern pruned;
    const ikati_pattern *pattern = prune(attention, &pruned);
    ikat_status status =
        ikati_attend_begin(self->lowering, attention, ikati_pattern_largest_group(pattern), 0, b);
    if (status) {
        return status;
    }
    // Steps over the edges of runs take twice as many rounds as steps inside.
    ikati_schedule_params params = {
        .num_batches = b->num_batches,
        .num_heads = b->num_heads,
        .tile_rows = b->attend.variant->tile_rows,
        .max_keys = b->max_keys / 2,
        .num_groups = ikati_lowering_busy_groups(b->lowering),
        .key_work = ikati_attend_key_work(b),
    };
    if (params.key_work.evaluated > params.max_keys) {
        return ikati_fail(host, IKAT_UNSUPPORTED, IKAT_MESSAGE_VARIANT,
                          "the expressions are longer than one invocation of %s runs, expected "
                          "shorter ones",
                          ikati_lowering_device(self->lowering)->id);
    }
    return ikati_schedule_build(host, pattern, &params, &self->schedules[i]);
}

static ikat_status add_tables(pattern_lowering *self) {
    for (uint32_t i = 0; i < self->num; i++) {
        const ikati_schedule *schedule = &self->schedules[i];
        const uint64_t bytes = schedule->num_words * sizeof(*schedule->words);
        if (bytes > ikati_lowering_binding_bytes(self->lowering)) {
            return ikati_fail(self->lowering->host, IKAT_UNSUPPORTED, IKAT_MESSAGE_DEVICE,
                              "the pattern's tables have %" PRIu64
                              " bytes, expected at most %" PRIu64 ", which %s binds at once",
                              bytes, ikati_lowering_binding_bytes(self->lowering),
                              ikati_lowering_device(self->lowering)->id);
        }
        self->tables[i] = ikati_lowering_table(self->lowering, schedule->words, bytes);
        if (self->tables[i] == UINT32_MAX) {
            return IKAT_NO_MEMORY;
        }
    }
    return IKAT_OK;
}

// Whether every row sees every key, and nothing else needs the schedule: then the call is dense, which
// costs up to a tenth less. A mask over nearly all pairs would cost more than it saves.
static bool is_whole(const pattern_lowering *self) {
    const ikati_attention *a = &self->attentions[0];
    const ikati_attend_builder *b = &self->builders[0];
    const double pairs =
        (double)b->num_batches * b->num_heads * (double)b->num_queries * b->num_keys;
    return self->num == 1 && !a->expressions && !a->topk && !a->out_shift && !a->cluster_shift &&
           self->schedules[0].visible_pairs == pairs;
}

static ikat_status lower_whole(pattern_lowering *self) {
    ikati_attention whole = self->attentions[0];
    whole.pattern = NULL;
    whole.was_pattern = true;
    return ikati_lower_attention(self->lowering, &whole);
}

// Scratch for parts of, in all, `rows` rows a (batch, head).
static ikat_status add_parts(pattern_lowering *self, const ikati_attend_block *block, uint64_t rows,
                             uint32_t *out, uint32_t *lse) {
    uint64_t count = rows * block->batches.count * block->heads.count;
    uint64_t columns = self->builders[0].value_size;
    *out = ikati_lowering_scratch(self->lowering, count * columns * sizeof(float));
    *lse = ikati_lowering_scratch(self->lowering, count * sizeof(float));
    return *out == UINT32_MAX || *lse == UINT32_MAX ? IKAT_NO_MEMORY : IKAT_OK;
}

// Rows of the patterns before the i-th, a (batch, head).
static uint64_t rows_before(const pattern_lowering *self, uint32_t i) {
    uint64_t rows = 0;
    for (uint32_t earlier = 0; earlier < i; earlier++) {
        rows += self->builders[earlier].num_queries;
    }
    return rows;
}

static uint32_t seed_at(const pattern_lowering *self, uint32_t i, const ikati_attend_block *block) {
    const ikati_attend_builder *b = &self->builders[i];
    return (uint32_t)(ikati_attend_table_words(b, block) + i * seed_words(b, block));
}

// Where pattern i leaves its results for the next one.
static ikati_attend_targets seed_targets(pattern_lowering *self, uint32_t i,
                                         const ikati_attend_block *block) {
    const ikati_attend_builder *b = &self->builders[i];
    const uint32_t scratch = self->heads[i].index;
    ikati_attend_targets t = ikati_attend_parts(b, block, scratch, scratch, 0);
    t.lse.offset = seed_at(self, i, block);
    t.out.offset = t.lse.offset + t.lse.count;
    return t;
}

static ikati_schedule_walk start_walk(const pattern_lowering *self, uint32_t i,
                                      const ikati_attend_block *block,
                                      const ikati_tile_list *list) {
    ikati_schedule_walk walk = {
        .schedule = &self->schedules[i],
        .list = list,
        .table = self->tables[i],
        .seeded = self->join == IKATI_PATTERNS_MERGED && i > 0,
    };
    if (walk.seeded) {
        const uint64_t rows =
            (uint64_t)block->batches.count * block->heads.count * block->queries.count;
        walk.seed_lse_at = seed_at(self, i - 1, block);
        walk.seed_at = (uint32_t)(walk.seed_lse_at + rows);
    }
    return walk;
}

// Tiles that several workgroups share: their parts are kept row by row of the tiles, then merged to
// where the rows belong.
static ikat_status add_split_tiles(pattern_lowering *self, uint32_t i,
                                   const ikati_attend_block *whole,
                                   const ikati_attend_targets *direct) {
    ikati_attend_builder *b = &self->builders[i];
    const ikati_tile_list *list = &self->schedules[i].split;
    ikati_schedule_walk walk = start_walk(self, i, whole, list);
    ikati_attend_block block = *whole;
    walk.rows_packed = true;
    uint32_t out_scratch, lse_scratch;
    block.queries.count = list->num_tiles * b->attend.variant->tile_rows;
    ikat_status status = add_parts(self, &block, (uint64_t)block.queries.count * list->num_splits,
                                   &out_scratch, &lse_scratch);
    if (status) {
        return status;
    }
    b->num_splits = list->num_splits;
    ikati_attend_targets parts = ikati_attend_parts(b, &block, out_scratch, lse_scratch, 0);
    status = ikati_attend_add_walk(b, whole, &self->heads[i], &parts, &walk);
    if (!status) {
        status = ikati_attend_add_merge(b, &block, out_scratch, lse_scratch, list->num_splits,
                                        direct, &walk);
    }
    b->num_splits = 1;
    return status;
}

static ikati_attend_targets targets_of(pattern_lowering *self, uint32_t i,
                                       const ikati_attend_block *block,
                                       const block_results *results) {
    ikati_attend_builder *b = &self->builders[i];
    if (self->join == IKATI_PATTERNS_LEVELS) {
        uint64_t first_row = rows_before(self, i) * block->batches.count * block->heads.count;
        return ikati_attend_parts(b, block, results->out_scratch, results->lse_scratch, first_row);
    }
    if (self->join == IKATI_PATTERNS_MERGED && i + 1 < self->num) {
        return seed_targets(self, i, block);
    }
    return ikati_attend_direct(b, block, results->packed_scratch);
}

// One pattern's rows of one block.
static ikat_status add_pattern(pattern_lowering *self, uint32_t i, const block_results *results) {
    ikati_attend_builder *b = &self->builders[i];
    const ikati_schedule *schedule = &self->schedules[i];
    ikati_attend_block block = results->block;
    block.queries.count = b->num_queries;
    block.keys.count = b->num_keys;
    ikati_attend_targets to = targets_of(self, i, &block, results);
    ikat_status status = IKAT_OK;
    if (schedule->whole.num_tiles) {
        ikati_schedule_walk walk = start_walk(self, i, &block, &schedule->whole);
        status = ikati_attend_add_walk(b, &block, &self->heads[i], &to, &walk);
    }
    if (!status && schedule->split.num_tiles) {
        status = add_split_tiles(self, i, &block, &to);
    }
    return status;
}

// Patterns read one table, those of levels one each.
static ikat_status add_heads(pattern_lowering *self, const ikati_attend_block *block) {
    ikat_status status = IKAT_OK;
    for (uint32_t i = 0; i < self->num && !status; i++) {
        ikati_attend_builder *b = &self->builders[i];
        self->heads[i] = self->heads[0];
        if (i == 0 || self->join == IKATI_PATTERNS_LEVELS) {
            const bool merged = self->join == IKATI_PATTERNS_MERGED;
            const uint64_t seeds = merged ? (self->num - 1) * seed_words(b, block) : 0;
            status = ikati_attend_make_table(b, block, seeds, &self->heads[i]);
            if (!status && b->needs_table) {
                status = ikati_attend_add_heads(b, block, &self->heads[i]);
            }
        } else if (self->join == IKATI_PATTERNS_MERGED) {
            self->heads[i].count = seed_at(self, i, block); // with all seeds before
        }
    }
    return status;
}

static ikat_status prepare_results(pattern_lowering *self, block_results *results) {
    ikati_attend_builder *b = &self->builders[0];
    const ikati_attend_block *block = &results->block;
    uint64_t rows = block->queries.count;
    ikat_status status = add_heads(self, block);
    results->packed_scratch = UINT32_MAX;
    if (!status && b->needs_float) {
        uint64_t count = rows * block->batches.count * block->heads.count * b->value_size;
        results->packed_scratch = ikati_lowering_scratch(self->lowering, count * sizeof(float));
        status = results->packed_scratch == UINT32_MAX ? IKAT_NO_MEMORY : IKAT_OK;
    }
    if (!status && self->join == IKATI_PATTERNS_LEVELS) {
        status = add_parts(self, block, rows_before(self, self->num), &results->out_scratch,
                           &results->lse_scratch);
    }
    return status;
}

// One round of counting the scores of a block's rows, over the tiles of a list.
static ikat_status add_counts(pattern_lowering *self, const ikati_topk *topk, bool split) {
    const ikati_schedule *schedule = &self->schedules[0];
    const ikati_tile_list *list = split ? &schedule->split : &schedule->whole;
    const ikati_schedule_walk walk = {
        .schedule = schedule, .list = list, .table = self->tables[0], .rows_packed = split};
    const ikati_attend_targets to = ikati_topk_targets(topk, split);
    return list->num_tiles
               ? ikati_attend_add_walk(topk->builder, topk->block, &self->heads[0], &to, &walk)
               : IKAT_OK;
}

static ikat_status add_thresholds(pattern_lowering *self, const ikati_attend_block *block) {
    ikati_topk topk;
    ikat_status status = ikati_topk_begin(&self->builders[0], block, &self->heads[0], &topk);
    while (!status && ikati_topk_next(&topk)) {
        status = add_counts(self, &topk, false);
        status = status ? status : add_counts(self, &topk, true);
        status = status ? status : ikati_topk_end_round(&topk);
    }
    return status;
}

static ikat_status add_block(pattern_lowering *self, const ikati_attend_block *block) {
    block_results results = {.block = *block};
    ikati_attend_builder *b = &self->builders[0];
    ikat_status status = prepare_results(self, &results);
    if (!status && b->attention->topk) {
        status = add_thresholds(self, block);
    }
    for (uint32_t i = 0; i < self->num && !status; i++) {
        results.block.takes_sink = self->join == IKATI_PATTERNS_APART || i == 0;
        status = add_pattern(self, i, &results);
    }
    ikati_attend_targets direct = ikati_attend_direct(b, block, results.packed_scratch);
    if (!status && self->join == IKATI_PATTERNS_LEVELS) {
        status = ikati_attend_add_spread(b, block, results.out_scratch, results.lse_scratch,
                                         self->num, &direct);
    }
    if (!status && b->needs_pack) {
        status = ikati_attend_add_pack(b, block, results.packed_scratch);
    }
    return status;
}

// What the scratch of the joined patterns is for a head, in results of pattern i, rounded up.
static uint32_t count_parts(const pattern_lowering *self, uint32_t i) {
    const ikati_attend_builder *b = &self->builders[i];
    const uint64_t row = b->value_size, part = b->num_queries * row;
    uint64_t size = rows_before(self, self->num) * row;
    if (self->join == IKATI_PATTERNS_APART || !part) {
        return 1;
    }
    if (self->join == IKATI_PATTERNS_MERGED) { // seeds, behind a record of the heads' table
        size = 4 + (self->num - 1) * b->num_queries * (row + 1);
    }
    return (uint32_t)ikati_divide_up(size, part);
}

// Blocks of batches and heads whose tensors and parts fit the device's ranges. Rows and keys are
// not cut: their positions are the schedule's.
static ikat_status choose_blocks(pattern_lowering *self, uint32_t *out_batches,
                                 uint32_t *out_heads) {
    // Only spread binds all levels' results at once.
    const uint64_t rows = rows_before(self, self->num);
    const bool as_texels = self->join == IKATI_PATTERNS_LEVELS &&
                           ikati_attend_spreads_texels(&self->builders[0], rows);
    *out_batches = self->builders[0].num_batches;
    *out_heads = self->builders[0].num_heads;
    for (uint32_t i = 0; i < self->num; i++) {
        ikati_attend_builder *b = &self->builders[i];
        ikati_attend_builder fitted = *b;
        fitted.num_splits = as_texels ? 1 : count_parts(self, i);
        fitted.needs_float = fitted.needs_float || as_texels;
        ikati_attend_cut(&fitted);
        if (fitted.most[2] < b->num_queries || fitted.most[3] < b->num_keys) {
            return ikati_fail(self->lowering->host, IKAT_UNSUPPORTED, IKAT_MESSAGE_VARIANT,
                              "one head's tensors exceed what %s binds at once, expected less for "
                              "a sparse pattern",
                              ikati_lowering_device(self->lowering)->id);
        }
        *out_batches = fitted.most[0] < *out_batches ? fitted.most[0] : *out_batches;
        *out_heads = fitted.most[1] < *out_heads ? fitted.most[1] : *out_heads;
    }
    while (as_texels &&
           !ikati_attend_spreads_texels(&self->builders[0], rows * *out_batches * *out_heads)) {
        *(*out_batches > 1 ? out_batches : out_heads) /= 2;
    }
    return IKAT_OK;
}

static ikat_status add_blocks(pattern_lowering *self) {
    const ikati_attend_builder *b = &self->builders[0];
    uint32_t batches, heads;
    ikat_status status = choose_blocks(self, &batches, &heads);
    for (uint32_t batch = 0; batch < b->num_batches && !status; batch += batches) {
        for (uint32_t head = 0; head < b->num_heads && !status; head += heads) {
            ikati_attend_block block = {
                .batches = ikati_next_range(batch, batches, b->num_batches),
                .heads = ikati_next_range(head, heads, b->num_heads),
                .queries = {0, b->num_queries},
                .keys = {0, b->num_keys},
            };
            status = add_block(self, &block);
        }
    }
    return status;
}

ikat_status ikati_lower_patterns(ikati_lowering *lowering, const ikati_attention *attentions,
                                 uint32_t num_attentions, ikati_pattern_join join) {
    const ikati_host *host = lowering->host;
    pattern_lowering self = {
        .lowering = lowering,
        .attentions = attentions,
        .num = num_attentions,
        .join = num_attentions > 1 ? join : IKATI_PATTERNS_APART,
        .builders = ikati_alloc(host, num_attentions, sizeof(*self.builders)),
        .schedules = ikati_alloc(host, num_attentions, sizeof(*self.schedules)),
        .tables = ikati_alloc(host, num_attentions, sizeof(*self.tables)),
        .heads = ikati_alloc(host, num_attentions, sizeof(*self.heads)),
    };
    bool good = self.builders && self.schedules && self.tables && self.heads;
    ikat_status status = good ? IKAT_OK : IKAT_NO_MEMORY;
    for (uint32_t i = 0; i < num_attentions && !status; i++) {
        status = make_schedule(&self, i);
    }
    if (!status && is_whole(&self)) {
        status = lower_whole(&self);
    } else if (!status) {
        status = add_tables(&self);
        status = status ? status : add_blocks(&self);
    }
    for (uint32_t i = 0; good && i < num_attentions; i++) {
        ikati_schedule_free(host, &self.schedules[i]);
    }
    ikati_free(host, self.builders);
    ikati_free(host, self.schedules);
    ikati_free(host, self.tables);
    ikati_free(host, self.heads);
    return status;
}
