#include "visible.h"

#include "src/mechanisms/bigbird.h"
#include "src/mechanisms/longformer.h"
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

const patterned patterned_mechanisms[] = {
    {"longformer", ikati_longformer_patterns, longformer_sees, longformer_draw},
    {"bigbird", ikati_bigbird_patterns, bigbird_sees, bigbird_draw},
    {"sparse", ikati_sparse_patterns, sparse_sees, sparse_draw},
};
const uint32_t num_patterned_mechanisms =
    sizeof(patterned_mechanisms) / sizeof(patterned_mechanisms[0]);
