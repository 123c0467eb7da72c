// Lowers softmax attention to kernels `heads`, `attend`, `merge`, `spread` and `pack`: what every
// mechanism that ends in softmax over keys shares. Cuts tensors that exceed the device's storage
// range, splits long key ranges, merges the parts.

#ifndef IKATI_LOWER_ATTEND_H
#define IKATI_LOWER_ATTEND_H

#include "pattern.h"
#include "view.h"

// The call's head_mask; NULL if it has none, or one that keeps all heads.
const int32_t *ikati_head_mask(const ikati_request *request);

// Expressions of `custom`: a table with what ikati_symbols_pack wrote and the programs behind it.
//
// mask_at, score_at  where the programs begin, in words; mask_words, score_words: 0 for none
// functions          what ikati_expression_emit wrote of both, for variants that are compiled with them;
//                    NULL: none may be. The lowering's
typedef struct ikati_attend_expressions {
    const char *functions;
    uint32_t table, num_words;
    uint32_t mask_at, mask_words, score_at, score_words;
} ikati_attend_expressions;

// Labels on pairs, in place of a bias: score = scale q.k + scores[row, label of the pair]. Without a
// schedule.
//
// scores             [B,H,N,R] float32; NONE: no label has a score, pairs are only hidden
// edges              [B or 1,1,N,columns] int32, the label of each pair, below 0: it is hidden. Columns
//                    are keys, or with is_local keys row - radius to row + radius. NONE: labels go by
//                    position, `reach` (K) being the largest distance that has its own:
//                      min(j - i, K), left of the row K + min(i - j, K); is_between: 2K + 1
// segments           [B,1,positions,1] int32, without edges: the row that a key belongs to
//                    (segment_of_key), or the key that a row does. With is_between such pairs have
//                    label 2K + 2
// is_hard            all other pairs are hidden
typedef struct ikati_attend_labels {
    ikati_view scores, edges, segments;
    bool is_local, is_between, segment_of_key, is_hard;
    uint32_t radius, reach;
} ikati_attend_labels;

// Keys that stand for windows of positions, and rows that lie in blocks of them; without a pattern, a
// bias, ALiBi or a soft window. lengths count positions, query_lengths the valid rows (absent: all).
// Row i's own position is p = i + valid positions - valid rows, as far as the window is concerned, whose
// sides count positions: of a key all must be within, from s - window_left on up to p + window_right, s
// being the first position of p's block. Rows whose p is negative see no windows then.
//
// num_positions   M
// num_front       keys before those of windows. They are not of the window; only where its left is open
// needs_position  front keys are visible only where a position is valid and, with a window, p >= 0
// size, stride    of the others key c stands for positions c * stride .. c * stride + size - 1
// is_whole        a key is visible where all its positions are valid, of which there may be none; else
//                 where the first is
// row_block       positions of a block; 1: each position is one
// from_block      the right side counts from s too
typedef struct ikati_attend_windows {
    uint32_t num_positions, num_front;
    bool needs_position;
    uint32_t size, stride;
    bool is_whole;
    uint32_t row_block;
    bool from_block;
} ikati_attend_windows;

// Keys that are visible where so many positions are valid: those that `k` must have.
uint32_t ikati_attend_count_keys(const ikati_attend_windows *windows, uint32_t num_valid);

// One attention over tensors in the layout of the spec, [B,H,N,D]. q, k and v have one type; out has any.
//
// window_left, window_right  -1: open
// softcap                    0: off
// alibi                      slopes from `slopes`, whatever that is (input or table); its tensor is
//                            [H] or [B,H]
// is_cross                   rows and keys are of different inputs, also where they are as many: without
//                            query_lengths all rows are valid
// labels                     NULL: none; only without a pattern and without bias
// windows                    NULL: keys and rows are positions
// head_mask                  [H], 0: the head is pruned: out 0, lse -inf, nothing read; NULL: none is
// pattern                    who sees whom, besides window and lengths; NULL: all. Only for
//                            ikati_lower_patterns, which takes one that sees all as none
// was_pattern                that happened; said in the names of steps
// expressions                NULL: none; only with a pattern, and without bias
// topk                       keys that a row keeps, ties apart; 0: all. Only with one pattern, and
//                            without expressions
// out_shift                  with a pattern: results of the query at position i go to i + out_shift
// cluster_shift              not 0, with a pattern: rows and keys are means over 2^cluster_shift of
//                            num_positions, of which the last may have fewer; lengths count
//                            positions. The last key counts as the share that it has
// share              of a call with several: its place among them, for pictures
typedef struct ikati_attention {
    ikati_view q, k, v, bias, out, lse;
    ikati_view lengths, query_lengths, slopes, sinks;
    bool alibi;
    bool is_cross;
    double scale;
    double softcap;
    int64_t window_left, window_right;
    const ikati_attend_labels *labels;
    const ikati_attend_windows *windows;
    const int32_t *head_mask;
    const ikati_pattern *pattern;
    bool was_pattern;
    const ikati_attend_expressions *expressions;
    int32_t out_shift;
    uint32_t topk;
    uint32_t cluster_shift, num_positions;
    ikati_share share;
} ikati_attention;

// Inputs q, k, v and lengths, outputs out and lse, setting scale of a call; everyone sees all.
ikati_attention ikati_attention_of_call(const ikati_request *request);

ikat_status ikati_lower_attention(ikati_lowering *lowering, const ikati_attention *attention);

enum { IKATI_MAX_JOINT = 4 };

// One softmax over the keys of several attentions, whose results are merged by lse. All have the same q,
// out, lse, heads, sizes and type, and each keys, values, lengths, windows and labels of its own; sinks
// go with the first.
ikat_status ikati_lower_attentions(ikati_lowering *lowering, const ikati_attention *attentions,
                                   uint32_t num_attentions);

// How the results of several patterns become one.
//
// APART   they own different rows
// MERGED  all over the same rows: they own different pairs. Each begins where the one before ended
// LEVELS  by lse: pattern l has ceil(N / 2^l) rows, its keys count 2^l times, and row i takes row
//         i >> l; a row that sees nothing in pattern 0 takes nothing
typedef enum ikati_pattern_join {
    IKATI_PATTERNS_APART,
    IKATI_PATTERNS_MERGED,
    IKATI_PATTERNS_LEVELS,
} ikati_pattern_join;

// Attention by patterns into one out and lse. All have the same out, lse, lengths, sizes and, but for
// levels, type and number of rows; sinks go with the first.
ikat_status ikati_lower_patterns(ikati_lowering *lowering, const ikati_attention *attentions,
                                 uint32_t num_attentions, ikati_pattern_join join);

#endif
