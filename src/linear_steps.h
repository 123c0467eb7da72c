// Between lower_linear.c (decisions, order) and the steps themselves: linear_features.c,
// linear_states.c and linear_recur.c.

#ifndef IKATI_LINEAR_STEPS_H
#define IKATI_LINEAR_STEPS_H

#include "attend_steps.h"
#include "lower_linear.h"

enum {
    IKATI_SLOT_GRANULE = 16, // slots, features and columns of states are multiples of it
    IKATI_FADE_EXTRA = 16,   // elements behind the products of a row, see params/fade.h
};

// Which of the two a step makes features of.
typedef enum ikati_side { IKATI_QUERIES, IKATI_KEYS } ikati_side;

// A lowering under way. Extents of the call come first, then those of the block that is being lowered:
// some batch entries, some key/value heads and the heads that go with them.
//
// heads_per_kv   query heads of a key/value head; states_per_kv its states
// total          slots end with the last valid position, of which there are at most so many; 0: they
//                begin with the first
// segment        slots that are worked on at once
// key_features .. carried  scratch as the kernels lay it out, with room for a whole segment; `carried`
//                for one state
// query_begin    elements of query_features that lie before the queries' own
typedef struct ikati_linear_builder {
    ikati_lowering *lowering;
    const ikati_linear_attention *attention;
    uint32_t num_batches, num_kv_heads, heads_per_kv, states_per_kv;
    uint32_t num_queries, num_keys, head_size, value_size;
    uint32_t num_features, value_stride;
    uint64_t state_size; // below 2^32 once blocks are chosen
    uint32_t chunk, segment, total;
    ikati_axis_range batches, kv_heads;
    uint32_t mask_table;
    uint32_t key_features, query_features, key_copies, query_copies, products, fade, states,
        carried;
    uint32_t peaks, maxima;
    uint64_t query_begin;
    uint32_t num_peaks; // rooms in `peaks` of a (batch, state)
} ikati_linear_builder;

static inline uint32_t ikati_linear_states(const ikati_linear_builder *b) {
    return b->kv_heads.count * b->states_per_kv;
}
static inline uint32_t ikati_linear_heads(const ikati_linear_builder *b) {
    return b->kv_heads.count * b->heads_per_kv;
}

static inline uint32_t ikati_linear_divide(uint32_t value, uint32_t divisor) {
    return (uint32_t)ikati_divide_up(value, divisor);
}
// Of a tensor [batch, head, position, column].
static inline ikati_matrices ikati_linear_matrices(const ikati_view *view) {
    return ikati_matrices_of(view, 0, 1, 2, 3);
}
// Whether the valid positions of a side are as many as `lengths` says; else all are.
static inline bool ikati_linear_has_lengths(const ikati_linear_builder *b, ikati_side side) {
    return b->attention->lengths.kind && (side == IKATI_KEYS || b->num_queries == b->num_keys);
}

// Of scratch of `num` (batch, head)s with `size` elements each, from element `first` of each on.
ikati_operand ikati_linear_scratch_part(uint32_t scratch, uint64_t num, uint64_t size,
                                        uint64_t first);
// Of lengths, the block's.
ikati_operand ikati_linear_lengths(const ikati_linear_builder *b);
// The rows of `out` of the block's heads and these queries, and whether they go through staged floats.
ikati_row_target ikati_linear_out(const ikati_linear_builder *b, ikati_axis_range queries);
bool ikati_linear_packs(const ikati_linear_builder *b);
// The block's heads of a side, and the positions that a range of slots may hold.
ikati_axis_range ikati_linear_heads_of(const ikati_linear_builder *b, ikati_side side);
ikati_axis_range ikati_linear_positions(const ikati_linear_builder *b, ikati_side side,
                                        ikati_axis_range slots);

// Features of the slots of a range, or without projections of q or k themselves.
ikat_status ikati_linear_features(const ikati_linear_builder *b, ikati_side side,
                                  ikati_axis_range slots);
// Projections alone, in the place of features, for ikati_linear_peaks.
ikat_status ikati_linear_project(const ikati_linear_builder *b, ikati_side side,
                                 ikati_axis_range slots);
// Turns them into features.
ikat_status ikati_linear_map(const ikati_linear_builder *b, ikati_side side,
                             ikati_axis_range slots);

// Largest projections of parts of the range, to places `first_peak` on; returns in *num_peaks how many.
ikat_status ikati_linear_peaks(const ikati_linear_builder *b, ikati_axis_range slots,
                               uint32_t first_peak, uint32_t *num_peaks);
// The largest of them all, to `maxima`.
ikat_status ikati_linear_maxima(const ikati_linear_builder *b, uint32_t num_peaks);
// Slots of one of these parts.
uint32_t ikati_linear_peak_rows(const ikati_linear_builder *b);

// Products of decays, states of chunks and what they begin with, products of features inside chunks,
// rows.
ikat_status ikati_linear_fade(const ikati_linear_builder *b, ikati_axis_range slots);
ikat_status ikati_linear_outer(const ikati_linear_builder *b, ikati_axis_range slots);
// is_first, is_last: of the segments.
ikat_status ikati_linear_carry(const ikati_linear_builder *b, uint32_t num_chunks, bool is_first,
                               bool is_last);
// rows: those of the slots that have queries, from a chunk's first on; skipped: slots before them.
ikat_status ikati_linear_products(const ikati_linear_builder *b, ikati_axis_range rows,
                                  uint32_t skipped);
ikat_status ikati_linear_readout(const ikati_linear_builder *b, ikati_axis_range rows,
                                 uint32_t skipped);

// Whether a few tokens are taken through the state one after the other, by kernel `recur`; and the
// steps.
bool ikati_linear_is_recurrent(const ikati_linear_builder *b);
ikat_status ikati_linear_recur(const ikati_linear_builder *b);

#endif
