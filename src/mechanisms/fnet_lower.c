// Lowers FNet's mixing to transforms along the channels and then along the positions.
//
// x is real, and so is what is kept. Two rows, n and n + N/2, are the real and the imaginary part of one
// transform along the channels; what is of which row is told apart by the first pass along the
// positions. Columns c and C - c of a real row's spectrum are conjugate: half of them are transformed along
// the positions, and each result is written to both places that it belongs to.
//
// A device that cannot bind all batch entries at once takes them in blocks. Where a single one is too
// large, its rows are transformed in blocks and its columns in others, and steps that copy go between.

#include "fnet.h"

#include "../view.h"
#include "../lower_fft.h"

#include <inttypes.h>
#include <string.h>

typedef struct fnet_lowering {
    ikati_lowering *lowering;
    ikati_view x, out;
    uint32_t num_batches, num_positions, num_channels;
    uint64_t x_batch, x_row, out_batch, out_row;
    double scale;
    ikati_fft positions, channels;
    uint32_t positions_table, channels_table;
    uint64_t limit; // elements that one binding holds
} fnet_lowering;

static uint64_t stride_of(const ikati_view *view, int axis) {
    return view->tensor->shape[axis] > 1 ? (uint64_t)view->tensor->strides[axis] : 0;
}

// Rows of transforms along the channels, of two positions each, and columns of those along the positions.
static uint32_t num_pairs(const fnet_lowering *f) { return (f->num_positions + 1) / 2; }
static uint32_t num_columns(const fnet_lowering *f) { return f->num_channels / 2 + 1; }

// Of the batch entries from `batch` on, transforms of the pairs `first` on.
static ikati_fft_call channels_call(const fnet_lowering *f, uint32_t batch, uint32_t num_batches,
                                    uint32_t first, uint32_t num) {
    const uint32_t pairs = num_pairs(f), imaginary = f->num_positions - pairs;
    const uint64_t re =
        (uint64_t)f->x.tensor->offset + batch * f->x_batch + (uint64_t)first * f->x_row;
    return (ikati_fft_call){
        .fft = &f->channels,
        .table = f->channels_table,
        .from = {f->x.kind, f->x.index, f->x.tensor->dtype, re, re + pairs * f->x_row, f->x_batch,
                 f->x_row, 1},
        .num_batches = num_batches,
        .num_rows = num,
        .num_columns = 1,
        .along = true,
        .num_imaginary = imaginary > first + num ? num
                         : imaginary > first     ? imaginary - first
                                                 : 0,
        .num_channels = f->num_channels,
    };
}

// Rows that lie along the channels, as columns see them.
static ikati_fft_planes across(ikati_fft_planes planes) {
    planes.axis = planes.row;
    planes.row = 0;
    return planes;
}

static ikati_fft_call positions_call(const fnet_lowering *f, const ikati_fft_planes *from,
                                     uint32_t num_batches) {
    return (ikati_fft_call){
        .fft = &f->positions,
        .table = f->positions_table,
        .from = across(*from),
        .num_batches = num_batches,
        .num_rows = 1,
        .num_columns = num_columns(f),
        .num_imaginary = 1,
        .untangle = true,
        .half_rows = num_pairs(f),
        .num_channels = f->num_channels,
        .results = IKATI_FFT_REAL,
        .scale = 0.5 * f->scale, // twice the spectrum is untangled
    };
}

// Rows `first` on of out.
static ikati_operand operand_of_out(const fnet_lowering *f, uint32_t batch, uint32_t num_batches,
                                    uint32_t first, uint32_t num) {
    const ikat_tensor *out = f->out.tensor;
    return (ikati_operand){f->out.kind, f->out.index, out->dtype,
                           (uint64_t)out->offset + batch * f->out_batch + first * f->out_row,
                           (num_batches - 1) * f->out_batch + (num - 1) * f->out_row +
                               f->num_channels};
}

// Where real results of so many rows go that end at `out`: there, or, where halves share words, to scratch
// that `finish` packs.
static ikat_status make_target(const fnet_lowering *f, const ikati_operand *out,
                               uint32_t num_batches, uint32_t num, ikati_fft_planes *to) {
    if (!ikati_lowering_packs(f->lowering, out->dtype)) {
        *to = (ikati_fft_planes){.kind = out->kind,
                                 .index = out->index,
                                 .dtype = out->dtype,
                                 .re = out->offset,
                                 .batch = f->out_batch,
                                 .axis = f->out_row};
        return IKAT_OK;
    }
    const uint32_t counts[3] = {num_batches, 1, num};
    ikati_row_target staged;
    ikat_status status = ikati_lowering_stage(f->lowering, counts, f->num_channels, &staged);
    *to = (ikati_fft_planes){.kind = staged.operand.kind,
                             .index = staged.operand.index,
                             .dtype = staged.operand.dtype,
                             .batch = staged.strides[0],
                             .axis = staged.strides[2]};
    return status;
}

static ikat_status finish(const fnet_lowering *f, const ikati_operand *out, uint32_t num_batches,
                          uint32_t num, const ikati_fft_planes *to) {
    if (to->kind != IKATI_SLOT_SCRATCH) {
        return IKAT_OK;
    }
    const uint32_t counts[3] = {num_batches, 1, num};
    const uint64_t elements = (uint64_t)num_batches * num * f->num_channels;
    const ikati_row_target staged = {{to->kind, to->index, to->dtype, 0, elements}, {0}};
    const ikati_row_target target = {
        *out, {ikati_step_of(f->out_batch, num_batches), 0, ikati_step_of(f->out_row, num)}};
    return ikati_lowering_pack(f->lowering, &staged, &target, counts, f->num_channels);
}

static ikat_status lower_entries(const fnet_lowering *f, uint32_t batch, uint32_t num) {
    const uint32_t rows = f->num_positions;
    ikati_fft_call channels = channels_call(f, batch, num, 0, num_pairs(f));
    ikat_status status =
        ikati_fft_scratch(f->lowering, num, num_pairs(f), f->num_channels, &channels.to);
    status = status ? status : ikati_lower_fft(f->lowering, &channels);
    ikati_fft_call positions = positions_call(f, &channels.to, num);
    const ikati_operand out = operand_of_out(f, batch, num, 0, rows);
    status = status ? status : make_target(f, &out, num, rows, &positions.to);
    status = status ? status : ikati_lower_fft(f->lowering, &positions);
    return status ? status : finish(f, &out, num, rows, &positions.to);
}

// A batch entry in parts.
//
// pairs, columns, rows  most of each that are bound at once
// spectra               of all pairs, along the channels
// targets               of each block of rows of out
typedef struct cut_entry {
    uint32_t batch;
    uint32_t pairs, columns, rows;
    ikati_fft_planes spectra;
    ikati_fft_planes *targets;
} cut_entry;

static uint32_t least(uint64_t a, uint64_t b) { return (uint32_t)(a < b ? a : b); }

static ikat_status transform_pairs(const fnet_lowering *f, cut_entry *cut) {
    ikat_status status =
        ikati_fft_scratch(f->lowering, 1, num_pairs(f), f->num_channels, &cut->spectra);
    for (uint32_t p = 0; p < num_pairs(f) && !status; p += cut->pairs) {
        ikati_fft_call call =
            channels_call(f, cut->batch, 1, p, least(cut->pairs, num_pairs(f) - p));
        call.to = cut->spectra;
        call.to.re += p * call.to.row;
        call.to.im += p * call.to.row;
        status = ikati_lower_fft(f->lowering, &call);
    }
    return status;
}

// Copies the columns of `call` of all rows' spectra to planes of their own, which are call->from then. The
// rows that are the real parts of pairs first.
static ikat_status untangle(const fnet_lowering *f, const cut_entry *cut, ikati_fft_call *call) {
    ikati_fft_planes own;
    ikat_status status =
        ikati_fft_scratch(f->lowering, 1, f->num_positions, call->num_columns, &own);
    for (uint32_t n = 0, num; n < f->num_positions && !status; n += num) {
        const bool second = n >= num_pairs(f);
        const uint32_t pair = second ? n - num_pairs(f) : n;
        num = least(cut->pairs, (second ? f->num_positions : num_pairs(f)) - n);
        const ikati_fft copy = ikati_fft_copy(num);
        ikati_fft_call part = *call;
        part.fft = &copy;
        part.half_rows = second ? 0 : UINT32_MAX;
        part.results = IKATI_FFT_COMPLEX;
        part.from.re += pair * part.from.axis;
        part.from.im += pair * part.from.axis;
        part.to = across(own);
        part.to.re += n * part.to.axis;
        part.to.im += n * part.to.axis;
        status = ikati_lower_fft(f->lowering, &part);
    }
    call->from = across(own);
    call->untangle = false;
    return status;
}

// Copies real parts of rows `from` on, num of them, to rows `to` on of a target.
static ikat_status copy_rows(const fnet_lowering *f, const ikati_fft_call *call,
                             ikati_fft_results results, uint32_t from, uint32_t to, uint32_t num,
                             const ikati_fft_planes *target) {
    const ikati_fft copy = ikati_fft_copy(num);
    ikati_fft_call part = *call;
    part.fft = &copy;
    part.results = results;
    part.from = call->to;
    part.from.re += from * part.from.axis;
    part.from.im += from * part.from.axis;
    part.to = *target;
    part.to.re += to * part.to.axis;
    return ikati_lower_fft(f->lowering, &part);
}

// Rows `first` on of out, from the transforms in call->to: row n and, mirrored, row (N - n) mod N.
static ikat_status store_rows(const fnet_lowering *f, const ikati_fft_call *call, uint32_t first,
                              uint32_t num, const ikati_fft_planes *target) {
    ikat_status status = copy_rows(f, call, IKATI_FFT_DIRECT, first, 0, num, target);
    const uint32_t skipped = first == 0; // row 0 is its own mirror
    if (skipped && !status) {
        status = copy_rows(f, call, IKATI_FFT_MIRRORED, 0, 0, 1, target);
    }
    if (num == skipped || status) {
        return status;
    }
    return copy_rows(f, call, IKATI_FFT_MIRRORED, f->num_positions - first - num + 1, skipped,
                     num - skipped, target);
}

static ikat_status transform_columns(const fnet_lowering *f, const cut_entry *cut, uint32_t first) {
    ikati_fft_call call = positions_call(f, &cut->spectra, 1);
    call.first_column = first;
    call.num_columns = least(cut->columns, num_columns(f) - first);
    ikat_status status = untangle(f, cut, &call);
    status = status
                 ? status
                 : ikati_fft_scratch(f->lowering, 1, f->num_positions, call.num_columns, &call.to);
    call.to = across(call.to);
    call.results = IKATI_FFT_COMPLEX;
    status = status ? status : ikati_lower_fft(f->lowering, &call);
    for (uint32_t n = 0, i = 0; n < f->num_positions && !status; n += cut->rows, i++) {
        status = store_rows(f, &call, n, least(cut->rows, f->num_positions - n), &cut->targets[i]);
    }
    return status;
}

// What of a batch entry can be bound at once.
static ikat_status choose_parts(const fnet_lowering *f, cut_entry *cut) {
    const ikati_fft_call channels = channels_call(f, 0, 1, 0, 1);
    const uint64_t plane = ikati_fft_plane(&channels), spectrum = ikati_fft_row(f->num_channels);
    uint64_t pair = plane > spectrum ? plane : spectrum;
    pair = pair > f->x_row ? pair : f->x_row;
    const uint64_t row = f->out_row > f->num_channels ? f->out_row : f->num_channels;
    const uint64_t columns = f->limit / f->positions.size;
    cut->pairs = least(f->limit / pair, num_pairs(f));
    cut->rows = least(f->limit / row, f->num_positions);
    // Fewer than a vector are padded to one, but a single one.
    cut->columns = columns < ikati_fft_row(2)
                       ? columns > 0
                       : least(columns - columns % ikati_fft_row(2), num_columns(f));
    const bool fits = f->channels.num_floats <= f->limit && f->positions.num_floats <= f->limit;
    if (fits && cut->pairs && cut->rows && cut->columns) {
        return IKAT_OK;
    }
    return ikati_fail(f->lowering->host, IKAT_UNSUPPORTED, IKAT_MESSAGE_DEVICE,
                      "x has N = %" PRIu32 ", C = %" PRIu32
                      ", expected rows and columns of which %s binds one at once",
                      f->num_positions, f->num_channels, ikati_lowering_device(f->lowering)->id);
}

static ikat_status lower_cut(const fnet_lowering *f, uint32_t batch) {
    cut_entry cut = {.batch = batch};
    ikat_status status = choose_parts(f, &cut);
    if (status) {
        return status;
    }
    const uint32_t blocks = (uint32_t)ikati_divide_up(f->num_positions, cut.rows);
    cut.targets = ikati_alloc(f->lowering->host, blocks, sizeof(*cut.targets));
    status = cut.targets ? transform_pairs(f, &cut) : IKAT_NO_MEMORY;
    for (uint32_t i = 0; i < blocks && !status; i++) {
        const uint32_t first = i * cut.rows, num = least(cut.rows, f->num_positions - first);
        const ikati_operand out = operand_of_out(f, batch, 1, first, num);
        status = make_target(f, &out, 1, num, &cut.targets[i]);
    }
    for (uint32_t c = 0; c < num_columns(f) && !status; c += cut.columns) {
        status = transform_columns(f, &cut, c);
    }
    for (uint32_t i = 0; i < blocks && !status; i++) {
        const uint32_t first = i * cut.rows, num = least(cut.rows, f->num_positions - first);
        const ikati_operand out = operand_of_out(f, batch, 1, first, num);
        status = finish(f, &out, 1, num, &cut.targets[i]);
    }
    ikati_free(f->lowering->host, cut.targets);
    return status;
}

// Elements of the largest binding of so many batch entries.
static uint64_t reach_of(const fnet_lowering *f, uint64_t num) {
    const ikati_fft_call channels = channels_call(f, 0, 1, 0, num_pairs(f));
    const ikati_fft_call positions = positions_call(f, &channels.from, 1);
    const uint64_t rows = f->num_positions - 1;
    const uint64_t reaches[] = {
        num * ikati_fft_plane(&channels),
        num * ikati_fft_plane(&positions),
        num * f->num_positions * f->num_channels,
        f->channels.num_floats,
        f->positions.num_floats,
        (num - 1) * f->x_batch + rows * f->x_row + f->num_channels,
        (num - 1) * f->out_batch + rows * f->out_row + f->num_channels,
    };
    uint64_t most = 0;
    for (uint32_t i = 0; i < IKATI_COUNT(reaches); i++) {
        most = reaches[i] > most ? reaches[i] : most;
    }
    return most;
}

static ikat_status lower_all(fnet_lowering *f) {
    f->limit = ikati_lowering_binding_bytes(f->lowering) / sizeof(float);
    uint32_t block = f->num_batches;
    while (block > 1 && reach_of(f, block) > f->limit) {
        block = (block + 1) / 2;
    }
    const bool cuts = reach_of(f, block) > f->limit;
    ikat_status status = IKAT_OK;
    for (uint32_t b = 0; b < f->num_batches && !status; b += block) {
        status = cuts ? lower_cut(f, b) : lower_entries(f, b, least(block, f->num_batches - b));
    }
    return status;
}

static ikat_status make_table(ikati_lowering *lowering, const ikati_fft *fft, uint32_t *out) {
    *out = ikati_lowering_table(lowering, fft->table, fft->num_floats * sizeof(*fft->table));
    return *out == UINT32_MAX ? IKAT_NO_MEMORY : IKAT_OK;
}

static void read_request(fnet_lowering *f, const ikati_request *request) {
    f->x = ikati_input_view(request, "x");
    f->out = ikati_output_view(request, 0);
    f->num_batches = (uint32_t)ikati_extent(request, "B");
    f->num_positions = (uint32_t)ikati_extent(request, "N");
    f->num_channels = (uint32_t)ikati_extent(request, "C");
    f->scale = ikati_fnet_scale(request);
    f->x_batch = stride_of(&f->x, 0);
    f->x_row = stride_of(&f->x, 1);
    f->out_batch = stride_of(&f->out, 0);
    f->out_row = stride_of(&f->out, 1);
    if (f->num_channels == 1 && f->x_row == 1 && f->out_row == 1) { // the same the other way round
        f->num_channels = f->num_positions;
        f->num_positions = 1;
        f->x_row = f->out_row = 0;
    }
}

ikat_status ikati_fnet_lower(const ikati_request *request, ikati_lowering *lowering) {
    fnet_lowering f = {.lowering = lowering};
    read_request(&f, request);
    if (!f.num_batches || f.out.kind == IKATI_SLOT_NONE) {
        return IKAT_OK;
    }
    ikat_status status = ikati_fft_create(lowering->host, f.num_channels, &f.channels);
    if (status) {
        return status;
    }
    status = ikati_fft_create(lowering->host, f.num_positions, &f.positions);
    if (!status) {
        status = make_table(lowering, &f.channels, &f.channels_table);
        status = status ? status : make_table(lowering, &f.positions, &f.positions_table);
        status = status ? status : lower_all(&f);
        ikati_fft_clear(&f.positions);
    }
    ikati_fft_clear(&f.channels);
    return status;
}
