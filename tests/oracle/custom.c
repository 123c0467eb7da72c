// The page of `custom`: the other pages as expressions give what those give, and what the score
// expression and the block map are.

#include "self.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static const self_sizes usual = {.b = 2, .h = 4, .hkv = 2, .n = 13, .d = 6, .dv = 5};
static const self_sizes grid = {.b = 2, .h = 4, .hkv = 2, .n = 20, .d = 6, .dv = 5}; // 4 rows of 5

// Sets "name=value name=value".
static void set_all(oracle *call, const char *text) {
    static char words[32][64];
    static unsigned next; // settings are borrowed: two calls' worth of them are kept
    while (*text) {
        char *word = words[next++ % 32];
        const size_t length = strcspn(text, " ");
        assert(length < sizeof(words[0]));
        memcpy(word, text, length);
        word[length] = '\0';
        char *value = strchr(word, '=');
        *value++ = '\0';
        oracle_set(call, word, value);
        text += length + strspn(text + length, " ");
    }
}

// `custom` with a mask, and settings of both.
static oracle *begin(const self_sizes *sizes, const char *mask, const char *params) {
    oracle *call = self_begin("custom", sizes);
    oracle_set(call, "mask", mask);
    set_all(call, params);
    return call;
}

static oracle *begin_other(const self_sizes *sizes, const char *mechanism, const char *settings) {
    oracle *call = self_begin(mechanism, sizes);
    set_all(call, settings);
    return call;
}

static void add_ints(oracle *call, const char *name, const int64_t *extents, const int32_t *values,
                     size_t count) {
    memcpy(oracle_ints(call, name, extents), values, count * sizeof(*values));
}

static void add_lengths(oracle *call, int32_t first, int32_t second) {
    add_ints(call, "lengths", EXTENTS(2), (const int32_t[]){first, second}, 2);
}

static double no_expression_is_dense(void) {
    return oracle_run_and_compare(self_begin("custom", &usual), self_begin("dense", &usual));
}

static double dense_causal(void) {
    double worst = 0;
    for (int padded = 0; padded < 2; padded++) {
        oracle *a = begin(&usual, padded ? "j <= i + len - qlen" : "j <= i + m - n", "");
        oracle *b = begin_other(&usual, "dense", "causal=1");
        if (padded) {
            add_lengths(a, 9, 13);
            add_lengths(b, 9, 13);
        }
        worst = oracle_larger(worst, oracle_run_and_compare(a, b));
    }
    return worst;
}

static double dense_window(void) {
    return oracle_run_and_compare(
        begin(&usual, "i - j <= left && j - i <= right", "param.left=3 param.right=2"),
        begin_other(&usual, "dense", "window_left=3 window_right=2"));
}

static double longformer(void) {
    static const int32_t globals[2 * 13] = {[2] = 1, [7] = 1, [13 + 12] = 1};
    static const int32_t dilations[] = {1, 2, 3, 1};
    oracle *a = begin(&usual,
                      "abs(i - j) <= w * dil[h] && (i - j) % dil[h] == 0 || glob[b, i] || "
                      "glob[b, j]",
                      "param.w=2");
    add_ints(a, "table.dil", EXTENTS(4), dilations, 4);
    add_ints(a, "table.glob", EXTENTS(2, 13), globals, 26);
    oracle *b = begin_other(&usual, "longformer", "window=2 dilation=1,2,3,1");
    add_ints(b, "global_mask", EXTENTS(2, 13), globals, 26);
    return oracle_run_and_compare(a, b);
}

static double bigbird(void) {
    int32_t blocks[4 * 7 * 2];
    for (int32_t i = 0; i < 56; i++) {
        blocks[i] = i % 9 == 4 ? -1 : i / 2 * 3 % 7;
        blocks[i] = i % 2 && blocks[i] == blocks[i - 1] ? -1 : blocks[i];
    }
    oracle *a = begin(&usual,
                      "i / s == 0 || i / s == last || j / s == 0 || j / s == last || "
                      "abs(i / s - j / s) <= 1 || rnd[h, i / s, 0] == j / s || "
                      "rnd[h, i / s, 1] == j / s",
                      "param.s=2 param.last=6");
    add_ints(a, "table.rnd", EXTENTS(4, 7, 2), blocks, 56);
    oracle *b = begin_other(&usual, "bigbird", "block_size=2 num_random_blocks=2");
    add_ints(b, "random_blocks", EXTENTS(4, 7, 2), blocks, 56);
    return oracle_run_and_compare(a, b);
}

// Pages whose settings say everything.
static double other_pages(void) {
    static const struct {
        const self_sizes *sizes;
        const char *mask, *params, *mechanism, *settings;
    } pages[] = {
        {&usual, "j <= i && (i - j < l || (i - j) % l == 0)", "param.l=4", "sparse", "stride=4"},
        {&usual, "j <= i && (h % 2 ? (i - j) % l == 0 : i - j < l)", "param.l=4", "sparse",
         "stride=4 head_mode=split"},
        {&usual, "j <= i && (i / l == j / l || j % l >= l - c)", "param.l=4 param.c=1", "sparse",
         "pattern=fixed stride=4 c=1"},
        {&usual, "j <= i && j >= i / l * l - r", "param.l=4 param.r=3", "local",
         "query_block=4 memory=3 causal=1"},
        {&grid,
         "j / W >= i / W / t * t - mt && j / W < i / W / t * t + t + mt && "
         "j % W >= i % W / w * w - mw && j % W < i % W / w * w + w + mw",
         "param.W=5 param.t=2 param.mt=1 param.w=3 param.mw=1", "local",
         "query_block=2,3 memory=1,1 grid=4,5"},
        {&grid, "i / W == j / W", "param.W=5", "axial", "grid=4,5"},
        {&grid, "i % W == j % W && j <= i", "param.W=5", "axial", "grid=4,5 axis=0 causal=1"},
    };
    double worst = 0;
    for (size_t p = 0; p < sizeof(pages) / sizeof(pages[0]); p++) {
        worst = oracle_larger(
            worst, oracle_run_and_compare(
                       begin(pages[p].sizes, pages[p].mask, pages[p].params),
                       begin_other(pages[p].sizes, pages[p].mechanism, pages[p].settings)));
    }
    return worst;
}

static double blockwise(void) {
    static const int32_t blocks[4 * 3] = {0, 1, 2, 2, 0, 1, 1, 2, 0, 2, 1, 0};
    oracle *a = begin(&usual, "perm[h, i * nb / n] == j * nb / n", "param.nb=3");
    add_ints(a, "table.perm", EXTENTS(4, 3), blocks, 12);
    oracle *b = begin_other(&usual, "blockwise", "num_blocks=3");
    add_ints(b, "permutations", EXTENTS(4, 3), blocks, 12);
    return oracle_run_and_compare(a, b);
}

static bool same_document(int64_t b, int64_t h, int64_t i, int64_t j) {
    (void)h;
    return (i + b) / 5 == (j + b) / 5;
}

static double packed_documents(void) {
    oracle *call = begin(&usual, "doc[b, i] == doc[b, j]", "");
    int32_t *documents = oracle_ints(call, "table.doc", EXTENTS(2, 13));
    for (int32_t i = 0; i < 26; i++) {
        documents[i] = (i % 13 + i / 13) / 5;
    }
    return self_against_mask(call, &usual, same_document);
}

static const float slopes[] = {0.5f, 0.25f, 0.125f, 0.0625f};

static double alibi(void) {
    oracle *a = begin(&usual, "1", ""), *b = self_begin("dense", &usual);
    oracle_set(a, "score", "score - slope[h] * abs(i - j)");
    memcpy(oracle_floats(a, "table.slope", EXTENTS(4)), slopes, sizeof(slopes));
    memcpy(oracle_floats(b, "alibi_slopes", EXTENTS(4)), slopes, sizeof(slopes));
    return oracle_run_and_compare(a, b);
}

static double soft_cap(void) {
    oracle *a = begin(&usual, "j <= i", "param.cap=1.5");
    oracle_set(a, "score", "cap * tanh(score / cap)");
    return oracle_run_and_compare(a, begin_other(&usual, "dense", "causal=1 softcap=1.5"));
}

static double relative_bias(void) {
    float table[4 * 7];
    oracle_fill(table, 28, 5);
    oracle *a = begin(&usual, "1", "param.k=3"), *b = self_begin("dense", &usual);
    oracle_set(a, "score", "score + rel[h, max(-k, min(k, j - i)) + k]");
    memcpy(oracle_floats(a, "table.rel", EXTENTS(4, 7)), table, sizeof(table));
    float *bias = oracle_floats(b, "bias", EXTENTS(1, 4, 13, 13));
    for (int h = 0; h < 4; h++) {
        for (int pair = 0; pair < 169; pair++) {
            const int apart = pair % 13 - pair / 13;
            bias[h * 169 + pair] = table[h * 7 + (apart < -3 ? 0 : apart > 3 ? 6 : apart + 3)];
        }
    }
    return oracle_run_and_compare(a, b);
}

// -inf removes a key as the mask does; what the mask removes may have any score.
static double removed_keys(void) {
    oracle *a = begin(&usual, "1", ""), *b = begin(&usual, "j <= i && j % 3 != 0", "");
    oracle_set(a, "score", "j > i || j % 3 == 0 ? -inf : score");
    oracle_set(b, "score", "j > i ? inf : score");
    return oracle_run_and_compare(a, b);
}

// +inf and NaN make a row NaN, and no other.
static double rows_of_nan(void) {
    oracle *call = begin(&usual, "1", ""), *plain = self_begin("custom", &usual);
    oracle_set(call, "score", "i == 3 && j == 1 ? inf : i == 5 && j == 2 ? inf - inf : score");
    oracle_run_both(call);
    oracle_run_both(plain);
    size_t count;
    const float *lse = oracle_result(call, "lse", &count);
    const float *expected = oracle_result(plain, "lse", &count);
    double worst = 0;
    for (size_t row = 0; row < count; row++) {
        const bool bad = row % 13 == 3 || row % 13 == 5;
        const double off =
            bad ? (isnan(lse[row]) ? 0 : INFINITY) : oracle_deviation(&lse[row], &expected[row], 1);
        worst = oracle_larger(worst, off);
    }
    oracle_end(call);
    oracle_end(plain);
    return worst;
}

// A map is right about what it calls empty and full, and exact where intervals decide.
static double block_map(void) {
    static const float expected[] = {1, 0, 0, 0, 2, 1, 0, 0,
                                     2, 2, 1, 0, 2, 2, 2, 1}; // i == j sides
    oracle *call = begin(&usual, "j <= i", "tile=4");
    const char *const outputs[] = {"block_map"};
    size_t count;
    oracle_run_outputs(call, outputs, 1);
    const float *map = oracle_result(call, "block_map", &count);
    double worst = count == 2 * 4 * 16 ? 0 : INFINITY;
    for (size_t i = 0; worst == 0 && i < count; i++) {
        // The last tile has one pair, which is visible.
        worst = map[i] == (i % 16 == 15 ? 2 : expected[i % 16]) ? 0 : INFINITY;
    }
    oracle_end(call);
    return worst;
}

static double refused_with(const char *setting, const char *text) {
    oracle *call = self_begin("custom", &usual);
    oracle_set(call, setting, text);
    return self_refused(call);
}

static double refused(void) {
    static const char *const bad[][2] = {
        {"mask", ""},         {"mask", "0 <= i < n"},   {"mask", "1.5"},
        {"mask", "score"},    {"mask", "t[i]"},         {"mask", "i +"},
        {"mask", "float(i)"}, {"score", "max(score)"},  {"score", "score % 2"},
        {"param.n", "1"},     {"param.1x", "1"},        {"param.x", "0x10"},
        {"tile", "0"},        {"param.x", "3000000000"}};
    double worst = 0;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        worst = oracle_larger(worst, refused_with(bad[i][0], bad[i][1]));
    }
    oracle *call = begin(&usual, "t", "param.t=1");
    oracle_ints(call, "table.t", EXTENTS(3));
    worst = oracle_larger(worst, self_refused(call));
    call = begin(&usual, "t[0, 1]", "");
    oracle_ints(call, "table.t", EXTENTS(3));
    return oracle_larger(worst, self_refused(call));
}

static double rows_of_the_whole(void) {
    static const int64_t rows[] = {0, 3, 4, 9, 12};
    oracle *call = begin(&usual, "j <= i || j % 5 == 0", "score=score-0.1*(i-j)");
    add_lengths(call, 13, 10);
    return oracle_run_rows(call, 13, rows, 5);
}

static const oracle_identity identities[] = {
    {"no_expression_is_dense", no_expression_is_dense, false},
    {"dense_causal", dense_causal, true},
    {"dense_window", dense_window, true},
    {"longformer", longformer, true},
    {"bigbird", bigbird, true},
    {"other_pages", other_pages, true},
    {"blockwise", blockwise, true},
    {"packed_documents", packed_documents, true},
    {"alibi", alibi, true},
    {"soft_cap", soft_cap, true},
    {"relative_bias", relative_bias, true},
    {"removed_keys", removed_keys, false},
    {"rows_of_nan", rows_of_nan, false},
    {"block_map", block_map, false},
    {"refused", refused, false},
    {"rows_of_the_whole", rows_of_the_whole, false}, // the cpu device's own
};

// Without a device: the reference's.
//
//   test_oracle_custom [DEVICE [LIMITS]]
int main(int argc, char **argv) {
    size_t num = sizeof(identities) / sizeof(identities[0]);
    if (argc > 1) {
        if (!oracle_use_device(argv[1], argc > 2 ? argv[2] : NULL)) {
            return 77;
        }
        num--;
    }
    const int failed = oracle_main("custom", identities, num, ORACLE_BROKEN);
    oracle_leave_device();
    return failed;
}
