// Lowers FNet's mixing to transforms along the channels and then along the positions.
//
// x is real, and so is what is kept. Two rows, n and n + N/2, are the real and the imaginary part of one
// transform along the channels; what is of which row is told apart by the first pass along the
// positions. Columns c and C - c of a real row's spectrum are conjugate: half of them are transformed along
// the positions, and each result is written to both places that it belongs to.

#include "fnet.h"

#include "../lower_attend.h"
#include "../lower_fft.h"

#include <string.h>

typedef struct fnet_lowering {
    ikati_lowering *lowering;
    ikati_view x, out;
    uint32_t num_batches, num_positions, num_channels;
    uint64_t x_batch, x_row, out_batch, out_row;
    double scale;
    ikati_fft positions, channels;
    uint32_t positions_table, channels_table;
} fnet_lowering;

static uint64_t stride_of(const ikati_view *view, int axis) {
    return view->tensor->shape[axis] > 1 ? (uint64_t)view->tensor->strides[axis] : 0;
}

static uint32_t num_pairs(const fnet_lowering *f) { return (f->num_positions + 1) / 2; }
static uint32_t num_columns(const fnet_lowering *f) { return f->num_channels / 2 + 1; }

static ikati_fft_call channels_call(const fnet_lowering *f, uint32_t first, uint32_t num) {
    const uint64_t re = (uint64_t)f->x.tensor->offset + first * f->x_batch;
    return (ikati_fft_call){
        .fft = &f->channels,
        .table = f->channels_table,
        .from = {f->x.kind, f->x.index, f->x.tensor->dtype, re, re + num_pairs(f) * f->x_row,
                 f->x_batch, f->x_row, 1},
        .num_batches = num,
        .num_rows = num_pairs(f),
        .num_columns = 1,
        .along = true,
        .num_imaginary = f->num_positions - num_pairs(f),
        .num_channels = f->num_channels,
    };
}

static ikati_fft_call positions_call(const fnet_lowering *f, const ikati_fft_planes *from,
                                     uint32_t num) {
    ikati_fft_call call = {
        .fft = &f->positions,
        .table = f->positions_table,
        .from = *from,
        .num_batches = num,
        .num_rows = 1,
        .num_columns = num_columns(f),
        .num_imaginary = 1,
        .half_rows = num_pairs(f),
        .num_channels = f->num_channels,
        .is_real = true,
        .scale = 0.5 * f->scale, // of the first pass, which takes twice the spectrum
    };
    call.from.axis = call.from.row;
    call.from.row = 0;
    return call;
}

// Batch entries `first` on. Halves that share words are packed from float32.
static ikat_status lower_block(fnet_lowering *f, uint32_t first, uint32_t num) {
    ikati_lowering *lowering = f->lowering;
    ikati_fft_call channels = channels_call(f, first, num);
    ikat_status status =
        ikati_fft_scratch(lowering, num, num_pairs(f), f->num_channels, &channels.to);
    status = status ? status : ikati_lower_fft(lowering, &channels);
    ikati_fft_call positions = positions_call(f, &channels.to, num);
    const ikati_operand to = {f->out.kind, f->out.index, f->out.tensor->dtype,
                              (uint64_t)f->out.tensor->offset + first * f->out_batch,
                              (num - 1) * f->out_batch + (f->num_positions - 1) * f->out_row +
                                  f->num_channels};
    positions.to =
        (ikati_fft_planes){to.kind, to.index, to.dtype, to.offset, 0, f->out_batch, 0, f->out_row};
    if (status || !ikati_lowering_packs(lowering, to.dtype)) {
        return status ? status : ikati_lower_fft(lowering, &positions);
    }
    const uint64_t row = f->num_channels, batch = row * f->num_positions;
    const uint32_t scratch = ikati_lowering_scratch(lowering, num * batch * sizeof(float));
    positions.to =
        (ikati_fft_planes){IKATI_SLOT_SCRATCH, scratch, IKAT_FLOAT32, 0, 0, batch, 0, row};
    status = scratch == UINT32_MAX ? IKAT_NO_MEMORY : ikati_lower_fft(lowering, &positions);
    const uint32_t counts[3] = {num, 1, f->num_positions};
    const uint32_t strides[3] = {num > 1 ? (uint32_t)f->out_batch : 0, 0, (uint32_t)f->out_row};
    return status ? status
                  : ikati_lowering_pack(lowering, scratch, &to, counts, f->num_channels, strides);
}

// Elements of the largest binding of so many batch entries.
static uint64_t reach_of(const fnet_lowering *f, uint32_t num) {
    const ikati_fft_call channels = channels_call(f, 0, num);
    const ikati_fft_call positions = positions_call(f, &channels.from, num);
    const uint64_t rows = f->num_positions - 1;
    const uint64_t reaches[] = {
        num * ikati_fft_plane(&channels),
        num * ikati_fft_plane(&positions),
        (num - 1) * f->x_batch + rows * f->x_row + f->num_channels,
        (num - 1) * f->out_batch + rows * f->out_row + f->num_channels,
        f->channels.num_floats,
        f->positions.num_floats,
    };
    uint64_t most = 0;
    for (uint32_t i = 0; i < IKATI_COUNT(reaches); i++) {
        most = reaches[i] > most ? reaches[i] : most;
    }
    return most;
}

static ikat_status lower_blocks(fnet_lowering *f) {
    const uint64_t most = UINT32_MAX, slack = 1024;
    const uint64_t range = ikati_lowering_device(f->lowering)->limits.max_storage_range_bytes;
    const uint64_t limit = ((range < most ? range : most) - slack) / sizeof(float);
    uint32_t block = f->num_batches;
    while (block > 1 && reach_of(f, block) > limit) {
        block = (block + 1) / 2;
    }
    ikat_status status = IKAT_OK;
    for (uint32_t b = 0; b < f->num_batches && !status; b += block) {
        const uint32_t left = f->num_batches - b;
        status = lower_block(f, b, left < block ? left : block);
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
    }
}

ikat_status ikati_fnet_lower(const ikati_request *request, ikati_lowering *lowering) {
    fnet_lowering f = {.lowering = lowering};
    read_request(&f, request);
    if (!f.num_batches) {
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
        status = status ? status : lower_blocks(&f);
        ikati_fft_clear(&f.positions);
    }
    ikati_fft_clear(&f.channels);
    return status;
}
