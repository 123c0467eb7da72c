#include "sample.h"

#include "compare.h"
#include "layout.h"
#include "load.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Where common tiles begin and end.
static const int64_t edges[] = {0, 15, 16, 63, 64, 127, 128, 255, 256};

enum {
    NUM_EDGES = sizeof(edges) / sizeof(edges[0]),
    NUM_DRAWN = 10,
    MAX_ROWS = NUM_EDGES + NUM_DRAWN + 1,
};

// Ascending rows of axis N; none of a call without any.
typedef struct cli_rows {
    int64_t items[MAX_ROWS];
    uint32_t num;
} cli_rows;

typedef struct cli_sampling {
    const cli_drawing *drawing;
    const cli_job *job; // what was computed
    cli_job call;       // the reference's
    cli_rows rows;
    cli_sampled *out;
} cli_sampling;

// Puts a row in its place, unless it is there or past the end.
static void add_row(cli_rows *rows, int64_t row, int64_t num_positions) {
    uint32_t place = rows->num;
    while (place > 0 && rows->items[place - 1] > row) {
        place--;
    }
    bool known = place > 0 && rows->items[place - 1] == row;
    if (row < num_positions && !known) {
        memmove(&rows->items[place + 1], &rows->items[place],
                (rows->num - place) * sizeof(rows->items[0]));
        rows->items[place] = row;
        rows->num++;
    }
}

static void pick_rows(int64_t num_positions, uint64_t seed, cli_rows *out) {
    *out = (cli_rows){.num = 0};
    for (uint32_t i = 0; i < NUM_EDGES; i++) {
        add_row(out, edges[i], num_positions);
    }
    for (uint32_t i = 0; i < NUM_DRAWN; i++) {
        // Multiples of the golden ratio lie apart.
        uint64_t fraction = ((seed + 1) * NUM_DRAWN + i) * 0x9e3779b97f4a7c15 >> 32;
        add_row(out, (int64_t)(fraction * (uint64_t)num_positions >> 32), num_positions);
    }
    if (num_positions > 0) {
        add_row(out, num_positions - 1, num_positions);
    }
}

// Rows along an axis of an output, packed, and their shape. To be freed.
static void *extract_rows(const cli_job *job, const job_tensor *output, uint32_t axis,
                          const int64_t *rows, uint32_t num_rows, ikat_tensor *out_shape) {
    *out_shape = output->tensor;
    memset(out_shape->strides, 0, sizeof(out_shape->strides));
    out_shape->offset = 0;
    out_shape->shape[axis] = num_rows;
    ikat_tensor from = output->tensor, to = *out_shape;
    tensor_strides(&output->tensor, from.strides);
    tensor_strides(out_shape, to.strides);
    from.shape[axis] = to.shape[axis] = 1;
    size_t size = ikat_dtype_size(from.dtype);
    uint8_t *packed = tool_alloc(tensor_count(out_shape), size);
    uint8_t *row = tool_alloc(tensor_count(&from), size);
    for (uint32_t i = 0; i < num_rows; i++) {
        from.offset = output->tensor.offset + rows[i] * from.strides[axis];
        to.offset = i * to.strides[axis];
        tensor_copy(&from, job->images[output->image].bytes + output->offset_bytes, row, true);
        tensor_copy(&to, packed, row, false);
    }
    free(row);
    return packed;
}

static void fail_part(cli_sampling *sampling, const char *output, uint32_t rank,
                      const cli_comparison *result, double tolerance) {
    char *text = sampling->out->text;
    size_t capacity = sizeof(sampling->out->text);
    if (!text[0]) {
        tool_append(text, capacity, "sampled rows of %s are off by %.3g, expected at most %.3g; ",
                    output, result->error, tolerance);
        compare_describe(result, rank, text, capacity);
    }
}

// Compares some rows of an output along `axis`, as one array; all of it if it has no such axis.
static void compare_part(cli_sampling *sampling, const job_tensor *got, uint32_t axis,
                         const int64_t *rows, uint32_t num_rows) {
    const job_tensor *should = job_output(&sampling->call, got->name);
    double tolerance = ikat_plan_tolerance(sampling->job->plan, got->name);
    bool whole = axis >= got->tensor.rank;
    ikat_tensor shape = got->tensor, other;
    void *a = whole ? job_extract(sampling->job, got)
                    : extract_rows(sampling->job, got, axis, rows, num_rows, &shape);
    void *b = whole ? job_extract(&sampling->call, should)
                    : extract_rows(&sampling->call, should, axis, rows, num_rows, &other);
    cli_comparison result;
    compare_arrays(&shape, a, should->tensor.dtype, b, tolerance, &result);
    sampling->out->error = fmax(sampling->out->error, result.error);
    if (!result.passed) {
        if (!whole) {
            result.worst[axis] = rows[result.worst[axis]];
        }
        fail_part(sampling, got->name, shape.rank, &result, tolerance);
    }
    free(a);
    free(b);
}

// The axis of an output along which rows are sampled: N, or Nq where queries are as many; the rank if it has
// none.
static uint32_t row_axis(const cli_sampling *sampling, const cli_pattern *shape,
                         const ikat_tensor *tensor) {
    const uint32_t axis = pattern_axis(shape, "N");
    if (axis < tensor->rank) {
        return axis;
    }
    const uint32_t queries = pattern_axis(shape, "Nq");
    int64_t num_positions = 0;
    letters_get(&sampling->drawing->letters, "N", &num_positions);
    return queries < tensor->rank && tensor->shape[queries] == num_positions ? queries
                                                                             : tensor->rank;
}

// Each row has to be right by itself, but for single numbers (lse), which may be near 0: an error
// relative to one says nothing.
static void compare_output(cli_sampling *sampling, const job_tensor *got) {
    const ikat_mechanism_info *mechanism = sampling->drawing->info;
    const ikat_argument_info *info =
        load_find(mechanism->outputs, mechanism->num_outputs, got->name);
    const cli_rows *rows = &sampling->rows;
    uint32_t rank = got->tensor.rank, axis = rank;
    cli_pattern shape;
    if (rows->num && (pattern_of(info->shape, &sampling->drawing->letters, &got->tensor, &shape) ||
                      pattern_read(info->shape, rank, &shape))) {
        axis = row_axis(sampling, &shape, &got->tensor);
    }
    uint32_t step = axis + 1 < rank ? 1 : rows->num;
    uint32_t i = 0;
    do {
        compare_part(sampling, got, axis, rows->items + i, step);
        i += step;
    } while (i < rows->num);
}

static void compare_outputs(cli_sampling *sampling) {
    for (uint32_t i = 0; i < sampling->job->num_tensors; i++) {
        if (sampling->job->tensors[i].output) {
            compare_output(sampling, &sampling->job->tensors[i]);
        }
    }
}

// The whole call with inputs as float32, of which the sampled rows are wanted.
static void make_call(cli_sampling *sampling, const cli_drawing *wide) {
    cli_job *call = &sampling->call;
    layout_inputs(wide, LAYOUT_PACKED, call);
    call->rows = sampling->rows.items;
    call->num_rows = sampling->rows.num;
    for (uint32_t i = 0; i < sampling->job->num_tensors; i++) {
        if (sampling->job->tensors[i].output) {
            job_add_tensor(call, sampling->job->tensors[i].name, (ikat_tensor){0}, JOB_NO_IMAGE,
                           true);
        }
    }
}

bool sample_check(cli_tool *tool, ikat_device *reference, const cli_drawing *drawing,
                  const cli_job *job, uint64_t seed, cli_sampled *out) {
    cli_drawing wide;
    cli_sampling sampling = {.job = job, .drawing = drawing, .out = out};
    int64_t num_positions = 0;
    letters_get(&drawing->letters, "N", &num_positions);
    pick_rows(num_positions, seed, &sampling.rows);
    *out = (cli_sampled){.num_rows = sampling.rows.num};
    drawing_widen(drawing, &wide);
    make_call(&sampling, &wide);
    tool_forget(tool);
    ikat_status status = job_compute(&sampling.call, reference);
    if (status) {
        snprintf(out->text, sizeof(out->text), "the reference of sampled rows fails: %.400s",
                 tool_reason(tool, status));
    } else {
        compare_outputs(&sampling);
    }
    job_free(&sampling.call);
    drawing_free(&wide);
    return out->text[0] == '\0';
}
