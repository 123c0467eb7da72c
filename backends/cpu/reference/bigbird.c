// Window, global and random blocks: Zaheer et al., Big Bird, arXiv:2007.14062, section 2 and
// appendix D.

#include "visible.h"

#include "../../../src/philox.h"

typedef struct bigbird {
    int64_t num_heads, num_positions, num_blocks;
    int64_t block_size, num_tokens, left, right, window, num_random;
    int32_t *table; // [head, block, num_random]
} bigbird;

static bool is_global_block(const bigbird *s, int64_t block) {
    return block < s->left || block >= s->num_blocks - s->right;
}

static bool is_near(const bigbird *s, int64_t a, int64_t b) {
    return (a > b ? a - b : b - a) <= (s->window - 1) / 2;
}

static void mark_block(const bigbird *s, const cpu_row *row, int64_t block, uint8_t *seen) {
    if (block * s->block_size < s->num_positions) {
        const int64_t first = s->num_tokens + block * s->block_size;
        cpu_mark_range(row, first, first + s->block_size - 1, 1, seen);
    }
}

static void mark(const void *user, const cpu_row *row, uint8_t *seen) {
    const bigbird *s = user;
    const int64_t own = (row->i - s->num_tokens) / s->block_size;
    if (row->i < s->num_tokens || is_global_block(s, own)) {
        cpu_mark_range(row, 0, row->num_positions - 1, 1, seen);
        return;
    }
    cpu_mark_range(row, 0, s->num_tokens - 1, 1, seen);
    for (int64_t block = 0; block < s->num_blocks; block++) {
        if (is_global_block(s, block) || is_near(s, own, block)) {
            mark_block(s, row, block, seen);
        }
    }
    for (int64_t t = 0; t < s->num_random; t++) {
        const int32_t block = s->table[(row->h * s->num_blocks + own) * s->num_random + t];
        if (block >= 0) {
            mark_block(s, row, block, seen);
        }
    }
}

// The page's draw for one row of the table; `candidates` has room for all blocks.
static void draw_row(const bigbird *s, uint64_t seed, int64_t row, int32_t *candidates) {
    const int64_t own = row % s->num_blocks;
    uint64_t count = 0;
    for (int64_t block = 0; block < s->num_blocks; block++) {
        if (!is_global_block(s, block) && !is_near(s, own, block)) {
            candidates[count++] = (int32_t)block;
        }
    }
    for (uint64_t t = 0; t < (uint64_t)s->num_random; t++) {
        int32_t *slot = &s->table[row * s->num_random + (int64_t)t];
        *slot = -1;
        if (t < count && !is_global_block(s, own)) {
            const uint64_t word =
                ikati_draw_bits(seed, 0, (uint64_t)row * (uint64_t)s->num_random + t);
            const uint64_t other = t + (((word >> 8) * (count - t)) >> 24);
            *slot = candidates[other];
            candidates[other] = candidates[t];
            candidates[t] = *slot;
        }
    }
}

static ikat_status make_table(bigbird *s, const cpu_call *call) {
    const ikati_call_tensor *given = cpu_input(call, "random_blocks");
    const int64_t rows = s->num_heads * s->num_blocks;
    const uint64_t seed = (uint64_t)cpu_integer(call, "seed", 0);
    int32_t *candidates = ikati_alloc(call->host, (size_t)s->num_blocks, sizeof(*candidates));
    s->table = ikati_alloc(call->host, (size_t)(rows * s->num_random), sizeof(*s->table));
    const bool good = candidates && s->table;
    for (int64_t row = 0; row < rows && good; row++) {
        for (int64_t t = 0; t < s->num_random && given; t++) {
            s->table[row * s->num_random + t] = (int32_t)cpu_load(given, row * s->num_random + t);
        }
        if (!given) {
            draw_row(s, seed, row, candidates);
        }
    }
    ikati_free(call->host, candidates);
    return good ? IKAT_OK : IKAT_NO_MEMORY;
}

static void store_table(const bigbird *s, const ikati_call_tensor *out) {
    for (int64_t row = 0; row < s->num_heads * s->num_blocks && out; row++) {
        for (int64_t t = 0; t < s->num_random; t++) {
            cpu_store_int(out, cpu_index(out, row / s->num_blocks, row % s->num_blocks, t, 0),
                          s->table[row * s->num_random + t]);
        }
    }
}

ikat_status ikati_reference_bigbird(const cpu_call *call) {
    const ikati_call_tensor *given = cpu_input(call, "random_blocks");
    const int64_t *shape = cpu_input(call, "q")->tensor.shape;
    bigbird s = {
        .num_heads = shape[1],
        .num_positions = shape[2],
        .block_size = cpu_integer(call, "block_size", 64),
        .window = cpu_integer(call, "window_blocks", 3),
        .left = cpu_integer(call, "global_blocks_left", 1),
        .right = cpu_integer(call, "global_blocks_right", 1),
        .num_tokens = cpu_integer(call, "num_global_tokens", 0),
        .num_random = cpu_integer(call, "num_random_blocks", given ? given->tensor.shape[2] : 3),
    };
    s.num_blocks = (s.num_positions - s.num_tokens + s.block_size - 1) / s.block_size;
    ikat_status status = make_table(&s, call);
    if (!status) {
        store_table(&s, cpu_output(call, "random_blocks"));
        const cpu_visible visible = {.user = &s, .mark = mark};
        status = cpu_attend_visible(call, &visible);
    }
    ikati_free(call->host, s.table);
    return status;
}
