// Who sees whom on one level of hierarchical attention.
//
// In half blocks: query half x of block I = x / 2 sees, above level 0, the halves of blocks I - 1 and
// I + 1 but for x - 1 and x + 1, which are neighbours of x and were seen one level down. So a half sees
// three halves in two runs, and no pair has to be looked at. Where halves are so small that tiles of
// them would be mostly empty, several become one group, and masks say what each sees.

#include "hierarchical.h"

typedef ikati_hierarchical_level level;

uint32_t ikati_hierarchical_num_levels(const ikati_request *request) {
    const int64_t num_positions = ikati_extent(request, "N");
    uint32_t power = 0; // m of the page
    for (int64_t padded = ikati_setting(request, "block_size")->integer; padded < num_positions;
         padded *= 2) {
        power++;
    }
    return power > 1 ? power : 1;
}

ikati_hierarchical_level ikati_hierarchical_level_at(const ikati_request *request, uint32_t shift,
                                                     uint32_t rows) {
    const int64_t num_positions = ikati_extent(request, "N");
    const int64_t half = ikati_setting(request, "block_size")->integer / 2;
    level self = {
        .shift = shift,
        .num_tokens = (uint32_t)((num_positions + (INT64_C(1) << shift) - 1) >> shift),
        .half = (uint32_t)(half < num_positions ? half : num_positions),
        .group_halves = 1,
        .causal = ikati_setting(request, "causal")->integer != 0,
    };
    if (self.half && rows / self.half >= 2) {
        self.group_halves = rows / self.half / 2 * 2;
    }
    return self;
}

// Tokens of half blocks [first, end), as far as they exist.
static ikati_positions tokens_of(const level *self, int64_t first, int64_t end) {
    const int64_t num = self->num_tokens;
    int64_t from = first * self->half, to = end * self->half;
    from = from < 0 ? 0 : from < num ? from : num;
    to = to < from ? from : to < num ? to : num;
    return ikati_span((uint32_t)from, 1, (uint32_t)(to - from));
}

static void add_keys(ikati_pattern_sink *sink, const ikati_positions *keys, int64_t right,
                     bool irregular) {
    if (keys->count) {
        sink->keys(sink, &(ikati_key_set){.keys = *keys,
                                          .left = IKATI_NO_LEFT,
                                          .right = right,
                                          .irregular = irregular});
    }
}

// Level 0: a block, its neighbours, and between them no edge but the causal one.
static void add_near(const level *self, ikati_pattern_sink *sink, const ikati_positions *queries,
                     int64_t first_block, int64_t last_block) {
    const int64_t end = self->causal ? last_block + 1 : last_block + 2;
    const ikati_positions keys = tokens_of(self, 2 * (first_block - 1), 2 * end);
    const int64_t right =
        self->causal ? (int64_t)queries->first - (int64_t)keys.first : IKATI_NO_RIGHT;
    add_keys(sink, &keys, right, first_block != last_block);
}

// Other levels: halves [.., left_end) and [right_first, ..) of the blocks beside.
static void add_far(const level *self, ikati_pattern_sink *sink, int64_t first_half,
                    int64_t first_block, int64_t last_block) {
    const int64_t left_end = first_half + (int64_t)self->group_halves - 2;
    const int64_t right_first = first_half + 2;
    const bool irregular = self->group_halves > 1;
    const bool joined = !self->causal && left_end >= right_first;
    const int64_t end = 2 * (last_block + 2);
    ikati_positions keys = tokens_of(self, 2 * (first_block - 1), joined ? end : left_end);
    add_keys(sink, &keys, IKATI_NO_RIGHT, irregular);
    if (!self->causal && !joined) {
        keys = tokens_of(self, right_first, end);
        add_keys(sink, &keys, IKATI_NO_RIGHT, irregular);
    }
}

static void describe(const ikati_pattern *pattern, uint32_t class_index, ikati_pattern_sink *sink) {
    const level *self = pattern->user;
    (void)class_index;
    for (int64_t half = 0; half * self->half < self->num_tokens; half += self->group_halves) {
        const int64_t end = half + self->group_halves;
        const ikati_positions queries = tokens_of(self, half, end);
        sink->group(sink, &queries);
        if (self->shift == 0) {
            add_near(self, sink, &queries, half / 2, (end - 1) / 2);
        } else {
            add_far(self, sink, half, half / 2, (end - 1) / 2);
        }
    }
}

static bool sees(const ikati_pattern *pattern, uint32_t class_index, uint32_t query, uint32_t key) {
    const level *self = pattern->user;
    const int64_t query_half = query / self->half, key_half = key / self->half;
    const int64_t halves = key_half - query_half, blocks = key_half / 2 - query_half / 2;
    (void)class_index;
    if (self->shift == 0) {
        return blocks >= -1 && blocks <= 1 && (!self->causal || key <= query);
    }
    return (blocks == -1 && halves < -1) || (blocks == 1 && halves > 1 && !self->causal);
}

ikati_pattern ikati_hierarchical_pattern(const ikati_hierarchical_level *self) {
    return (ikati_pattern){
        .user = (void *)(uintptr_t)self,
        .num_queries = self->num_tokens,
        .num_keys = self->num_tokens,
        .num_classes = 1,
        .describe = describe,
        .sees = sees,
    };
}
