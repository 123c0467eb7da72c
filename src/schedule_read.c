// Reads back from a plan's steps which pairs they compute: the words of schedules, and windows where
// there is no schedule. Shares nothing with what built them.

#include "core.h"

#include "../shaders/params/attend.h"

#include <inttypes.h>
#include <string.h>

typedef struct attend_params {
    ATTEND_PARAMS(IKATI_PARAM_FIELD)
} attend_params;

// A row of the result while it is read, step after step.
//
// query       of the whole call, as num_keys are, whatever a step's own are
// first_tile  number before the first tile of the current step
// target      where the last step that owned the row put its result
// sees        what the mechanism's mask says of each key; NULL: there is none
typedef struct row_reading {
    const ikati_lowering *lowering;
    uint32_t batch, head, query, num_keys;
    const uint8_t *sees;
    uint8_t *keys;
    uint32_t *tiles;
    uint32_t first_tile;
    ikati_operand target;
} row_reading;

// One attend step, and of one with a schedule its words.
typedef struct step_view {
    const ikati_step *step;
    attend_params params;
    const uint32_t *words;
    ikati_operand target;
    uint32_t query; // the row among the step's own
    bool started;   // a tile with the row was found
} step_view;

static bool is_attend(const ikati_step *step) {
    return step->kernel == ikati_kernel_get(IKATI_KERNEL_attend) && step->num_tiles;
}

static bool has_schedule(const ikati_step *step) {
    return step->specialisation[0] & OPTION_SCHEDULE;
}

// Results of shared tiles are packed, and go where the merge behind them says.
static step_view view_step(const ikati_lowering *lowering, uint32_t index) {
    step_view view = {.step = &lowering->steps[index]};
    memcpy(&view.params, view.step->params, sizeof(view.params));
    view.target = view.step->operands[5];
    if (has_schedule(view.step)) {
        const ikati_operand *words = &view.step->operands[7];
        view.words = (const uint32_t *)lowering->tables[words->index].data + words->offset;
        view.target = view.params.rows_packed ? view.step[1].operands[2] : view.target;
    }
    return view;
}

static bool is_same_target(const ikati_operand *a, const ikati_operand *b) {
    return a->kind == b->kind && a->index == b->index && a->offset == b->offset;
}

// A step that writes what an earlier one wrote makes the earlier one's work futile. Steps whose
// results are merged have targets of their own.
static void start_row(row_reading *row, step_view *view) {
    if (view->started) {
        return;
    }
    view->started = true;
    const bool again = is_same_target(&row->target, &view->target);
    for (uint32_t key = 0; key < row->num_keys && again; key++) {
        row->keys[key] = row->keys[key] ? IKAT_PAIR_MASKED : IKAT_PAIR_NONE;
    }
    row->target = view->target;
}

// `own`: a key of the step's; what it stands for is noted.
static void note_pair(row_reading *row, const step_view *view, uint32_t own, bool visible,
                      uint32_t tile) {
    const ikati_share *share = &view->step->share;
    const uint64_t first = share->first_key + ((uint64_t)own << share->shift);
    const uint64_t end = first + (UINT64_C(1) << share->shift);
    for (uint64_t key = first; key < end && key < row->num_keys; key++) {
        if (row->keys[key] != IKAT_PAIR_VISIBLE) {
            row->keys[key] = visible ? IKAT_PAIR_VISIBLE : IKAT_PAIR_MASKED;
        }
        row->tiles[key] = row->tiles[key] ? row->tiles[key] : tile;
    }
}

static uint32_t position_of(const step_view *view, uint32_t base, uint32_t stride, uint32_t index) {
    return stride ? base + index * stride : view->words[view->params.positions_at + base + index];
}

// Which of a tile's rows has a position; false if none has.
static bool find_row(const step_view *view, const uint32_t *record, int64_t position,
                     uint32_t *out_row) {
    const uint32_t base = record[0], stride = record[1], count = record[2];
    if (!count || position < position_of(view, base, stride, 0) ||
        position > position_of(view, base, stride, count - 1)) {
        return false;
    }
    if (stride) {
        *out_row = (uint32_t)(position - base) / stride;
        return (position - base) % stride == 0;
    }
    *out_row = 0;
    while (position_of(view, base, 0, *out_row) < position) {
        ++*out_row;
    }
    return position_of(view, base, 0, *out_row) == position;
}

// Of key c of an entry, for row `at` of its tile.
static bool is_masked(const row_reading *row, const step_view *view, const uint32_t *entry,
                      uint32_t at, uint32_t c) {
    if (entry[3] == ATTEND_EVALUATE) {
        return !row->sees[position_of(view, entry[0], entry[1], c)];
    }
    const uint32_t rows = view->step->variant->tile_rows;
    const uint32_t *mask = view->words + view->params.masks_at + entry[3];
    return entry[3] != ATTEND_NO_MASK && !(mask[c / 32 * rows + at] >> c % 32 & 1u);
}

// Whether an entry's keys go on where those of the entry before it end: they were cut by masks, not
// by the pattern.
static bool continues(const uint32_t *entry) {
    const uint32_t *before = entry - ATTEND_ENTRY_WORDS;
    const uint32_t step = entry[1] ? entry[1] : 1;
    return entry[1] == before[1] && entry[0] == before[0] + before[2] * step;
}

// A window clips what a schedule shows, too.
static bool in_window(const step_view *view, int64_t query, int64_t key) {
    const attend_params *p = &view->params;
    const int64_t own = query + p->total_keys - p->total_queries;
    const bool windowed = view->step->specialisation[0] & OPTION_WINDOW;
    return !windowed || ((p->window_left < 0 || key >= own - p->window_left) &&
                         (p->window_right < 0 || key <= own + p->window_right));
}

static void read_record(row_reading *row, step_view *view, const uint32_t *record) {
    const attend_params *p = &view->params;
    uint32_t at, tile = 0;
    const int64_t query = (int64_t)view->query - p->out_shift;
    if (!find_row(view, record, query, &at)) {
        return;
    }
    start_row(row, view);
    for (uint32_t e = record[3]; e < record[4]; e++) {
        const uint32_t *entry = view->words + p->entries_at + (uint64_t)e * ATTEND_ENTRY_WORDS;
        if (e == record[3] || !continues(entry)) {
            tile = row->first_tile + e + 1;
        }
        for (uint32_t c = 0; c < entry[2]; c++) {
            const uint32_t key = position_of(view, entry[0], entry[1], c);
            const bool visible = in_window(view, query, key) && !is_masked(row, view, entry, at, c);
            note_pair(row, view, key, visible, tile);
        }
    }
}

static void read_scheduled(row_reading *row, step_view *view) {
    const attend_params *p = &view->params;
    const uint32_t batch = row->batch - view->step->first_batch;
    const uint32_t head = row->head - view->step->first_head;
    const uint32_t class_index = view->words[p->class_at + batch * p->class_batch + head];
    const uint32_t num_records = p->num_query_tiles * p->num_splits;
    const uint32_t *records =
        view->words + p->tiles_at + (uint64_t)class_index * num_records * ATTEND_TILE_WORDS;
    for (uint32_t i = 0; i < num_records; i++) {
        read_record(row, view, records + (uint64_t)i * ATTEND_TILE_WORDS);
    }
    const uint64_t num_words = view->step->operands[7].count;
    row->first_tile += (uint32_t)((num_words - p->entries_at) / ATTEND_ENTRY_WORDS);
}

// A tile without a schedule computes the keys that its first row, its last or one between them sees.
static void read_dense(row_reading *row, step_view *view) {
    const attend_params *p = &view->params;
    const uint32_t rows = view->step->variant->tile_rows, at = view->query - p->query_begin;
    if (view->query >= p->query_begin && at < p->num_queries) {
        const uint32_t first = at - at % rows;
        const uint32_t count = p->num_queries - first < rows ? p->num_queries - first : rows;
        start_row(row, view);
        for (uint32_t key = p->key_begin; key < p->key_begin + p->num_keys; key++) {
            bool computed = false;
            for (uint32_t r = 0; r < count && !computed; r++) {
                computed = in_window(view, (int64_t)p->query_begin + first + r, key);
            }
            if (computed) {
                note_pair(row, view, key, in_window(view, view->query, key),
                          row->first_tile + at / rows + 1);
            }
        }
    }
    row->first_tile += p->num_query_tiles;
}

// Whether pairs depend on what the device reads: a schedule or labels of its own.
static bool is_decided_late(const ikati_step *step) {
    const uint32_t options = step->specialisation[0];
    return (has_schedule(step) && step->operands[7].kind != IKATI_SLOT_TABLE) ||
           (options & (OPTION_EDGES | OPTION_HARD));
}

// The share of a step, filled in where its attention is the whole.
static ikati_share whole_of(const step_view *view) {
    ikati_share whole = view->step->share;
    if (!whole.num_keys) {
        whole.num_queries = view->params.total_queries;
        whole.num_keys = view->params.total_keys;
    }
    return whole;
}

static ikat_status refuse(const ikat_plan *plan, const char *why) {
    return ikati_fail(plan->request.host, IKAT_UNSUPPORTED, IKAT_MESSAGE_DEVICE,
                      "%s on %s has no pairs to show: %s", plan->request.mechanism->info.name,
                      plan->device->info.id, why);
}

ikat_status ikat_plan_get_pairs(const ikat_plan *plan, ikat_plan_pairs *out_pairs) {
    ikat_plan_pairs pairs = {0};
    *out_pairs = pairs;
    for (uint32_t i = 0; i < plan->lowering.num_steps; i++) {
        const ikati_step *step = &plan->lowering.steps[i];
        if (!is_attend(step)) {
            continue;
        }
        if (step->is_joint && !step->share.num_keys) {
            return refuse(plan, "its rows attend to keys of several inputs");
        }
        if (is_decided_late(step)) {
            return refuse(plan, "the device decides on them");
        }
        const step_view view = view_step(&plan->lowering, i);
        const ikati_share whole = whole_of(&view);
        const uint32_t batches = step->first_batch + step->num_batches;
        const uint32_t heads = step->first_head + step->num_heads;
        if (pairs.num_queries &&
            (pairs.num_queries != whole.num_queries || pairs.num_keys != whole.num_keys)) {
            return refuse(plan, "its steps attend to keys of several kinds");
        }
        pairs.num_queries = whole.num_queries;
        pairs.num_keys = whole.num_keys;
        pairs.num_batches = batches > pairs.num_batches ? batches : pairs.num_batches;
        pairs.num_heads = heads > pairs.num_heads ? heads : pairs.num_heads;
    }
    if (!pairs.num_queries) {
        return refuse(plan, plan->device->backend->run_call
                                ? "it is one call of the reference (device null has them)"
                                : "no step is a softmax over keys");
    }
    *out_pairs = pairs;
    return IKAT_OK;
}

static void read_row(const ikat_plan *plan, row_reading *row) {
    for (uint32_t i = 0; i < plan->lowering.num_steps; i++) {
        const ikati_step *step = &plan->lowering.steps[i];
        if (!is_attend(step) || row->batch - step->first_batch >= step->num_batches ||
            row->head - step->first_head >= step->num_heads) {
            continue;
        }
        if (!has_schedule(step) && !ikati_keeps_head(&plan->request, row->head)) {
            continue; // kernel `heads` leaves it no rows
        }
        step_view view = view_step(&plan->lowering, i);
        if (row->query < step->share.first_query) {
            continue;
        }
        view.query = (row->query - step->share.first_query) >> step->share.shift;
        if (view.query >= view.params.total_queries) {
            continue;
        }
        if (view.words) {
            read_scheduled(row, &view);
        } else {
            read_dense(row, &view);
        }
    }
}

static ikat_status check_index(const ikat_plan *plan, const char *name, uint32_t index,
                               uint32_t count) {
    return index < count
               ? IKAT_OK
               : ikati_fail(plan->request.host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                            "%s is %" PRIu32 ", expected less than %" PRIu32, name, index, count);
}

ikat_status ikat_plan_get_row(const ikat_plan *plan, uint32_t batch, uint32_t head, uint32_t query,
                              uint8_t *out_keys, uint32_t *out_tiles) {
    ikat_plan_pairs pairs;
    ikat_status status = ikat_plan_get_pairs(plan, &pairs);
    status = status ? status : check_index(plan, "batch", batch, pairs.num_batches);
    status = status ? status : check_index(plan, "head", head, pairs.num_heads);
    status = status ? status : check_index(plan, "query", query, pairs.num_queries);
    if (status) {
        return status;
    }
    const ikati_host *host = plan->request.host;
    const ikati_mechanism *mechanism = plan->request.mechanism;
    uint32_t *own = out_tiles ? NULL : ikati_alloc(host, pairs.num_keys, sizeof(*own));
    uint8_t *sees = mechanism->sees ? ikati_alloc(host, pairs.num_keys, sizeof(*sees)) : NULL;
    row_reading row = {.lowering = &plan->lowering,
                       .batch = batch,
                       .head = head,
                       .query = query,
                       .num_keys = pairs.num_keys,
                       .sees = sees,
                       .keys = out_keys,
                       .tiles = out_tiles ? out_tiles : own};
    status = row.tiles && (sees || !mechanism->sees) ? IKAT_OK : IKAT_NO_MEMORY;
    if (!status && sees) {
        status = mechanism->sees(&plan->request, batch, head, query, sees);
    }
    if (!status) {
        memset(out_keys, IKAT_PAIR_NONE, pairs.num_keys);
        memset(row.tiles, 0, pairs.num_keys * sizeof(*row.tiles));
        read_row(plan, &row);
    }
    ikati_free(host, sees);
    ikati_free(host, own);
    return status;
}
