// Calls drawn at random: odd sizes, settings at and past their edges.

#include "visible.h"

#include <string.h>

static uint32_t next(uint32_t *state, uint32_t bound) {
    *state = *state * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)(*state >> 8) * bound >> 24);
}

static void append(char *text, size_t capacity, const char *more) {
    const size_t used = strlen(text);
    snprintf(text + used, capacity - used, "%s", more);
}

// q, k, v of B = 2, `heads` heads, N positions.
static void draw_tensors(uint32_t heads, uint32_t n, char *inputs, size_t capacity) {
    snprintf(inputs, capacity, "q=2,%u,%u,1 k=2,1,%u,1 v=2,1,%u,1", heads, n, n, n);
}

// The larger a tile, the fewer: masks of all densities, and rows of tiles that are alike.
void dense_draw(uint32_t seed, char *inputs, char *settings, size_t capacity) {
    static const char *const masks[] = {"0..1", "1,0,0,1,1,0,1", "0*30,1,0*11,1", "1*9,0", "0,1,0"};
    uint32_t s = seed;
    const uint32_t n = 1 + next(&s, 200), m = 1 + next(&s, 200);
    const uint32_t size = next(&s, 4) ? 1 + next(&s, 70) : 1 + next(&s, 3);
    char text[64];
    snprintf(inputs, capacity, "q=2,3,%u,1 k=2,1,%u,1 v=2,1,%u,1", n, m, m);
    snprintf(settings, capacity, "causal=%u window_left=%d window_right=%d", next(&s, 2),
             (int)next(&s, 60) - 20, next(&s, 3) ? -1 : (int)next(&s, 30));
    if (strstr(settings, "left=-")) {
        snprintf(settings, capacity, "causal=%u", next(&s, 2));
    }
    if (next(&s, 5)) {
        snprintf(text, sizeof(text), " block_mask=%u,%u,%u@", next(&s, 2) ? 3 : 1,
                 (n + size - 1) / size, (m + size - 1) / size);
        append(inputs, capacity, text);
        append(inputs, capacity, masks[next(&s, 5)]);
        snprintf(text, sizeof(text), " block_size=%u", size);
        append(settings, capacity, text);
    }
}

void longformer_draw(uint32_t seed, char *inputs, char *settings, size_t capacity) {
    uint32_t s = seed;
    const uint32_t n = 1 + next(&s, 300);
    char mask[64] = "";
    draw_tensors(3, n, inputs, capacity);
    if (next(&s, 3)) {
        snprintf(mask, sizeof(mask), " global_mask=2,%u@0,%u,0,0,%u,0,0,0,0,0,0,%u", n, next(&s, 2),
                 next(&s, 2), next(&s, 2));
    }
    append(inputs, capacity, mask);
    snprintf(settings, capacity, "window=%u dilation=%u,%u,%u causal=%u", next(&s, 30),
             1 + next(&s, 4), 1 + next(&s, 9), 1 + next(&s, 200), next(&s, 2));
}

void bigbird_draw(uint32_t seed, char *inputs, char *settings, size_t capacity) {
    uint32_t s = seed;
    const uint32_t n = 1 + next(&s, 120), g = next(&s, 3) ? 0 : next(&s, n + 1);
    const uint32_t size = 1 + next(&s, 20), r = next(&s, 6), nb = (n - g + size - 1) / size;
    char table[64] = "";
    draw_tensors(3, n, inputs, capacity);
    if (next(&s, 2)) {
        snprintf(table, sizeof(table), " random_blocks=3,%u,%u", nb, r);
    }
    append(inputs, capacity, table);
    snprintf(settings, capacity,
             "block_size=%u window_blocks=%u num_random_blocks=%u global_blocks_left=%u "
             "global_blocks_right=%u num_global_tokens=%u seed=%u",
             size, 1 + 2 * next(&s, 3), r, next(&s, 3), next(&s, 3), g, next(&s, 1000));
}

void sparse_draw(uint32_t seed, char *inputs, char *settings, size_t capacity) {
    static const char *const modes[] = {"merged", "split", "first", "second"};
    uint32_t s = seed;
    const uint32_t n = 1 + next(&s, 120), stride = 1 + next(&s, 30), c = 1 + next(&s, stride);
    char fixed[64] = "";
    draw_tensors(1 + next(&s, 5), n, inputs, capacity);
    if (next(&s, 2)) {
        snprintf(fixed, sizeof(fixed), " pattern=fixed c=%u distinct=%u", c,
                 1 + next(&s, stride / c));
    }
    snprintf(settings, capacity, "stride=%u head_mode=%s causal=%u%s",
             next(&s, 10) ? stride : stride * 50 + c, modes[next(&s, 4)], next(&s, 2), fixed);
}

void blockwise_draw(uint32_t seed, char *inputs, char *settings, size_t capacity) {
    static const char *const tables[] = {"@0,1,2,2,0,1,1,0,2", "@1,2,0", "@2,1,0,0,1,2,2,1,0"};
    uint32_t s = seed;
    const uint32_t n = 3 + next(&s, 100), blocks = 1 + next(&s, n);
    draw_tensors(3, n, inputs, capacity);
    if (next(&s, 2)) {
        append(inputs, capacity, " permutations=3,3");
        append(inputs, capacity, tables[next(&s, 3)]);
        snprintf(settings, capacity, "num_blocks=3 causal=%u", next(&s, 2));
    } else {
        snprintf(settings, capacity, "num_blocks=%u shift=%u,%u,%u causal=%u", blocks,
                 next(&s, blocks), next(&s, blocks), next(&s, blocks), next(&s, 2));
    }
}

void local_draw(uint32_t seed, char *inputs, char *settings, size_t capacity) {
    uint32_t s = seed;
    const uint32_t rows = 1 + next(&s, 12), columns = 1 + next(&s, 12);
    draw_tensors(1, rows * columns, inputs, capacity);
    if (next(&s, 3)) {
        snprintf(settings, capacity, "query_block=%u,%u memory=%u,%u grid=%u,%u causal=%u",
                 1 + next(&s, 14), 1 + next(&s, 14), next(&s, 6), next(&s, 14), rows, columns,
                 next(&s, 2));
    } else {
        snprintf(settings, capacity, "query_block=%u memory=%u causal=%u", 1 + next(&s, 30),
                 next(&s, 40), next(&s, 2));
    }
}

void axial_draw(uint32_t seed, char *inputs, char *settings, size_t capacity) {
    uint32_t s = seed;
    const uint32_t a = 1 + next(&s, 6), b = 1 + next(&s, 6), c = 1 + next(&s, 6);
    const uint32_t causal = next(&s, 2);
    draw_tensors(1, a * b * c, inputs, capacity);
    snprintf(settings, capacity, "grid=%u,%u,%u axis=%u causal=%u strict=%u", a, b, c, next(&s, 3),
             causal, causal && next(&s, 2));
}
