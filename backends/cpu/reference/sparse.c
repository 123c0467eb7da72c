// Strided and fixed factorized patterns: Child, Gray, Radford, Sutskever, Sparse Transformers,
// arXiv:1904.10509, sections 4.2-4.3.

#include "visible.h"

// Places of the settings' words.
enum { STRIDED, FIXED };
enum { MERGED, SPLIT, FIRST, SECOND };

typedef struct sparse {
    int64_t pattern, head_mode, stride, columns, distinct;
    bool causal;
} sparse;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static void mark_first(const sparse *s, const cpu_row *row, int64_t last, uint8_t *seen) {
    if (s->pattern == STRIDED) {
        const int64_t reach = least(s->stride, row->num_positions) - 1;
        cpu_mark_range(row, row->i - reach, least(row->i + reach, last), 1, seen);
    } else {
        const int64_t start = row->i / s->stride * s->stride;
        cpu_mark_range(row, start, least(start + s->stride - 1, last), 1, seen);
    }
}

static void mark_second(const sparse *s, const cpu_row *row, int64_t last, uint8_t *seen) {
    if (s->pattern == STRIDED) {
        cpu_mark_range(row, row->i % s->stride, last, s->stride, seen);
        return;
    }
    const int64_t head = s->head_mode == SPLIT ? row->h / 2 : row->h;
    const int64_t group = head % s->distinct;
    for (int64_t start = 0; start <= last; start += s->stride) {
        const int64_t end = start + s->stride - s->columns * group;
        cpu_mark_range(row, end - s->columns, least(end - 1, last), 1, seen);
    }
}

static void mark(const void *user, const cpu_row *row, uint8_t *seen) {
    const sparse *s = user;
    const int64_t last = s->causal ? row->i : row->num_positions - 1;
    const bool even = row->h % 2 == 0;
    if (s->head_mode == MERGED || s->head_mode == FIRST || (s->head_mode == SPLIT && even)) {
        mark_first(s, row, last, seen);
    }
    if (s->head_mode == MERGED || s->head_mode == SECOND || (s->head_mode == SPLIT && !even)) {
        mark_second(s, row, last, seen);
    }
}

ikat_status ikati_reference_sparse(const cpu_call *call) {
    const int64_t stride = cpu_integer(call, "stride", 128);
    const sparse s = {
        .pattern = cpu_integer(call, "pattern", STRIDED),
        .head_mode = cpu_integer(call, "head_mode", MERGED),
        .stride = stride,
        .columns = cpu_integer(call, "c", stride / 4 > 1 ? stride / 4 : 1),
        .distinct = cpu_integer(call, "distinct", 1),
        .causal = cpu_integer(call, "causal", 1) != 0,
    };
    const cpu_visible visible = {.user = &s, .mark = mark};
    return cpu_attend_visible(call, &visible);
}
