// Outputs whose values are known when the plan is made.

#include "lowering.h"

#include "../shaders/params/copy.h"

#include <string.h>

typedef struct copy_params {
    COPY_PARAMS(IKATI_PARAM_FIELD)
} copy_params;

// The tensor's axes, after axes of extent 1 that make them four.
static void pad_axes(const ikat_tensor *tensor, uint32_t counts[4], uint32_t strides[4]) {
    for (uint32_t i = 0; i < 4; i++) {
        bool real = i + tensor->rank >= 4;
        uint32_t axis = i + tensor->rank - 4;
        counts[i] = real ? (uint32_t)tensor->shape[axis] : 1;
        strides[i] = real && counts[i] > 1 ? (uint32_t)tensor->strides[axis] : 0;
    }
}

ikat_status ikati_lowering_write_output(ikati_lowering *lowering, const ikati_request *request,
                                        uint32_t index, const void *data) {
    const ikati_tensor_use *use = &request->outputs[index];
    const ikat_tensor *tensor = &use->tensor;
    uint32_t counts[4], strides[4];
    pad_axes(tensor, counts, strides);
    uint64_t num_words = (uint64_t)counts[0] * counts[1] * counts[2] * counts[3];
    if (!use->present || !num_words) {
        return IKAT_OK;
    }
    ikati_step step = {0};
    ikati_pick pick = {0};
    ikat_status status = ikati_pick_variant(lowering, IKATI_KERNEL_copy, &pick, &step);
    uint32_t table = status ? UINT32_MAX : ikati_lowering_table(lowering, data, 4 * num_words);
    if (table == UINT32_MAX) {
        return status ? status : IKAT_NO_MEMORY;
    }
    copy_params params = {
        .num_words = (uint32_t)num_words,
        .count1 = counts[1],
        .count2 = counts[2],
        .count3 = counts[3],
        .stride0 = strides[0],
        .stride1 = strides[1],
        .stride2 = strides[2],
    };
    uint64_t reach = 1 + (uint64_t)(counts[3] - 1);
    for (uint32_t i = 0; i < 3; i++) {
        reach += (uint64_t)(counts[i] - 1) * strides[i];
    }
    step.operands[0] = (ikati_operand){IKATI_SLOT_TABLE, table, tensor->dtype, 0, num_words};
    step.operands[1] =
        (ikati_operand){IKATI_SLOT_OUTPUT, index, tensor->dtype, (uint64_t)tensor->offset, reach};
    step.num_groups = ikati_divide_up(num_words, step.variant->tile_rows);
    step.flops = (double)num_words;
    memcpy(step.params, &params, sizeof(params));
    return ikati_lowering_step(lowering, &step, IKAT_FLOAT32, "");
}
