// Local attention: blocks of queries, in a sequence or a grid, that share one nearby memory.
//
// Parmar et al., Image Transformer, arXiv:1802.05751, section 3.3; blocks alone as in Tay et al.,
// Long Range Arena, arXiv:2011.04006.

#include "../integers.h"
#include "../attention.h"

#include <inttypes.h>

static const ikat_argument_info inputs[] = {IKATI_SELF_ATTENTION_INPUTS, IKATI_LENGTHS_INPUT};

static const ikat_argument_info outputs[] = {IKATI_ATTENTION_OUTPUTS};

static const ikat_setting_info settings[] = {
    {.name = "query_block",
     .type = IKAT_SETTING_INT_LIST,
     .default_text = "256",
     .minimum = 1,
     .maximum = IKATI_MAX_INTEGER,
     .max_count = 2,
     .help = "one value: blocks of so many positions; two: blocks of rows, columns of a grid"},
    {.name = "memory",
     .type = IKAT_SETTING_INT_LIST,
     .default_text = "256 in 1D",
     .maximum = IKATI_MAX_INTEGER,
     .max_count = 2,
     .help = "how far the memory reaches beyond the block; as many values as query_block"},
    {.name = "grid",
     .type = IKAT_SETTING_INT_LIST,
     .default_text = "none",
     .minimum = 1,
     .maximum = IKATI_MAX_INTEGER,
     .max_count = 2,
     .help = "rows,columns of the positions; with two values of query_block, and only then"},
    {.name = "causal",
     .type = IKAT_SETTING_INT,
     .default_text = "0",
     .maximum = 1,
     .help = "1: only what is generated earlier, block by block, and the query itself"},
    IKATI_SCALE_SETTING,
};

static const ikat_mechanism_case cases[] = {
    {"defaults", IKATI_QKV("1,2,600,16", "1,2,600,16"), "", ""},
    {"blocks", IKATI_QKV("2,2,101,16", "2,2,101,16"), "query_block=16 memory=9",
     "N is no multiple of the block"},
    {"causal", IKATI_QKV("2,2,101,16", "2,2,101,16"), "query_block=16 memory=9 causal=1", ""},
    {"no_memory", IKATI_QKV("1,2,77,16", "1,2,77,16"), "query_block=10 memory=0", "blocks alone"},
    {"no_memory_causal", IKATI_QKV("1,2,77,16", "1,2,77,16"), "query_block=10 memory=0 causal=1",
     ""},
    {"block_of_one", IKATI_QKV("1,2,60,16", "1,2,60,16"), "query_block=1 memory=7", "a window"},
    {"block_of_one_causal", IKATI_QKV("1,2,60,16", "1,2,60,16"), "query_block=1 memory=7 causal=1",
     ""},
    {"block_wide", IKATI_QKV("1,2,60,16", "1,2,60,16"), "query_block=100 memory=0 causal=1",
     "dense causal"},
    {"memory_wide", IKATI_QKV("1,2,60,16", "1,2,60,16"), "query_block=7 memory=100", "dense"},
    {"grid", IKATI_QKV("1,2,117,16", "1,2,117,16"), "query_block=4,3 memory=2,1 grid=9,13",
     "blocks are cut short at both edges"},
    {"grid_causal", IKATI_QKV("1,2,117,16", "1,2,117,16"),
     "query_block=4,3 memory=2,1 grid=9,13 causal=1", ""},
    {"grid_no_memory", IKATI_QKV("1,2,80,16", "1,2,80,16"), "query_block=4,4 memory=0,0 grid=8,10",
     ""},
    {"grid_whole", IKATI_QKV("1,2,80,16", "1,2,80,16"),
     "query_block=8,10 memory=0,0 grid=8,10 causal=1", "dense causal"},
    {"grid_one_row", IKATI_QKV("1,2,70,16", "1,2,70,16"), "query_block=1,8 memory=3,5 grid=1,70",
     "as 1D"},
    {"grid_one_column", IKATI_QKV("1,2,70,16", "1,2,70,16"),
     "query_block=8,1 memory=5,3 grid=70,1 causal=1", ""},
    {"grid_wide_memory", IKATI_QKV("1,2,60,16", "1,2,60,16"),
     "query_block=2,3 memory=1,100 grid=6,10 causal=1", "whole rows"},
    {"grid_block_of_one", IKATI_QKV("1,2,48,8", "1,2,48,8"), "query_block=1,1 memory=1,2 grid=6,8",
     ""},
    {"odd_sizes", IKATI_QKV("2,3,50,5", "2,3,50,7"), "query_block=6 memory=3 scale=0.3",
     "D and Dv differ"},
    {"head_64", IKATI_QKV("1,2,200,64", "1,2,200,64"), "query_block=32 memory=16",
     "the most common head"},
    {"lengths", IKATI_QKV("3,2,90,16", "3,2,90,16") " lengths=3@90,41,0", "query_block=8 memory=5",
     ""},
    {"lengths_grid", IKATI_QKV("3,2,90,16", "3,2,90,16") " lengths=3@90,41,0",
     "query_block=3,4 memory=1,2 grid=9,10", "padding in raster order"},
    {"grouped_query", "q=2,6,70,16 k=2,2,70,16 v=2,2,70,24", "query_block=8 memory=4",
     "three query heads a key/value head"},
    {"everything", "q=2,4,168,24 k=2,2,168,24 v=2,2,168,40 lengths=2@168,93",
     "query_block=5,4 memory=3,2 grid=12,14 causal=1 scale=0.2", "all options at once"},
    {"picture", IKATI_QKV("1,1,64,16", "1,1,64,16"), "query_block=4,4 memory=2,2 grid=8,8 causal=1",
     "what ikat show draws"},
    {"no_positions", IKATI_QKV("1,2,0,16", "1,2,0,16"), "", "N = 0"},
    {"head_mask", IKATI_QKV("1,4,40,16", "1,4,40,16") " head_mask=4@1,0,1,1",
     "query_block=7 memory=3", "a pruned head"},
    {"no_batch", IKATI_QKV("0,2,20,16", "0,2,20,16"), "query_block=4", "B = 0"},
    {"large_blocks", IKATI_QKV("1,2,20000,64", "1,2,20000,64"), "causal=1", "many tiles"},
    {"large_grid", IKATI_QKV("1,2,20000,64", "1,2,20000,64"),
     "query_block=8,16 memory=8,8 grid=100,200", "many tiles"},
};

// A sequence is a grid of one row. Extents and reaches are cut at the grid's.
//
// table  positions of the blocks and memories that are no spans, in the order of `walk`
typedef struct local {
    int64_t rows, columns;
    int64_t block_rows, block_columns;
    int64_t memory_rows, memory_columns;
    bool grid, causal;
    uint32_t *table;
} local;

// Rows [y0, y1), columns [x0, x1).
typedef struct rectangle {
    int64_t y0, y1, x0, x1;
} rectangle;

// Walks over a pattern: counts the table's positions, writes them, or hands groups to a sink.
typedef struct walk_state {
    const local *s;
    ikati_pattern_sink *sink; // may be NULL
    uint32_t *write;          // may be NULL
    int64_t cursor;           // in the table
} walk_state;

static ikati_positions take(walk_state *walk, const rectangle *r) {
    const local *s = walk->s;
    const int64_t height = ikati_most(r->y1 - r->y0, 0), width = ikati_most(r->x1 - r->x0, 0);
    const int64_t first = r->y0 * s->columns + r->x0;
    if (width == s->columns || height <= 1 || width == 0) {
        return ikati_span((uint32_t)first, 1, (uint32_t)(height * width));
    }
    if (width == 1) {
        return ikati_span((uint32_t)first, (uint32_t)s->columns, (uint32_t)height);
    }
    for (int64_t i = 0; i < height * width && walk->write; i++) {
        walk->write[walk->cursor + i] =
            (uint32_t)((r->y0 + i / width) * s->columns + r->x0 + i % width);
    }
    const ikati_positions positions = {.first = 0,
                                       .stride = 1,
                                       .count = (uint32_t)(height * width),
                                       .table = s->table ? s->table + walk->cursor : NULL};
    walk->cursor += height * width;
    return positions;
}

static void emit_keys(walk_state *walk, const ikati_positions *keys, int64_t right) {
    if (walk->sink && keys->count) {
        walk->sink->keys(walk->sink,
                         &(ikati_key_set){.keys = *keys, .left = IKATI_NO_LEFT, .right = right});
    }
}

// The block at (y, x) and its memory. Causal: what lies above, what lies left of the block in its
// own rows, and the block itself, whose positions are in the order of generation.
static void walk_block(walk_state *walk, int64_t y, int64_t x) {
    const local *s = walk->s;
    const rectangle own = {y, ikati_least(y + s->block_rows, s->rows), x,
                           ikati_least(x + s->block_columns, s->columns)};
    const rectangle reach = {
        ikati_most(y - s->memory_rows, 0), ikati_least(own.y1 + s->memory_rows, s->rows),
        ikati_most(x - s->memory_columns, 0), ikati_least(own.x1 + s->memory_columns, s->columns)};
    const ikati_positions queries = take(walk, &own);
    if (walk->sink) {
        walk->sink->group(walk->sink, &queries);
    }
    if (!s->causal) {
        const ikati_positions keys = take(walk, &reach);
        emit_keys(walk, &keys, IKATI_NO_RIGHT);
        return;
    }
    const ikati_positions above = take(walk, &(rectangle){reach.y0, y, reach.x0, reach.x1});
    emit_keys(walk, &above, IKATI_NO_RIGHT);
    const ikati_positions before = take(walk, &(rectangle){y, own.y1, reach.x0, x});
    emit_keys(walk, &before, IKATI_NO_RIGHT);
    emit_keys(walk, &queries, 0);
}

static void walk_blocks(walk_state *walk) {
    const local *s = walk->s;
    for (int64_t y = 0; y < s->rows; y += s->block_rows) {
        for (int64_t x = 0; x < s->columns; x += s->block_columns) {
            walk_block(walk, y, x);
        }
    }
}

static void describe(const ikati_pattern *pattern, uint32_t class_index, ikati_pattern_sink *sink) {
    walk_state walk = {.s = pattern->user, .sink = sink};
    (void)class_index;
    walk_blocks(&walk);
}

// Blocks of one position in a sequence: a window.
static void describe_window(const ikati_pattern *pattern, uint32_t class_index,
                            ikati_pattern_sink *sink) {
    const local *s = pattern->user;
    const ikati_positions all = ikati_span(0, 1, (uint32_t)s->columns);
    (void)class_index;
    sink->group(sink, &all);
    sink->keys(sink, &(ikati_key_set){.keys = all,
                                      .left = -s->memory_columns,
                                      .right = s->causal ? 0 : s->memory_columns});
}

static void read_sizes(const ikati_request *request, local *s) {
    const ikati_call_setting *block = ikati_setting(request, "query_block");
    const ikati_call_setting *memory = ikati_setting(request, "memory");
    const ikati_call_setting *grid = ikati_setting(request, "grid");
    const uint32_t last = block->num_integers - 1;
    s->grid = last == 1;
    s->rows = s->grid ? grid->integers[0] : 1;
    s->columns = s->grid ? grid->integers[1] : ikati_extent(request, "N");
    s->block_rows = s->grid ? ikati_least(block->integers[0], s->rows) : 1;
    s->block_columns = ikati_least(block->integers[last], ikati_most(s->columns, 1));
    s->memory_rows = s->grid ? ikati_least(memory->integers[0], s->rows) : 0;
    s->memory_columns = ikati_least(memory->given ? memory->integers[last] : 256, s->columns);
    s->causal = ikati_setting(request, "causal")->integer != 0;
}

static ikat_status make_patterns(const ikati_request *request, ikati_patterns *out_patterns) {
    *out_patterns = (ikati_patterns){.host = request->host};
    local *s = ikati_patterns_alloc(out_patterns, 1, sizeof(*s));
    if (!s) {
        return ikati_patterns_finish(out_patterns, false);
    }
    read_sizes(request, s);
    walk_state count = {.s = s};
    walk_blocks(&count);
    uint32_t *table = ikati_patterns_alloc(out_patterns, count.cursor, sizeof(*table));
    if (!table) {
        return ikati_patterns_finish(out_patterns, false);
    }
    walk_state write = {.s = s, .write = table};
    walk_blocks(&write);
    s->table = table;
    const bool window = !s->grid && s->block_columns == 1 && s->columns > 0;
    const uint32_t num_positions = (uint32_t)ikati_extent(request, "N");
    out_patterns->num = 1;
    out_patterns->items[0] = (ikati_pattern){.user = s,
                                             .num_queries = num_positions,
                                             .num_keys = num_positions,
                                             .num_classes = 1,
                                             .describe = window ? describe_window : describe};
    return ikati_patterns_finish(out_patterns, true);
}

static ikat_status fail_count(const ikati_request *request, const char *name, uint32_t count,
                              const char *expected) {
    return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_CONTRADICTION,
                      "%s has %" PRIu32 " values, expected %s", name, count, expected);
}

static ikat_status check(ikati_request *request) {
    const uint32_t dimensions = ikati_setting(request, "query_block")->num_integers;
    const ikati_call_setting *memory = ikati_setting(request, "memory");
    const ikati_call_setting *grid = ikati_setting(request, "grid");
    const int64_t n = ikati_extent(request, "N");
    ikat_status status = ikati_attention_check(request);
    if (status) {
        return status;
    }
    if (memory->given ? memory->num_integers != dimensions : dimensions == 2) {
        return fail_count(request, "memory", memory->num_integers, "as many as query_block has");
    }
    if (dimensions == 1 && grid->given) {
        return ikati_attention_refuse(request, "grid", "only with two values of query_block");
    }
    if (dimensions == 2 && grid->num_integers != 2) {
        return fail_count(request, "grid", grid->num_integers, "rows,columns");
    }
    if (dimensions == 2 && (n % grid->integers[0] || n / grid->integers[0] != grid->integers[1])) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                          "grid is %" PRId64 ",%" PRId64 ", expected a product of N = %" PRId64,
                          grid->integers[0], grid->integers[1], n);
    }
    return IKAT_OK;
}

const ikati_mechanism ikati_mechanism_local = {
    .info =
        {
            .name = "local",
            .title = "Local attention",
            .citation = "Parmar et al., Image Transformer, arXiv:1802.05751",
            .family = "patterns",
            .cost = "time O(N (l_q + 2 l_m) D) for blocks of l_q and a memory of l_m, in a grid "
                    "O(N (h + 2 h_m) (w + 2 w_m) D); memory O(N) beyond the tensors",
            .inputs = inputs,
            .num_inputs = IKATI_COUNT(inputs),
            .outputs = outputs,
            .num_outputs = IKATI_COUNT(outputs),
            .settings = settings,
            .num_settings = IKATI_COUNT(settings),
        },
    .cases = cases,
    .num_cases = IKATI_COUNT(cases),
    .check = check,
    .patterns = make_patterns,
    .cost = ikati_attention_cost_patterns,
    .lower = ikati_attention_lower_patterns,
    .tolerance = ikati_attention_tolerance,
};
