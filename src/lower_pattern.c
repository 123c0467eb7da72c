// Lowers attention by sparse patterns: a schedule for each, then steps that walk its tiles.

#include "attend_steps.h"

#include <string.h>

// Patterns of a call under way. One builder each; they agree but for q, k, v and the variant.
typedef struct pattern_lowering {
    ikati_lowering *lowering;
    const ikati_attention *attentions;
    uint32_t num;
    bool merged;
    ikati_attend_builder *builders;
    ikati_schedule *schedules;
    uint32_t *tables; // of the schedules, among the plan's
} pattern_lowering;

// Where the results of a block of batches and heads go, and what all patterns read of it.
typedef struct block_results {
    ikati_attend_block block;
    ikati_operand heads;               // kernel heads' table
    uint32_t packed_scratch;           // UINT32_MAX: none
    uint32_t out_scratch, lse_scratch; // parts to be merged
} block_results;

static ikat_status make_schedule(pattern_lowering *self, uint32_t i) {
    const ikati_attention *attention = &self->attentions[i];
    const ikati_host *host = self->lowering->host;
    ikati_attend_builder *b = &self->builders[i];
    ikat_status status = ikati_attend_begin(self->lowering, attention,
                                            ikati_pattern_largest_group(attention->pattern), 0, b);
    if (status) {
        return status;
    }
    // Steps over the edges of runs take twice as many rounds as steps inside.
    ikati_schedule_params params = {
        .num_batches = b->num_batches,
        .num_heads = b->num_heads,
        .tile_rows = b->attend.variant->tile_rows,
        .max_keys = b->max_keys / 2,
        .key_work = ikati_attend_key_work(b),
    };
    if (params.key_work.evaluated > params.max_keys) {
        return ikati_fail(host, IKAT_UNSUPPORTED, IKAT_MESSAGE_VARIANT,
                          "the expressions are longer than one invocation of %s runs, expected "
                          "shorter ones",
                          ikati_lowering_device(self->lowering)->id);
    }
    ikati_schedule *schedule = &self->schedules[i];
    status = ikati_schedule_build(host, attention->pattern, &params, schedule);
    if (status) {
        return status;
    }
    self->tables[i] = ikati_lowering_table(self->lowering, schedule->words,
                                           schedule->num_words * sizeof(*schedule->words));
    return self->tables[i] == UINT32_MAX ? IKAT_NO_MEMORY : IKAT_OK;
}

// Scratch for num_parts parts of `rows` rows a (batch, head).
static ikat_status add_parts(pattern_lowering *self, const ikati_attend_block *block, uint64_t rows,
                             uint32_t num_parts, uint32_t *out, uint32_t *lse) {
    uint64_t count = rows * block->batches.count * block->heads.count * num_parts;
    uint64_t columns = self->builders[0].value_size;
    *out = ikati_lowering_scratch(self->lowering, count * columns * sizeof(float));
    *lse = ikati_lowering_scratch(self->lowering, count * sizeof(float));
    return *out == UINT32_MAX || *lse == UINT32_MAX ? IKAT_NO_MEMORY : IKAT_OK;
}

// Tiles that several workgroups share: their parts are kept row by row of the tiles, then merged to
// where the rows belong.
static ikat_status add_split_tiles(pattern_lowering *self, uint32_t i, const block_results *results,
                                   const ikati_attend_targets *direct) {
    ikati_attend_builder *b = &self->builders[i];
    const ikati_tile_list *list = &self->schedules[i].split;
    ikati_schedule_walk walk = {&self->schedules[i], list, self->tables[i], true};
    ikati_attend_block block = results->block;
    uint32_t out_scratch, lse_scratch;
    block.queries.count = list->num_tiles * b->attend.variant->tile_rows;
    ikat_status status =
        add_parts(self, &block, block.queries.count, list->num_splits, &out_scratch, &lse_scratch);
    if (status) {
        return status;
    }
    b->num_splits = list->num_splits;
    ikati_attend_targets parts = ikati_attend_parts(b, &block, out_scratch, lse_scratch, 0);
    status = ikati_attend_add_walk(b, &results->block, &results->heads, &parts, &walk);
    if (!status) {
        status = ikati_attend_add_merge(b, &block, out_scratch, lse_scratch, list->num_splits,
                                        direct, &walk);
    }
    b->num_splits = 1;
    return status;
}

// One pattern's rows of one block.
static ikat_status add_pattern(pattern_lowering *self, uint32_t i, const block_results *results) {
    ikati_attend_builder *b = &self->builders[i];
    const ikati_schedule *schedule = &self->schedules[i];
    ikati_attend_targets to =
        self->merged
            ? ikati_attend_parts(b, &results->block, results->out_scratch, results->lse_scratch, i)
            : ikati_attend_direct(b, &results->block, results->packed_scratch);
    ikat_status status = IKAT_OK;
    if (schedule->whole.num_tiles) {
        ikati_schedule_walk walk = {schedule, &schedule->whole, self->tables[i], false};
        status = ikati_attend_add_walk(b, &results->block, &results->heads, &to, &walk);
    }
    if (!status && schedule->split.num_tiles) {
        status = add_split_tiles(self, i, results, &to);
    }
    return status;
}

static ikat_status prepare_results(pattern_lowering *self, block_results *results) {
    ikati_attend_builder *b = &self->builders[0];
    const ikati_attend_block *block = &results->block;
    uint64_t rows = block->queries.count;
    ikat_status status = IKAT_OK;
    results->packed_scratch = UINT32_MAX;
    if (b->needs_table) {
        status = ikati_attend_add_heads(b, block, &results->heads);
    }
    if (!status && b->needs_pack) {
        uint64_t count = rows * block->batches.count * block->heads.count * b->value_size;
        results->packed_scratch = ikati_lowering_scratch(self->lowering, count * sizeof(float));
        status = results->packed_scratch == UINT32_MAX ? IKAT_NO_MEMORY : IKAT_OK;
    }
    if (!status && self->merged) {
        status =
            add_parts(self, block, rows, self->num, &results->out_scratch, &results->lse_scratch);
    }
    return status;
}

static ikat_status add_block(pattern_lowering *self, const ikati_attend_block *block) {
    block_results results = {.block = *block};
    ikati_attend_builder *b = &self->builders[0];
    ikat_status status = prepare_results(self, &results);
    for (uint32_t i = 0; i < self->num && !status; i++) {
        results.block.takes_sink = !self->merged || i == 0;
        status = add_pattern(self, i, &results);
    }
    if (!status && self->merged) {
        ikati_attend_targets direct = ikati_attend_direct(b, block, results.packed_scratch);
        status = ikati_attend_add_merge(b, block, results.out_scratch, results.lse_scratch,
                                        self->num, &direct, NULL);
    }
    if (!status && b->needs_pack) {
        status = ikati_attend_add_pack(b, block, results.packed_scratch);
    }
    return status;
}

// Blocks of batches and heads whose tensors and parts fit the device's ranges. Rows and keys are
// not cut: their positions are the schedule's.
static ikat_status choose_blocks(pattern_lowering *self, uint32_t *out_batches,
                                 uint32_t *out_heads) {
    *out_batches = self->builders[0].num_batches;
    *out_heads = self->builders[0].num_heads;
    for (uint32_t i = 0; i < self->num; i++) {
        ikati_attend_builder *b = &self->builders[i];
        ikati_attend_builder fitted = *b;
        fitted.num_splits = self->merged ? self->num : 1;
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
    return IKAT_OK;
}

static ikat_status add_blocks(pattern_lowering *self) {
    const ikati_attend_builder *b = &self->builders[0];
    uint32_t batches, heads;
    ikat_status status = choose_blocks(self, &batches, &heads);
    for (uint32_t batch = 0; batch < b->num_batches && !status; batch += batches) {
        for (uint32_t head = 0; head < b->num_heads && !status; head += heads) {
            uint32_t batches_left = b->num_batches - batch, heads_left = b->num_heads - head;
            ikati_attend_block block = {
                .batches = {batch, batches_left < batches ? batches_left : batches},
                .heads = {head, heads_left < heads ? heads_left : heads},
                .queries = {0, b->num_queries},
                .keys = {0, b->num_keys},
            };
            status = add_block(self, &block);
        }
    }
    return status;
}

ikat_status ikati_lower_patterns(ikati_lowering *lowering, const ikati_attention *attentions,
                                 uint32_t num_attentions, bool merged) {
    const ikati_host *host = lowering->host;
    pattern_lowering self = {
        .lowering = lowering,
        .attentions = attentions,
        .num = num_attentions,
        .merged = merged && num_attentions > 1,
        .builders = ikati_alloc(host, num_attentions, sizeof(*self.builders)),
        .schedules = ikati_alloc(host, num_attentions, sizeof(*self.schedules)),
        .tables = ikati_alloc(host, num_attentions, sizeof(*self.tables)),
    };
    bool good = self.builders && self.schedules && self.tables;
    ikat_status status = good ? IKAT_OK : IKAT_NO_MEMORY;
    for (uint32_t i = 0; i < num_attentions && !status; i++) {
        status = make_schedule(&self, i);
    }
    if (!status) {
        status = add_blocks(&self);
    }
    for (uint32_t i = 0; good && i < num_attentions; i++) {
        ikati_schedule_free(host, &self.schedules[i]);
    }
    ikati_free(host, self.builders);
    ikati_free(host, self.schedules);
    ikati_free(host, self.tables);
    return status;
}
