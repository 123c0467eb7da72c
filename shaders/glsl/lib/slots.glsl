// Slots and positions, for kernels of linear attention: see params/feature.h. The kernel's parameters have `total`,
// `num_positions` and base_lengths; `lengths` is the binding.

// Valid positions of a batch entry, within bounds whatever the tensor holds.
uint count_valid(bool given, uint batch) {
    return given ? uint(clamp(lengths[p.base_lengths + batch], 0, int(p.num_positions))) : p.num_positions;
}

// The slot of position 0.
uint slot_of_first(uint valid) { return p.total != 0u ? p.total - valid : 0u; }
