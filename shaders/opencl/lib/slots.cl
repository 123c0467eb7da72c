// Slots and positions, for kernels of linear attention: see params/feature.h. The kernel's parameters have `total`,
// `num_positions` and base_lengths.

// Valid positions of a batch entry, within bounds whatever the tensor holds.
static inline uint count_valid(const Params *p, __global const int *lengths, bool given, uint batch) {
    return given ? (uint)clamp(lengths[p->base_lengths + batch], 0, (int)p->num_positions) : p->num_positions;
}

// The slot of position 0.
static inline uint slot_of_first(const Params *p, uint valid) { return p->total ? p->total - valid : 0u; }
