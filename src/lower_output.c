// Outputs whose values are known when the plan is made.

#include "lowering.h"

#include "../shaders/params/copy.h"

#include <string.h>

typedef struct copy_params {
    COPY_PARAMS(IKATI_PARAM_FIELD)
} copy_params;

// An output and the table that it is a copy of. Axes of extent 1 lead, so that there are four.
typedef struct copying {
    ikati_lowering *lowering;
    uint32_t table, output;
    ikat_dtype dtype;
    uint64_t offset;
    uint64_t counts[4], strides[4];
} copying;

static void pad_axes(const ikat_tensor *tensor, copying *out) {
    for (uint32_t i = 0; i < 4; i++) {
        const bool real = i + tensor->rank >= 4;
        const uint32_t axis = i + tensor->rank - 4;
        out->counts[i] = real ? (uint64_t)tensor->shape[axis] : 1;
        out->strides[i] = real && out->counts[i] > 1 ? (uint64_t)tensor->strides[axis] : 0;
    }
}

// Elements from the first to the last of a block.
static uint64_t reach_of(const copying *self, const uint64_t counts[4]) {
    uint64_t reach = 1;
    for (uint32_t i = 0; i < 4; i++) {
        reach += (counts[i] - 1) * self->strides[i];
    }
    return reach;
}

// The largest block that is bound at once: what follows its cut axis is whole, so that the table's part
// of it is one range.
static void choose_block(const copying *self, uint64_t counts[4]) {
    const uint64_t most = ikati_lowering_binding_bytes(self->lowering) / sizeof(uint32_t);
    memcpy(counts, self->counts, sizeof(self->counts));
    for (uint32_t i = 0; i < 4; i++) {
        while (counts[i] > 1 && reach_of(self, counts) > most) {
            counts[i] = (counts[i] + 1) / 2;
        }
    }
}

static ikat_status add_copy(const copying *self, const uint64_t first[4],
                            const uint64_t counts[4]) {
    ikati_step step = {0};
    const ikati_pick pick = {0};
    ikat_status status = ikati_pick_variant(self->lowering, IKATI_KERNEL_copy, &pick, &step);
    if (status) {
        return status;
    }
    uint64_t from = 0, to = self->offset, num_words = 1;
    for (uint32_t i = 0; i < 4; i++) {
        from = from * self->counts[i] + first[i];
        to += first[i] * self->strides[i];
        num_words *= counts[i];
    }
    const copy_params params = {
        .num_words = (uint32_t)num_words,
        .count1 = (uint32_t)counts[1],
        .count2 = (uint32_t)counts[2],
        .count3 = (uint32_t)counts[3],
        .stride0 = ikati_step_of(self->strides[0], (uint32_t)counts[0]),
        .stride1 = ikati_step_of(self->strides[1], (uint32_t)counts[1]),
        .stride2 = ikati_step_of(self->strides[2], (uint32_t)counts[2]),
    };
    step.operands[0] = (ikati_operand){IKATI_SLOT_TABLE, self->table, self->dtype, from, num_words};
    step.operands[1] =
        (ikati_operand){IKATI_SLOT_OUTPUT, self->output, self->dtype, to, reach_of(self, counts)};
    step.num_groups = ikati_divide_up(num_words, step.variant->tile_rows);
    step.flops = (double)num_words;
    memcpy(step.params, &params, sizeof(params));
    return ikati_lowering_step(self->lowering, &step, IKAT_FLOAT32, "");
}

// Blocks one after the other, as digits of a number count.
static ikat_status add_blocks(const copying *self) {
    uint64_t most[4], first[4] = {0};
    ikat_status status = IKAT_OK;
    choose_block(self, most);
    for (int axis = 0; axis >= 0 && !status;) {
        uint64_t counts[4];
        for (int i = 0; i < 4; i++) {
            const uint64_t left = self->counts[i] - first[i];
            counts[i] = left < most[i] ? left : most[i];
        }
        status = add_copy(self, first, counts);
        for (axis = 3; axis >= 0 && (first[axis] += most[axis]) >= self->counts[axis]; axis--) {
            first[axis] = 0;
        }
    }
    return status;
}

ikat_status ikati_lowering_write_output(ikati_lowering *lowering, const ikati_request *request,
                                        uint32_t index, const void *data) {
    const ikati_tensor_use *use = &request->outputs[index];
    copying self = {
        .lowering = lowering,
        .output = index,
        .dtype = use->tensor.dtype,
        .offset = (uint64_t)use->tensor.offset,
    };
    pad_axes(&use->tensor, &self);
    const uint64_t num_words = self.counts[0] * self.counts[1] * self.counts[2] * self.counts[3];
    if (!use->present || !num_words) {
        return IKAT_OK;
    }
    self.table = ikati_lowering_table(lowering, data, sizeof(uint32_t) * num_words);
    return self.table == UINT32_MAX ? IKAT_NO_MEMORY : add_blocks(&self);
}
