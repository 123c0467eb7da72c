// Halves that share 32-bit words with their neighbours: kernel `pack` writes them from float32.

#include "lowering.h"

#include "../shaders/params/pack.h"

#include <string.h>

typedef struct pack_params {
    PACK_PARAMS(IKATI_PARAM_FIELD)
} pack_params;

// Axes from the largest stride to the smallest, 2 bits each.
static uint32_t order_of(const uint32_t stride[3], const uint32_t count[3]) {
    uint32_t axes[3] = {0, 1, 2};
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < 2; i++) {
            uint64_t here = count[axes[i]] > 1 ? stride[axes[i]] : UINT64_MAX;
            uint64_t next = count[axes[i + 1]] > 1 ? stride[axes[i + 1]] : UINT64_MAX;
            if (next > here) {
                uint32_t swapped = axes[i];
                axes[i] = axes[i + 1];
                axes[i + 1] = swapped;
            }
        }
    }
    return axes[0] | axes[1] << 2 | axes[2] << 4;
}

ikat_status ikati_lowering_stage(ikati_lowering *lowering, const uint32_t counts[3],
                                 uint32_t columns, ikati_row_target *out_staged) {
    const uint32_t head = counts[2] * columns;
    const uint64_t count = (uint64_t)counts[0] * counts[1] * head;
    const uint32_t scratch = ikati_lowering_scratch(lowering, count * sizeof(float));
    *out_staged = (ikati_row_target){{IKATI_SLOT_SCRATCH, scratch, IKAT_FLOAT32, 0, count},
                                     {counts[1] * head, head, columns}};
    return scratch == UINT32_MAX ? IKAT_NO_MEMORY : IKAT_OK;
}

ikat_status ikati_lowering_pack(ikati_lowering *lowering, const ikati_row_target *staged,
                                const ikati_row_target *to, const uint32_t counts[3],
                                uint32_t columns) {
    ikati_step step = {0};
    ikati_pick pick = {.offers = IKATI_NEED_HALF};
    ikat_status status = ikati_pick_variant(lowering, IKATI_KERNEL_pack, &pick, &step);
    if (status) {
        return status;
    }
    step.operands[0] = staged->operand;
    step.operands[1] = to->operand;
    pack_params params = {
        .num_words = (uint32_t)(to->operand.count / 2 + 1), // wherever in its word the view starts
        .order = order_of(to->strides, counts),
        .num_batches = counts[0],
        .num_heads = counts[1],
        .num_queries = counts[2],
        .num_columns = columns,
        .to_batch = to->strides[0],
        .to_head = to->strides[1],
        .to_row = to->strides[2],
    };
    step.num_groups = ikati_divide_up(params.num_words, step.variant->tile_rows);
    memcpy(step.params, &params, sizeof(params));
    return ikati_lowering_step(lowering, &step, IKAT_FLOAT16, "");
}
