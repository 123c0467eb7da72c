// Places scratch ranges in one workspace, first fit in order of size: plans have few ranges, so the
// quadratic search costs nothing and large ranges meet no gaps left by small ones.

#include "lowering.h"

// Of every binding's start in the workspace; a multiple of all devices' storage alignments.
enum { PLACE_ALIGNMENT = 256 };

static bool alive_together(const ikati_scratch *a, const ikati_scratch *b) {
    return a->first_step <= b->last_step && b->first_step <= a->last_step;
}

// The lowest offset at which `range` overlaps none of the placed ranges that live at the same time.
static uint64_t lowest_offset(const ikati_lowering *lowering, const ikati_scratch *range,
                              const bool *placed) {
    uint64_t offset = 0;
    bool moved = true;
    while (moved) {
        moved = false;
        for (uint32_t i = 0; i < lowering->num_scratch; i++) {
            const ikati_scratch *other = &lowering->scratch[i];
            if (placed[i] && alive_together(range, other) &&
                offset < other->offset_bytes + other->size_bytes &&
                other->offset_bytes < offset + range->size_bytes) {
                offset = ikati_round_up(other->offset_bytes + other->size_bytes, PLACE_ALIGNMENT);
                moved = true;
            }
        }
    }
    return offset;
}

ikat_status ikati_workspace_place(ikati_lowering *lowering) {
    bool *placed = ikati_alloc(lowering->host, lowering->num_scratch, sizeof(*placed));
    if (!placed) {
        return IKAT_NO_MEMORY;
    }
    lowering->workspace_bytes = 0;
    for (uint32_t turn = 0; turn < lowering->num_scratch; turn++) {
        uint32_t largest = UINT32_MAX;
        for (uint32_t i = 0; i < lowering->num_scratch; i++) {
            if (!placed[i] &&
                (largest == UINT32_MAX ||
                 lowering->scratch[i].size_bytes > lowering->scratch[largest].size_bytes)) {
                largest = i;
            }
        }
        ikati_scratch *range = &lowering->scratch[largest];
        if (range->used) {
            range->offset_bytes = lowest_offset(lowering, range, placed);
            uint64_t end = ikati_round_up(range->offset_bytes + range->size_bytes, PLACE_ALIGNMENT);
            if (end > lowering->workspace_bytes) {
                lowering->workspace_bytes = end;
            }
        }
        placed[largest] = true;
    }
    ikati_free(lowering->host, placed);
    return IKAT_OK;
}
