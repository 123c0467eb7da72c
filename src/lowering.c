#include "lowering.h"

#include "core.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

const ikat_device_info *ikati_lowering_device(const ikati_lowering *lowering) {
    return &lowering->device->info;
}

bool ikati_lowering_packs(const ikati_lowering *lowering, ikat_dtype dtype) {
    return ikat_dtype_size(dtype) < lowering->device->backend->store_bytes;
}

uint64_t ikati_lowering_busy_groups(const ikati_lowering *lowering) {
    const ikat_device_info *info = &lowering->device->info;
    uint64_t units = info->num_compute_units;
    if (info->type == IKAT_DEVICE_CPU) {
        return 8 * (units ? units : 4);
    }
    return 4 * (units ? units : 64);
}

// llvmpipe (lavapipe, rusticl) ends all loops of an invocation, silently, after 65535 rounds in total;
// so on devices of type CPU rounds are counted.
uint64_t ikati_lowering_max_keys(const ikati_lowering *lowering, const ikati_variant *variant,
                                 uint32_t size) {
    const uint64_t most_rounds = 60000;
    if (lowering->device->info.type != IKAT_DEVICE_CPU) {
        return UINT64_MAX;
    }
    uint64_t per_1024_keys = variant->rounds[0] + variant->rounds[1] * ikati_divide_up(size, 16);
    return most_rounds * 1024 / (per_1024_keys ? per_1024_keys : 1024);
}

enum {
    SLACK_BYTES = 1024,   // bindings start up to an alignment before their tensor
    MIN_TEXELS = 1 << 24, // below that a texel buffer is not worth cutting tensors for
};

static uint64_t indexed_bytes(uint64_t bytes) {
    const uint64_t most = bytes < UINT32_MAX ? bytes : UINT32_MAX;
    return most > SLACK_BYTES ? most - SLACK_BYTES : 0;
}

uint64_t ikati_lowering_binding_bytes(const ikati_lowering *lowering) {
    return indexed_bytes(lowering->device->info.limits.max_storage_range_bytes);
}

uint64_t ikati_lowering_texel_bytes(const ikati_lowering *lowering, uint64_t element_bytes) {
    return indexed_bytes(4 * element_bytes * lowering->device->info.limits.max_texel_elements);
}

bool ikati_lowering_takes_texels(const ikati_lowering *lowering) {
    return lowering->device->info.limits.max_texel_elements >= MIN_TEXELS;
}

uint32_t ikati_lowering_scratch(ikati_lowering *lowering, uint64_t size_bytes) {
    ikati_scratch *grown = ikati_resize(lowering->host, lowering->scratch,
                                        lowering->num_scratch + 1u, sizeof(*lowering->scratch));
    if (!grown) {
        return UINT32_MAX;
    }
    lowering->scratch = grown;
    lowering->scratch[lowering->num_scratch] = (ikati_scratch){.size_bytes = size_bytes};
    return lowering->num_scratch++;
}

uint32_t ikati_lowering_table(ikati_lowering *lowering, const void *data, uint64_t size_bytes) {
    ikati_table *grown = ikati_resize(lowering->host, lowering->tables, lowering->num_tables + 1u,
                                      sizeof(*lowering->tables));
    if (!grown) {
        return UINT32_MAX;
    }
    lowering->tables = grown;
    void *copy = ikati_alloc(lowering->host, 1, (size_t)size_bytes);
    if (!copy) {
        return UINT32_MAX;
    }
    memcpy(copy, data, (size_t)size_bytes);
    lowering->tables[lowering->num_tables] = (ikati_table){
        .data = copy, .size_bytes = size_bytes, .offset_bytes = lowering->tables_bytes};
    lowering->tables_bytes += ikati_round_up(size_bytes, 256);
    return lowering->num_tables++;
}

const char *ikati_lowering_text(ikati_lowering *lowering, const char *first, const char *second) {
    char **grown = ikati_resize(lowering->host, lowering->texts, lowering->num_texts + 1u,
                                sizeof(*lowering->texts));
    if (!grown) {
        return NULL;
    }
    lowering->texts = grown;
    const size_t length = strlen(first), size = length + strlen(second) + 1;
    char *text = ikati_alloc(lowering->host, size, 1);
    if (text) {
        memcpy(text, first, length);
        memcpy(text + length, second, size - length);
        lowering->texts[lowering->num_texts++] = text;
    }
    return text;
}

static void use_scratch(ikati_lowering *lowering, const ikati_operand *operand, uint32_t step) {
    if (operand->kind != IKATI_SLOT_SCRATCH) {
        return;
    }
    ikati_scratch *range = &lowering->scratch[operand->index];
    assert((operand->offset + operand->count) * ikat_dtype_size(operand->dtype) <=
           range->size_bytes);
    if (!range->used) {
        range->first_step = step;
    }
    range->used = true;
    range->last_step = step;
}

static const char *type_letter(ikat_dtype dtype) { return dtype == IKAT_FLOAT16 ? "f16" : "f32"; }

ikat_status ikati_lowering_step(ikati_lowering *lowering, const ikati_step *step, ikat_dtype dtype,
                                const char *options) {
    if (lowering->num_steps == lowering->max_steps) {
        uint32_t wanted = lowering->max_steps ? lowering->max_steps * 2 : 4;
        ikati_step *grown = ikati_resize(lowering->host, lowering->steps, wanted, sizeof(*grown));
        if (!grown) {
            return IKAT_NO_MEMORY;
        }
        lowering->steps = grown;
        lowering->max_steps = wanted;
    }
    ikati_step *added = &lowering->steps[lowering->num_steps];
    *added = *step;
    snprintf(added->name, sizeof(added->name), "%s.%s.%s%s", step->kernel->name, type_letter(dtype),
             step->variant->name, options);
    for (uint32_t i = 0; i < step->kernel->num_bindings; i++) {
        use_scratch(lowering, &added->operands[i], lowering->num_steps);
    }
    lowering->num_steps++;
    return IKAT_OK;
}

void ikati_lowering_clear(ikati_lowering *lowering) {
    for (uint32_t i = 0; i < lowering->num_tables; i++) {
        ikati_free(lowering->host, lowering->tables[i].data);
    }
    for (uint32_t i = 0; i < lowering->num_texts; i++) {
        ikati_free(lowering->host, lowering->texts[i]);
    }
    ikati_free(lowering->host, lowering->texts);
    ikati_free(lowering->host, lowering->tables);
    ikati_free(lowering->host, lowering->scratch);
    ikati_free(lowering->host, lowering->steps);
    *lowering = (ikati_lowering){.host = lowering->host,
                                 .device = lowering->device,
                                 .forced_variant = lowering->forced_variant};
}
