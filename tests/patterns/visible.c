#include "visible.h"

#include "src/mechanisms/sparse.h"
#include "src/philox.h"

#include <stdlib.h>

static int64_t integer(const ikati_request *request, const char *name) {
    return ikati_setting(request, name)->integer;
}

static int64_t item(const ikati_request *request, const char *name, int64_t index) {
    const ikati_call_setting *setting = ikati_setting(request, name);
    return setting->num_integers == 1 ? setting->integers[0] : setting->integers[index];
}

bool dense_sees(const ikati_request *request, int64_t b, int64_t h, int64_t i, int64_t j) {
    const int64_t left = integer(request, "window_left"), size = integer(request, "block_size");
    const int64_t right = integer(request, "causal") ? 0 : integer(request, "window_right");
    const int64_t own = i + ikati_extent(request, "M") - ikati_extent(request, "N");
    const int32_t *mask = ikati_structure(request, "block_mask");
    (void)b;
    if (mask) {
        const ikat_tensor *tensor = &ikati_input(request, "block_mask")->tensor;
        const int64_t nq = tensor->shape[1], nk = tensor->shape[2];
        mask += tensor->shape[0] > 1 ? h * nq * nk : 0;
        if (!mask[i / size * nk + j / size]) {
            return false;
        }
    }
    return (left < 0 || j >= own - left) && (right < 0 || j <= own + right);
}

bool longformer_sees(const ikati_request *request, int64_t b, int64_t h, int64_t i, int64_t j) {
    const int32_t *mask = ikati_structure(request, "global_mask");
    const int64_t n = ikati_extent(request, "N"), d = item(request, "dilation", h);
    if (integer(request, "causal") && j > i) {
        return false;
    }
    const bool local = llabs(i - j) % d == 0 && llabs(i - j) / d <= integer(request, "window");
    return local || (mask && (mask[b * n + i] || mask[b * n + j]));
}

static bool is_global_block(const ikati_request *request, int64_t block) {
    return block < integer(request, "global_blocks_left") ||
           block >= ikati_extent(request, "nb") - integer(request, "global_blocks_right");
}

static bool is_near_block(const ikati_request *request, int64_t a, int64_t b) {
    return llabs(a - b) <= (integer(request, "window_blocks") - 1) / 2;
}

// Whether block I's draw has block J, word for word as the page draws.
static bool draws_block(const ikati_request *request, int64_t h, int64_t own, int64_t block) {
    int64_t candidates[256];
    const int64_t nb = ikati_extent(request, "nb"), r = ikati_extent(request, "r");
    const uint64_t seed = (uint64_t)integer(request, "seed");
    int64_t count = 0;
    for (int64_t j = 0; j < nb && count < 256; j++) {
        if (!is_global_block(request, j) && !is_near_block(request, own, j)) {
            candidates[count++] = j;
        }
    }
    for (int64_t t = 0; t < r && t < count; t++) {
        const uint64_t x = ikati_draw_bits(seed, 0, (uint64_t)((h * nb + own) * r + t));
        const int64_t s = t + (int64_t)(((x >> 8) * (uint64_t)(count - t)) >> 24);
        const int64_t taken = candidates[s];
        candidates[s] = candidates[t];
        candidates[t] = taken;
        if (taken == block) {
            return true;
        }
    }
    return false;
}

static bool lists_block(const ikati_request *request, int64_t h, int64_t own, int64_t block) {
    const int32_t *table = ikati_structure(request, "random_blocks");
    const int64_t nb = ikati_extent(request, "nb"), r = ikati_extent(request, "r");
    for (int64_t t = 0; t < r && table; t++) {
        if (table[(h * nb + own) * r + t] == block) {
            return true;
        }
    }
    return !table && draws_block(request, h, own, block);
}

bool bigbird_sees(const ikati_request *request, int64_t b, int64_t h, int64_t i, int64_t j) {
    const int64_t g = integer(request, "num_global_tokens");
    const int64_t size = integer(request, "block_size");
    (void)b;
    if (i < g || j < g) {
        return true;
    }
    const int64_t own = (i - g) / size, block = (j - g) / size;
    return is_global_block(request, own) || is_global_block(request, block) ||
           is_near_block(request, own, block) || lists_block(request, h, own, block);
}

static bool in_first(const ikati_request *request, int64_t i, int64_t j) {
    const int64_t l = integer(request, "stride");
    return integer(request, "pattern") == IKATI_SPARSE_STRIDED ? llabs(i - j) < l : i / l == j / l;
}

static bool in_second(const ikati_request *request, int64_t u, int64_t i, int64_t j) {
    const int64_t l = integer(request, "stride");
    const ikati_call_setting *columns = ikati_setting(request, "c");
    const int64_t c = columns->given ? columns->integer : l / 4 > 1 ? l / 4 : 1;
    if (integer(request, "pattern") == IKATI_SPARSE_STRIDED) {
        return llabs(i - j) % l == 0;
    }
    return l - c * (u + 1) <= j % l && j % l < l - c * u;
}

bool sparse_sees(const ikati_request *request, int64_t b, int64_t h, int64_t i, int64_t j) {
    const int64_t distinct = integer(request, "distinct");
    (void)b;
    if (integer(request, "causal") && j > i) {
        return false;
    }
    switch (integer(request, "head_mode")) {
    case IKATI_SPARSE_FIRST: return in_first(request, i, j);
    case IKATI_SPARSE_SECOND: return in_second(request, h % distinct, i, j);
    case IKATI_SPARSE_SPLIT:
        return h % 2 ? in_second(request, h / 2 % distinct, i, j) : in_first(request, i, j);
    default: return in_first(request, i, j) || in_second(request, h % distinct, i, j);
    }
}

bool blockwise_sees(const ikati_request *request, int64_t b, int64_t h, int64_t i, int64_t j) {
    const int32_t *table = ikati_structure(request, "permutations");
    const int64_t n = ikati_extent(request, "N"), blocks = integer(request, "num_blocks");
    const int64_t own = i * blocks / n;
    (void)b;
    const int64_t shift =
        ikati_setting(request, "shift")->given ? item(request, "shift", h) : h % blocks;
    const int64_t wanted = table ? table[h * blocks + own] : (own + shift) % blocks;
    return j * blocks / n == wanted && (!integer(request, "causal") || j <= i);
}

static bool local_sees_flat(const ikati_request *request, int64_t i, int64_t j) {
    const int64_t block = item(request, "query_block", 0), start = i / block * block;
    const int64_t memory =
        ikati_setting(request, "memory")->given ? item(request, "memory", 0) : 256;
    return integer(request, "causal") ? start - memory <= j && j <= i
                                      : start - memory <= j && j < start + block + memory;
}

bool local_sees(const ikati_request *request, int64_t b, int64_t head, int64_t i, int64_t j) {
    (void)b;
    (void)head;
    if (ikati_setting(request, "query_block")->num_integers == 1) {
        return local_sees_flat(request, i, j);
    }
    const int64_t *block = ikati_setting(request, "query_block")->integers;
    const int64_t *memory = ikati_setting(request, "memory")->integers;
    const int64_t columns = ikati_setting(request, "grid")->integers[1];
    const int64_t h = block[0], w = block[1], hm = memory[0], wm = memory[1];
    const int64_t y = i / columns, x = i % columns, ky = j / columns, kx = j % columns;
    const int64_t y0 = y / h * h, x0 = x / w * w;
    if (!integer(request, "causal")) {
        return y0 - hm <= ky && ky < y0 + h + hm && x0 - wm <= kx && kx < x0 + w + wm;
    }
    const bool above = y0 - hm <= ky && ky < y0 && x0 - wm <= kx && kx < x0 + w + wm;
    const bool left = y0 <= ky && ky < y0 + h && x0 - wm <= kx && kx < x0;
    const bool inside = y0 <= ky && ky < y0 + h && x0 <= kx && kx < x0 + w;
    return above || left || (inside && (ky < y || (ky == y && kx <= x)));
}

// The result's shift is not the pattern's.
bool axial_sees(const ikati_request *request, int64_t b, int64_t h, int64_t i, int64_t j) {
    const ikati_call_setting *grid = ikati_setting(request, "grid");
    const ikati_call_setting *given = ikati_setting(request, "axis");
    const int64_t axis = given->given ? given->integer : (int64_t)grid->num_integers - 1;
    (void)b;
    (void)h;
    for (int64_t a = grid->num_integers; a-- > 0;) {
        const int64_t mine = i % grid->integers[a], other = j % grid->integers[a];
        i /= grid->integers[a];
        j /= grid->integers[a];
        if (a != axis ? mine != other
                      : (integer(request, "causal") && other > mine) ||
                            (integer(request, "strict") && other == mine)) {
            return false;
        }
    }
    return true;
}

const patterned patterned_mechanisms[] = {
    {"dense", dense_sees, dense_draw},
    {"longformer", longformer_sees, longformer_draw},
    {"bigbird", bigbird_sees, bigbird_draw},
    {"sparse", sparse_sees, sparse_draw},
    {"blockwise", blockwise_sees, blockwise_draw},
    {"local", local_sees, local_draw},
    {"axial", axial_sees, axial_draw},
};
const uint32_t num_patterned_mechanisms =
    sizeof(patterned_mechanisms) / sizeof(patterned_mechanisms[0]);
