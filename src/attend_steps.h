// Between lower_attend.c (decisions), attend_cut.c (tensors too large to bind whole) and
// attend_steps.c (the steps themselves).

#ifndef IKATI_ATTEND_STEPS_H
#define IKATI_ATTEND_STEPS_H

#include "lower_attend.h"
#include "schedule.h"

enum {
    IKATI_KEY_GRANULE =
        256, // key ranges are cut at multiples of it: every variant's key tile divides it
    IKATI_MAX_KEYS_PER_GROUP = 1 << 20, // bounds the work of one workgroup
};

// A part of the problem that one set of steps computes.
typedef struct ikati_attend_block {
    ikati_axis_range batches, heads, queries, keys;
    bool takes_sink; // of several key ranges one takes the sink into its normaliser
} ikati_attend_block;

// A lowering of attention under way.
typedef struct ikati_attend_builder {
    ikati_lowering *lowering;
    const ikati_attention *attention;
    uint32_t num_batches, num_heads, heads_per_kv, num_queries, num_keys, head_size, value_size;
    ikat_dtype dtype;
    ikati_step attend; // kernel and variant chosen; the template of every attend step
    uint32_t num_splits;
    uint32_t most[4];     // largest batches, heads, queries, keys of one block
    uint32_t other_parts; // of attentions that are merged with this one
    uint32_t mask_table;  // head_mask among the plan's tables, where kernel `heads` reads it
    uint64_t max_keys;    // that one workgroup may visit
    bool needs_table;     // kernel `heads` runs
    bool needs_pack;      // halves of `out` share words between rows
    bool needs_float; // results go to float32 scratch: to be packed, or because only lse is wanted
} ikati_attend_builder;

// Where the results of one set of query rows go: the outputs, or scratch. Strides: split, batch,
// head, row.
//
// counts  no results, but counts of scores; topk_*: as the kernel's parameters
typedef struct ikati_attend_targets {
    ikati_operand out, lse;
    uint32_t out_strides[4], lse_strides[4];
    bool in_parts;
    bool counts;
    uint32_t topk_shift, topk_above;
} ikati_attend_targets;

// Fills a builder and picks its variant. num_rows: of the largest tile problem; offers: more than
// what tensors tell (IKATI_NEED_DENSE).
ikat_status ikati_attend_begin(ikati_lowering *lowering, const ikati_attention *attention,
                               uint32_t num_rows, uint32_t offers,
                               ikati_attend_builder *out_builder);

// Tiles of a schedule that one step walks. table: the schedule's words among the plan's tables;
// rows_packed: as the kernel's parameter; seeded: rows begin with what lies at seed_lse_at and
// seed_at of the operand that holds the heads' table.
typedef struct ikati_schedule_walk {
    const ikati_schedule *schedule;
    const ikati_tile_list *list;
    uint32_t table;
    bool rows_packed;
    bool seeded;
    uint32_t seed_lse_at, seed_at;
} ikati_schedule_walk;

// Makes builder->most small enough for every binding to fit the device's ranges.
void ikati_attend_cut(ikati_attend_builder *builder);

// What keys cost where expressions are run, next to builder->max_keys.
ikati_key_work ikati_attend_key_work(const ikati_attend_builder *builder);

// Keys that one workgroup visits at the most when a split has `keys_per_split`.
uint64_t ikati_attend_keys_of_group(const ikati_attend_builder *builder, uint32_t keys_per_split);

// Parts that every row's keys may be cut into, over all blocks.
uint32_t ikati_attend_total_parts(const ikati_attend_builder *builder);

// The outputs themselves, or float32 scratch (packed, to be followed by `pack`) if `packed_scratch`
// is one.
ikati_attend_targets ikati_attend_direct(const ikati_attend_builder *builder,
                                         const ikati_attend_block *block, uint32_t packed_scratch);
// Scratch for parts, [part, batch, head, query, column] packed, seen from its row `first_row` on.
ikati_attend_targets ikati_attend_parts(const ikati_attend_builder *builder,
                                        const ikati_attend_block *block, uint32_t out_scratch,
                                        uint32_t lse_scratch, uint64_t first_row);

// Thresholds of a block's rows on their way (src/lower_topk.c): behind the records of `heads` in the
// operand `table`. A round is a walk over all keys with targets that count, then its end; `next` tells
// whether there is one.
typedef struct ikati_topk {
    ikati_attend_builder *builder;
    const ikati_attend_block *block;
    ikati_operand counts, rows;
    uint32_t shift, above;
} ikati_topk;

// Scratch bytes of the counts of `rows` rows.
uint64_t ikati_topk_counts_bytes(uint64_t rows);
ikat_status ikati_topk_begin(ikati_attend_builder *builder, const ikati_attend_block *block,
                             const ikati_operand *table, ikati_topk *out_topk);
bool ikati_topk_next(ikati_topk *topk);
// in_parts: whether the walk that follows the rounds writes parts. Programs must be the same, or their
// scores might not be.
ikati_attend_targets ikati_topk_targets(const ikati_topk *topk, bool in_parts);
ikat_status ikati_topk_end_round(ikati_topk *topk);

// Words of the table of a block's batches and heads, 0 if it needs none: records, and with topk
// thresholds of its rows.
uint64_t ikati_attend_table_words(const ikati_attend_builder *builder,
                                  const ikati_attend_block *block);

// Scratch for that table, and `num_more` words behind it.
ikat_status ikati_attend_make_table(ikati_attend_builder *builder, const ikati_attend_block *block,
                                    uint64_t num_more, ikati_operand *out_table);

// Each adds one step. `heads` fills the table.
ikat_status ikati_attend_add_heads(ikati_attend_builder *builder, const ikati_attend_block *block,
                                   const ikati_operand *table);
ikat_status ikati_attend_add_attend(ikati_attend_builder *builder, const ikati_attend_block *block,
                                    const ikati_operand *table,
                                    const ikati_attend_targets *targets);
// walk: NULL, or the tiles whose rows the parts hold.
ikat_status ikati_attend_add_merge(ikati_attend_builder *builder, const ikati_attend_block *block,
                                   uint32_t out_scratch, uint32_t lse_scratch, uint32_t num_parts,
                                   const ikati_attend_targets *targets,
                                   const ikati_schedule_walk *walk);
// Whether kernel spread can read so many rows of results as texels, which may be more than a storage
// buffer holds.
bool ikati_attend_spreads_texels(const ikati_attend_builder *builder, uint64_t rows);

// Parts are levels (kernel spread).
ikat_status ikati_attend_add_spread(ikati_attend_builder *builder, const ikati_attend_block *block,
                                    uint32_t out_scratch, uint32_t lse_scratch, uint32_t num_levels,
                                    const ikati_attend_targets *targets);
// Walks the tiles of a schedule.
ikat_status ikati_attend_add_walk(ikati_attend_builder *builder, const ikati_attend_block *block,
                                  const ikati_operand *table, const ikati_attend_targets *targets,
                                  const ikati_schedule_walk *walk);
ikat_status ikati_attend_add_pack(ikati_attend_builder *builder, const ikati_attend_block *block,
                                  uint32_t scratch);

#endif
