// Cuts steps into launches, and groups launches into slices below the work budget.

#include "core.h"

#include <string.h>

// Host memory that grows while launches are added.
typedef struct cutter {
    const ikati_lowering *lowering;
    double budget;
    double filled; // flops in the open slice
    ikati_launch *launches;
    uint32_t num_launches, max_launches;
    uint32_t *starts;
    uint32_t num_slices, max_slices;
} cutter;

static bool grow(const ikati_host *host, void **array, uint32_t count, uint32_t *max, size_t size) {
    if (count < *max) {
        return true;
    }
    uint32_t wanted = *max ? *max * 2 : 8;
    void *grown = ikati_resize(host, *array, wanted, size);
    if (!grown) {
        return false;
    }
    *array = grown;
    *max = wanted;
    return true;
}

static bool open_slice(cutter *c) {
    void *array = c->starts;
    // One more than there are slices: the last entry closes the last slice.
    bool good =
        grow(c->lowering->host, &array, c->num_slices + 1, &c->max_slices, sizeof(*c->starts));
    c->starts = array;
    if (good) {
        if (c->num_launches) {
            c->launches[c->num_launches - 1].ends_slice = true;
        }
        c->starts[c->num_slices++] = c->num_launches;
        c->filled = 0;
    }
    return good;
}

static bool add_launch(cutter *c, const ikati_launch *launch, double flops) {
    if ((c->num_slices == 0 || (c->filled > 0 && c->filled + flops > c->budget)) &&
        !open_slice(c)) {
        return false;
    }
    void *array = c->launches;
    bool good =
        grow(c->lowering->host, &array, c->num_launches, &c->max_launches, sizeof(*c->launches));
    c->launches = array;
    if (good) {
        c->launches[c->num_launches++] = *launch;
        c->filled += flops;
    }
    return good;
}

// Whether two operands may touch the same 32-bit word.
static bool may_touch(const ikati_operand *a, const ikati_operand *b) {
    if (a->kind == IKATI_SLOT_NONE || a->kind != b->kind || a->index != b->index || !a->count ||
        !b->count) {
        return false;
    }
    uint64_t size_a = ikat_dtype_size(a->dtype), size_b = ikat_dtype_size(b->dtype);
    uint64_t first_a = a->offset * size_a / 4,
             end_a = ikati_divide_up((a->offset + a->count) * size_a, 4);
    uint64_t first_b = b->offset * size_b / 4,
             end_b = ikati_divide_up((b->offset + b->count) * size_b, 4);
    return first_a < end_b && first_b < end_a;
}

// Scratch ranges that share workspace in turn conflict too: whoever comes second overwrites.
static bool share_workspace(const ikati_lowering *lowering, const ikati_operand *a,
                            const ikati_operand *b) {
    if (a->kind != IKATI_SLOT_SCRATCH || b->kind != IKATI_SLOT_SCRATCH || a->index == b->index) {
        return false;
    }
    const ikati_scratch *x = &lowering->scratch[a->index], *y = &lowering->scratch[b->index];
    return x->offset_bytes < y->offset_bytes + y->size_bytes &&
           y->offset_bytes < x->offset_bytes + x->size_bytes;
}

static bool conflict(const ikati_lowering *lowering, const ikati_step *earlier,
                     const ikati_step *later) {
    for (uint32_t i = 0; i < earlier->kernel->num_bindings; i++) {
        for (uint32_t j = 0; j < later->kernel->num_bindings; j++) {
            bool writes = ((earlier->kernel->binding_access[i] | later->kernel->binding_access[j]) &
                           IKATI_WRITE) != 0;
            if (writes && (may_touch(&earlier->operands[i], &later->operands[j]) ||
                           share_workspace(lowering, &earlier->operands[i], &later->operands[j]))) {
                return true;
            }
        }
    }
    return false;
}

// Whether step `index` must wait for one of the steps from `first` on.
static bool must_wait(const ikati_lowering *lowering, uint32_t first, uint32_t index) {
    for (uint32_t i = first; i < index; i++) {
        if (conflict(lowering, &lowering->steps[i], &lowering->steps[index])) {
            return true;
        }
    }
    return false;
}

static bool cut_step(cutter *c, uint32_t index, bool barrier) {
    const ikati_step *step = &c->lowering->steps[index];
    double flops_per_group = step->num_groups ? step->flops / (double)step->num_groups : 0;
    uint64_t most = c->lowering->device->info.limits.max_groups;
    if (flops_per_group > 0 && (double)most * flops_per_group > c->budget) {
        most = (uint64_t)(c->budget / flops_per_group);
        most = most ? most : 1;
    }
    for (uint64_t group = 0; group < step->num_groups; group += most) {
        uint64_t left = step->num_groups - group;
        ikati_launch launch = {
            .dispatch = index,
            .first_group = (uint32_t)group,
            .num_groups = (uint32_t)(left < most ? left : most),
            .barrier = barrier && group == 0,
        };
        if (!add_launch(c, &launch, launch.num_groups * flops_per_group)) {
            return false;
        }
    }
    return true;
}

ikat_status ikati_slices_cut(const ikati_lowering *lowering, double slice_flops,
                             ikati_launch **out_launches, uint32_t *out_num_launches,
                             uint32_t **out_slice_starts, uint32_t *out_num_slices) {
    cutter c = {.lowering = lowering, .budget = slice_flops};
    bool good = true;
    uint32_t first_unordered = 0; // steps from here on have no barrier between them
    for (uint32_t i = 0; i < lowering->num_steps && good; i++) {
        bool barrier = must_wait(lowering, first_unordered, i);
        if (barrier) {
            first_unordered = i;
        }
        good = cut_step(&c, i, barrier);
    }
    good = good && (c.num_slices || open_slice(&c)) && open_slice(&c);
    if (!good) {
        ikati_free(lowering->host, c.launches);
        ikati_free(lowering->host, c.starts);
        return IKAT_NO_MEMORY;
    }
    *out_launches = c.launches;
    *out_num_launches = c.num_launches;
    *out_slice_starts = c.starts;
    *out_num_slices = c.num_slices - 1;
    return IKAT_OK;
}
