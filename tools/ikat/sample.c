#include "sample.h"

#include "compare.h"
#include "layout.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_ROWS = 2, LAST_ROWS = 128, MAX_BLOCKS = 16 };

// Rows [first, first + num_rows) of the queries are compared; the call has `num_slack` more, and
// `num_keys` keys.
typedef struct cli_block {
    int64_t first;
    int64_t num_rows;
    int64_t num_slack;
    int64_t num_keys;
} cli_block;

typedef struct cli_sampling {
    cli_tool *tool;
    ikat_device *reference;
    const cli_job *job; // what was computed
    cli_job call;       // the reference's
    const cli_drawing *drawing;
    int64_t num_queries;
    int64_t num_keys;
    int64_t right; // keys visible to the right of the diagonal; -1: all
    bool diagonal; // the mask or the scores depend on the distance to it
    cli_sampled *out;
} cli_sampling;

static int64_t right_edge(const cli_drawing *drawing) {
    const char *causal = drawing_setting(drawing, "causal");
    const char *right = drawing_setting(drawing, "window_right");
    if (causal && atoi(causal) == 1) {
        return 0;
    }
    return right ? atoll(right) : -1;
}

// Whether it matters where the diagonal is, by the parameters that many pages share.
static bool needs_diagonal(const cli_drawing *drawing) {
    const char *left = drawing_setting(drawing, "window_left");
    const char *alibi = drawing_setting(drawing, "alibi");
    bool slopes = false;
    for (uint32_t i = 0; i < drawing->num_inputs; i++) {
        slopes = slopes || strcmp(drawing->inputs[i].name, "alibi_slopes") == 0;
    }
    return right_edge(drawing) >= 0 || (left && atoll(left) >= 0) || (alibi && atoi(alibi) == 1) ||
           slopes;
}

// Whether rows would mean something else in a call of their own: an expression reads positions.
static bool reads_positions(const ikat_mechanism_info *info) {
    bool found = false;
    for (uint32_t i = 0; i < info->num_settings; i++) {
        found = found || info->settings[i].type == IKAT_SETTING_STRING;
    }
    return found;
}

// With a right edge r, row i sees keys up to i + (M - N) + r. A call with the r rows after it as
// well and with keys to the last one's diagonal holds them all. Without one all keys stay, and all
// later rows with them if the diagonal matters.
static cli_block make_block(const cli_sampling *sampling, int64_t first) {
    int64_t left = sampling->num_queries - first;
    cli_block block = {.first = first,
                       .num_rows = left < BLOCK_ROWS ? left : BLOCK_ROWS,
                       .num_keys = sampling->num_keys};
    int64_t slack = left - block.num_rows;
    if (sampling->right >= 0 && sampling->right < slack) {
        slack = sampling->right;
    }
    if (sampling->diagonal) {
        block.num_slack = slack;
        int64_t rows_after = left - block.num_rows - slack;
        block.num_keys = sampling->num_keys > rows_after ? sampling->num_keys - rows_after : 0;
    }
    return block;
}

// The view of a packed tensor with some rows of axis N and the first keys of axis M.
static ikat_tensor restrict_tensor(const ikat_tensor *whole, const char *text,
                                   const cli_block *block) {
    ikat_tensor view = *whole;
    cli_pattern shape;
    tensor_strides(whole, view.strides);
    if (pattern_read(text, whole->rank, &shape)) {
        uint32_t axis = pattern_axis(&shape, "N");
        if (axis < shape.rank) {
            view.offset += block->first * view.strides[axis];
            view.shape[axis] = block->num_rows + block->num_slack;
        }
        axis = pattern_axis(&shape, "M");
        if (axis < shape.rank) {
            view.shape[axis] = block->num_keys;
        }
    }
    return view;
}

// Rows of an output, packed.
static void *extract_rows(const cli_job *job, const job_tensor *output, const char *text,
                          const cli_block *rows, ikat_tensor *out_view) {
    job_tensor view = *output;
    view.tensor = restrict_tensor(&output->tensor, text, rows);
    void *packed = job_extract(job, &view);
    *out_view = view.tensor;
    return packed;
}

static void compare_block(cli_sampling *sampling, const cli_block *rows, double tolerance) {
    const ikat_argument_info *info = &sampling->drawing->info->outputs[0];
    const job_tensor *got = &sampling->job->tensors[sampling->job->num_tensors - 1];
    const job_tensor *should = &sampling->call.tensors[sampling->call.num_tensors - 1];
    cli_block own = {.num_rows = rows->num_rows, .num_keys = rows->num_keys};
    cli_block whole = *rows;
    whole.num_slack = 0;
    ikat_tensor view, other;
    void *a = extract_rows(sampling->job, got, info->shape, &whole, &view);
    void *b = extract_rows(&sampling->call, should, info->shape, &own, &other);
    cli_comparison result;
    compare_arrays(&view, a, other.dtype, b, tolerance, &result);
    sampling->out->error = fmax(sampling->out->error, result.error);
    sampling->out->num_rows += (uint64_t)rows->num_rows;
    if (!result.passed && !sampling->out->text[0]) {
        char *text = sampling->out->text;
        size_t capacity = sizeof(sampling->out->text);
        tool_append(
            text, capacity,
            "rows %" PRId64 " to %" PRId64 " of %s are off by %.3g, expected at most %.3g; ",
            rows->first, rows->first + rows->num_rows - 1, info->name, result.error, tolerance);
        compare_describe(&result, view.rank, text, capacity);
    }
    free(a);
    free(b);
}

static bool check_block(cli_sampling *sampling, int64_t first, double tolerance) {
    cli_block rows = make_block(sampling, first);
    const cli_drawing *drawing = sampling->drawing;
    cli_job *call = &sampling->call;
    for (uint32_t i = 0; i < drawing->num_inputs; i++) {
        const cli_drawn *input = &drawing->inputs[i];
        call->tensors[i].tensor = restrict_tensor(&input->tensor, input->info->shape, &rows);
        call->tensors[i].tensor.dtype = call->tensors[i].tensor.dtype == IKAT_FLOAT16
                                            ? IKAT_FLOAT32
                                            : call->tensors[i].tensor.dtype;
    }
    call->num_tensors = drawing->num_inputs;
    job_add_tensor(call, drawing->info->outputs[0].name, (ikat_tensor){0}, JOB_NO_IMAGE, true);
    tool_forget(sampling->tool);
    ikat_status status = job_plan(call, sampling->reference);
    status = status ? status : job_bind(call);
    status = status ? status : job_run(call);
    status = status ? status : job_fetch(call);
    if (status) {
        snprintf(sampling->out->text, sizeof(sampling->out->text),
                 "the reference of sampled rows fails: %.400s",
                 tool_reason(sampling->tool, status));
    } else {
        compare_block(sampling, &rows, tolerance);
    }
    job_unplan(call);
    // The output's image is the last; its size differs from block to block.
    if (call->num_images > drawing->num_inputs) {
        job_image *image = &call->images[--call->num_images];
        ikat_buffer_destroy(&image->buffer);
        free(image->bytes);
    }
    return sampling->out->text[0] == '\0';
}

// First and last rows, those about the edges of common tiles, and some in between; among the last
// ones only, where a block has all later rows in it.
static int64_t pick_row(const cli_sampling *sampling, uint32_t index, uint32_t num_blocks) {
    static const int64_t edges[] = {0, 63, 127, 255};
    int64_t last = sampling->num_queries > BLOCK_ROWS ? sampling->num_queries - BLOCK_ROWS : 0;
    if (sampling->diagonal && sampling->right < 0) {
        int64_t back = (int64_t)index * LAST_ROWS / num_blocks;
        return last > back ? last - back : 0;
    }
    if (index == 0) {
        return last;
    }
    if (index <= num_blocks / 2 && index <= sizeof(edges) / sizeof(edges[0])) {
        return edges[index - 1] < last ? edges[index - 1] : last;
    }
    return (int64_t)((double)last * ((double)index - 0.37) / num_blocks);
}

// Picks different rows; returns how many.
static uint32_t pick_rows(const cli_sampling *sampling, uint32_t num_blocks, int64_t *rows) {
    uint32_t num = 0;
    for (uint32_t i = 0; i < num_blocks && sampling->num_queries > 0; i++) {
        int64_t row = pick_row(sampling, i, num_blocks);
        uint32_t other = 0;
        while (other < num && rows[other] != row) {
            other++;
        }
        if (other == num && num < MAX_BLOCKS) {
            rows[num++] = row;
        }
    }
    return num;
}

bool sample_check(cli_tool *tool, ikat_device *reference, const cli_drawing *drawing,
                  const cli_job *job, uint32_t num_blocks, cli_sampled *out) {
    cli_drawing wide;
    *out = (cli_sampled){.error = 0};
    cli_sampling sampling = {
        .tool = tool,
        .reference = reference,
        .job = job,
        .drawing = drawing,
        .right = right_edge(drawing),
        .diagonal = needs_diagonal(drawing),
        .out = out,
    };
    const ikat_argument_info *main = &drawing->info->outputs[0];
    bool sampled = letters_get(&drawing->letters, "N", &sampling.num_queries) && !drawing->padded &&
                   !reads_positions(drawing->info);
    if (!sampled || !letters_get(&drawing->letters, "M", &sampling.num_keys)) {
        snprintf(out->text, sizeof(out->text), "%s cannot be checked by rows", drawing->info->name);
        return false;
    }
    drawing_widen(drawing, &wide);
    layout_inputs(&wide, LAYOUT_PACKED, &sampling.call);
    double tolerance = ikat_plan_tolerance(job->plan, main->name);
    bool good = true;
    int64_t rows[MAX_BLOCKS];
    num_blocks = pick_rows(&sampling, num_blocks, rows);
    for (uint32_t i = 0; i < num_blocks && good; i++) {
        good = check_block(&sampling, rows[i], tolerance);
    }
    job_free(&sampling.call);
    drawing_free(&wide);
    return good;
}
