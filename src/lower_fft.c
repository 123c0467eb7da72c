#include "lower_fft.h"

#include "../shaders/params/fft.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { VECTOR = 16 }; // the longest of any variant

typedef struct fft_params {
    FFT_PARAMS(IKATI_PARAM_FIELD)
} fft_params;

// A pass: which of the plan's it is, where it reads and writes, and what it does besides.
typedef struct fft_pass {
    uint32_t index, span;
    ikati_fft_planes from, to;
    uint32_t options;
    uint32_t num_loaded, num_stored; // elements along the transform
} fft_pass;

uint64_t ikati_fft_row(uint64_t num_elements) {
    return num_elements > 1 ? ikati_round_up(num_elements, VECTOR) : 1;
}

ikat_status ikati_fft_scratch(ikati_lowering *lowering, uint64_t num_batches, uint64_t num_rows,
                              uint64_t num_elements, ikati_fft_planes *out_planes) {
    const uint64_t row = ikati_fft_row(num_elements), plane = num_batches * num_rows * row;
    const uint32_t scratch = ikati_lowering_scratch(lowering, 2 * plane * sizeof(float));
    *out_planes = (ikati_fft_planes){.kind = IKATI_SLOT_SCRATCH,
                                     .index = scratch,
                                     .dtype = IKAT_FLOAT32,
                                     .im = plane,
                                     .batch = num_rows * row,
                                     .row = row,
                                     .axis = 1};
    return scratch == UINT32_MAX ? IKAT_NO_MEMORY : IKAT_OK;
}

uint64_t ikati_fft_plane(const ikati_fft_call *call) {
    const uint64_t size = call->fft->size;
    return call->along ? call->num_rows * ikati_fft_row(size)
                       : size * ikati_fft_row(call->num_columns);
}

// Scratch between two passes.
static ikat_status make_between(ikati_lowering *lowering, const ikati_fft_call *call,
                                ikati_fft_planes *out_planes) {
    const uint64_t size = call->fft->size;
    ikat_status status =
        call->along
            ? ikati_fft_scratch(lowering, call->num_batches, call->num_rows, size, out_planes)
            : ikati_fft_scratch(lowering, call->num_batches, size, call->num_columns, out_planes);
    if (!call->along) {
        out_planes->axis = out_planes->row;
        out_planes->row = 0;
    }
    return status;
}

static bool is_aligned(const ikati_fft_planes *planes) {
    return (planes->re | planes->im | planes->batch | planes->row |
            (planes->axis == 1 ? 0 : planes->axis)) %
               4 ==
           0;
}

// Neighbours that every step of the call may take at once.
static uint32_t choose_vector(const ikati_fft_call *call) {
    if (call->along) {
        return ikati_fft_vector(call->fft);
    }
    return call->num_columns >= 16 ? 16 : call->num_columns > 2 ? 4 : 1;
}

// What one plane reaches; nothing where there are no rows.
static ikati_operand operand_of(const ikati_fft_call *call, const ikati_fft_planes *planes,
                                uint64_t offset, uint32_t rows, uint32_t elements,
                                uint64_t columns) {
    if (!rows) {
        return (ikati_operand){0};
    }
    const uint64_t count = (call->num_batches - 1) * planes->batch + (rows - 1) * planes->row +
                           (elements - 1) * planes->axis + columns;
    return (ikati_operand){planes->kind, planes->index, planes->dtype, offset, count};
}

static void set_from(const ikati_fft_call *call, const fft_pass *pass, uint64_t columns,
                     ikati_operand operands[2]) {
    const ikati_fft_planes *from = &pass->from;
    uint32_t elements = pass->num_loaded, imaginary = call->num_rows;
    if (pass->options & FFT_UNTANGLE) {
        const uint32_t half = call->half_rows;
        elements = half && half < elements ? half : elements;
        columns = columns < call->num_channels ? call->num_channels : columns;
    } else if (from->kind == call->from.kind && from->index == call->from.index) {
        imaginary = call->num_imaginary;
    }
    operands[0] = operand_of(call, from, from->re, call->num_rows, elements, columns);
    operands[1] = operand_of(call, from, from->im, imaginary, elements, columns);
}

static void set_to(const ikati_fft_call *call, const fft_pass *pass, uint64_t columns,
                   ikati_operand operands[2]) {
    const ikati_fft_planes *to = &pass->to;
    uint32_t elements = pass->num_stored;
    if (call->along) { // vectors are stored whole
        elements = (uint32_t)ikati_fft_row(elements);
    }
    const bool is_real = (pass->options & FFT_REAL) != 0;
    columns = is_real ? call->num_channels : columns;
    operands[0] = operand_of(call, to, to->re, call->num_rows, elements, columns);
    operands[1] =
        is_real ? operands[0] : operand_of(call, to, to->im, call->num_rows, elements, columns);
}

static fft_params params_of(const ikati_fft_call *call, const fft_pass *pass) {
    const ikati_fft *fft = call->fft;
    const bool between = pass->num_stored == fft->size;
    const uint32_t padded = (uint32_t)ikati_round_up(fft->length, IKATI_FFT_PADDING);
    return (fft_params){
        .num_batches = call->num_batches,
        .num_rows = call->num_rows,
        .num_butterflies = fft->size / fft->radices[pass->index],
        .num_columns = call->num_columns,
        .first_column = call->first_column,
        .span = pass->span,
        .num_imaginary = pass->from.index == call->from.index && pass->from.kind == call->from.kind
                             ? call->num_imaginary
                             : UINT32_MAX,
        .num_loaded = pass->num_loaded,
        .num_stored = pass->num_stored,
        .twiddles_at = fft->twiddles_at[pass->index],
        .load_factors_at = fft->chirp_at,
        .load_padding = padded,
        .store_factors_at = between ? fft->response_at : fft->unchirp_at,
        .store_padding = between ? (uint32_t)ikati_round_up(fft->size, IKATI_FFT_PADDING) : padded,
        .from_batch = ikati_step_of(pass->from.batch, call->num_batches),
        .from_row = ikati_step_of(pass->from.row, call->num_rows),
        .from_axis = (uint32_t)pass->from.axis,
        .to_batch = ikati_step_of(pass->to.batch, call->num_batches),
        .to_row = ikati_step_of(pass->to.row, call->num_rows),
        .to_axis = (uint32_t)pass->to.axis,
        .half_rows = call->half_rows,
        .num_channels = call->num_channels,
        .mirror_rows = fft->length - (call->results == IKATI_FFT_MIRRORED ? 1 : 0),
        .mirror_of_zero = call->results == IKATI_FFT_MIRRORED ? fft->length - 1 : 0,
        .scale = (float)call->scale,
    };
}

static ikat_status add_pass(ikati_lowering *lowering, const ikati_fft_call *call,
                            const fft_pass *pass) {
    const uint32_t vector = choose_vector(call), radix = call->fft->radices[pass->index];
    ikati_step step = {0};
    const ikati_pick pick = {.offers = IKATI_NEED_FLOAT, .sizes = {VECTOR / vector, 0}};
    ikat_status status = ikati_pick_variant(lowering, IKATI_KERNEL_fft, &pick, &step);
    if (status) {
        return status;
    }
    const uint64_t columns = ikati_round_up(call->num_columns, call->along ? 1 : vector);
    const fft_params params = params_of(call, pass);
    set_from(call, pass, columns, &step.operands[0]);
    if (call->fft->num_floats) {
        step.operands[2] =
            (ikati_operand){IKATI_SLOT_TABLE, call->table, IKAT_FLOAT32, 0, call->fft->num_floats};
    }
    set_to(call, pass, columns, &step.operands[3]);
    step.specialisation[0] = pass->options | radix;
    const uint32_t width = step.variant->tile_keys;
    const uint64_t items = (uint64_t)call->num_batches * call->num_rows *
                           ikati_divide_up(params.num_butterflies, call->along ? width : 1) *
                           ikati_divide_up(call->num_columns, call->along ? 1 : width);
    step.num_groups = ikati_divide_up(items, step.variant->tile_rows);
    step.flops = 5.0 * (double)items * width * radix * (1 + log2(radix));
    memcpy(step.params, &params, sizeof(params));
    char options[32];
    snprintf(options, sizeof(options), ".r%u.%s%s", radix, call->along ? "along" : "across",
             pass->options & FFT_UNTANGLE ? ".untangle" : "");
    return ikati_lowering_step(lowering, &step, pass->from.dtype, options);
}

// What the first pass does besides, and the last one; and those before and after the product of a
// convolution.
static uint32_t options_of(const ikati_fft_call *call, const fft_pass *pass, bool first, bool last,
                           bool begins, bool ends) {
    const bool convolves = call->fft->convolves;
    uint32_t options = (call->along ? FFT_ALONG : 0) | (pass->span > 1 ? FFT_TWIDDLES : 0);
    if (first) {
        options |= pass->from.dtype == IKAT_FLOAT16 ? FFT_FROM_HALF : 0;
        options |= call->untangle ? FFT_UNTANGLE : 0;
        const bool loose = !is_aligned(&pass->from) || pass->from.dtype == IKAT_FLOAT16;
        options |= loose || (convolves && call->along) ? FFT_FROM_LOOSE : 0;
    }
    options |= first && begins && convolves ? FFT_LOAD_FACTORS : 0;
    options |= ends && convolves ? FFT_STORE_FACTORS : 0;
    if (last && call->results != IKATI_FFT_COMPLEX) {
        options |= call->results == IKATI_FFT_MIRRORED ? 0 : FFT_DIRECT;
        options |= call->results == IKATI_FFT_DIRECT ? 0 : FFT_MIRROR;
        options |= pass->to.dtype == IKAT_FLOAT16 ? FFT_TO_HALF | FFT_TO_LOOSE : 0;
        options |= is_aligned(&pass->to) ? 0 : FFT_TO_LOOSE;
    }
    return options;
}

ikat_status ikati_lower_fft(ikati_lowering *lowering, const ikati_fft_call *call) {
    const ikati_fft *fft = call->fft;
    const uint32_t total = fft->num_passes * (fft->convolves ? 2 : 1);
    fft_pass pass = {.span = 1, .from = call->from};
    ikat_status status = IKAT_OK;
    for (uint32_t i = 0; i < total && !status; i++) {
        const bool first = i == 0, last = i + 1 == total;
        pass.index = i % fft->num_passes;
        pass.span = pass.index ? pass.span * fft->radices[pass.index - 1] : 1;
        pass.num_loaded = first ? fft->length : fft->size;
        pass.num_stored = last ? fft->length : fft->size;
        pass.to = call->to;
        status = last ? IKAT_OK : make_between(lowering, call, &pass.to);
        pass.options = options_of(call, &pass, first, last, pass.index == 0,
                                  pass.index + 1 == fft->num_passes);
        status = status ? status : add_pass(lowering, call, &pass);
        pass.from = pass.to;
    }
    return status;
}
