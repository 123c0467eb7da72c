#include "layout.h"

#include <stdlib.h>
#include <string.h>

// GAP_BYTES    around inputs: NaN as float32 and float16, so that reading them shows
// GUARD_BYTES  around outputs: no NaN, so that a NaN written there shows
enum { GAP_BYTE = 0xff, GUARD_BYTE = 0xa5, POISON_BYTE = 0xff, GUARD_SIZE = 256 };

const char *layout_name(cli_layout layout) {
    static const char *const names[NUM_LAYOUTS] = {"packed", "rows", "shared"};
    return names[layout];
}

// Strides of [B,H,N,D] kept as [B,N,H,D] (other ranks in their own order), `gap` elements after
// every innermost row.
static void stride_rows(ikat_tensor *tensor, int64_t gap) {
    uint32_t order[IKAT_MAX_RANK]; // from the outermost axis in memory to the innermost
    for (uint32_t axis = 0; axis < tensor->rank; axis++) {
        order[axis] = axis;
    }
    if (tensor->rank == 4) {
        order[1] = 2;
        order[2] = 1;
    }
    int64_t stride = 1;
    for (uint32_t i = tensor->rank; i-- > 0;) {
        uint32_t axis = order[i];
        int64_t extent = tensor->shape[axis] ? tensor->shape[axis] : 1;
        tensor->strides[axis] = stride;
        stride = i + 1 == tensor->rank ? extent + gap : stride * extent;
    }
}

// Bytes of a binding that holds a tensor. Zero extents need none.
static uint64_t view_bytes(const ikat_tensor *tensor) {
    uint64_t size_bytes = 0;
    return ikat_tensor_size_bytes(tensor, &size_bytes) ? 0 : size_bytes;
}

static void add_view(cli_job *job, const char *name, const ikat_tensor *view, uint64_t offset_bytes,
                     uint64_t behind, const void *data, bool output) {
    uint64_t size = offset_bytes + view_bytes(view) + behind;
    uint32_t image = job_add_image(job, size, output ? GUARD_BYTE : GAP_BYTE);
    job_add_tensor(job, name, *view, image, output);
    job->tensors[job->num_tensors - 1].offset_bytes = offset_bytes;
    if (data) {
        tensor_copy(view, job->images[image].bytes + offset_bytes, (uint8_t *)data, false);
    }
}

static bool is_rows(const cli_drawn *input) {
    return input->info && strcmp(input->info->dtype, "float") == 0 && input->tensor.rank == 4;
}

static bool shares_rows(const cli_drawn *a, const cli_drawn *b) {
    return is_rows(a) && is_rows(b) && a->tensor.shape[0] == b->tensor.shape[0] &&
           a->tensor.shape[2] == b->tensor.shape[2] && a->tensor.shape[3] == b->tensor.shape[3];
}

// Puts inputs [first, first + num) into one buffer [B, rows, heads of all, D].
static void add_shared(const cli_drawing *drawing, uint32_t first, uint32_t num, cli_job *job) {
    int64_t heads = 0, base = 4;
    for (uint32_t i = first; i < first + num; i++) {
        heads += drawing->inputs[i].tensor.shape[1];
    }
    const ikat_tensor *shape = &drawing->inputs[first].tensor;
    int64_t elements = base + shape->shape[0] * shape->shape[2] * heads * shape->shape[3];
    uint32_t image =
        job_add_image(job, (uint64_t)elements * ikat_dtype_size(shape->dtype), GAP_BYTE);
    for (uint32_t i = first; i < first + num; i++) {
        ikat_tensor view = drawing->inputs[i].tensor;
        view.strides[3] = 1;
        view.strides[1] = view.shape[3];
        view.strides[2] = heads * view.shape[3];
        view.strides[0] = view.shape[2] * view.strides[2];
        view.offset = base;
        base += view.shape[1] * view.shape[3];
        job_add_tensor(job, drawing->inputs[i].name, view, image, false);
        tensor_copy(&view, job->images[image].bytes, drawing->inputs[i].data, false);
    }
}

static void add_input(const cli_drawn *input, cli_layout layout, cli_job *job) {
    ikat_tensor view = input->tensor;
    uint64_t offset_bytes = 0, behind = 0;
    if (layout == LAYOUT_ROWS) {
        stride_rows(&view, 4);
        view.offset = 8;
        offset_bytes = 64;
        behind = 64;
    }
    add_view(job, input->name, &view, offset_bytes, behind, input->data, false);
}

void layout_inputs(const cli_drawing *drawing, cli_layout layout, cli_job *out_job) {
    *out_job = (cli_job){
        .mechanism = drawing->info->name,
        .settings = drawing->settings,
        .num_settings = drawing->num_settings,
    };
    for (uint32_t i = 0; i < drawing->num_inputs;) {
        uint32_t num = 1;
        while (layout == LAYOUT_SHARED && i + num < drawing->num_inputs &&
               shares_rows(&drawing->inputs[i], &drawing->inputs[i + num])) {
            num++;
        }
        if (num > 1) {
            add_shared(drawing, i, num, out_job);
        } else {
            add_input(&drawing->inputs[i], layout, out_job);
        }
        i += num;
    }
}

void layout_output(cli_job *job, const char *name, const ikat_tensor *shape, cli_layout layout) {
    ikat_tensor view = *shape;
    memset(view.strides, 0, sizeof(view.strides));
    view.offset = 0;
    uint64_t offset_bytes = 0;
    if (layout == LAYOUT_ROWS) {
        stride_rows(&view, 4);
        view.offset = 8;
        offset_bytes = 64;
    } else if (layout == LAYOUT_SHARED) {
        stride_rows(&view, 0);
        view.offset = 3;
    }
    uint64_t count = tensor_count(&view);
    uint8_t *poison = tool_alloc(count, ikat_dtype_size(view.dtype));
    memset(poison, POISON_BYTE, count * ikat_dtype_size(view.dtype));
    add_view(job, name, &view, offset_bytes, GUARD_SIZE, poison, true);
    free(poison);
}

bool layout_guards_intact(const cli_job *job, const job_tensor *output, uint64_t *out_byte) {
    const job_image *image = &job->images[output->image];
    uint64_t count = tensor_count(&output->tensor);
    size_t size = ikat_dtype_size(output->tensor.dtype);
    // What the image would be if nothing but the elements had been touched.
    uint8_t *expected = tool_alloc(image->size_bytes, 1);
    uint8_t *packed = tool_alloc(count, size);
    memset(expected, GUARD_BYTE, image->size_bytes);
    tensor_copy(&output->tensor, image->bytes + output->offset_bytes, packed, true);
    tensor_copy(&output->tensor, expected + output->offset_bytes, packed, false);
    uint64_t byte = 0;
    while (byte < image->size_bytes && expected[byte] == image->bytes[byte]) {
        byte++;
    }
    *out_byte = byte;
    free(expected);
    free(packed);
    return byte == image->size_bytes;
}
