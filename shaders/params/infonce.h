// Kernel `infonce`: how anchors' scores exceed that of their own target. With z_st = anchor_s . target_t,
// for anchor s and a range of targets
//   top_s = max(0, max_t scale (z_st - z_ss)),  sum_s = sum_t 2^(scale (z_st - z_ss) - top_s)
// over t != s that are valid: what kernel `losses` joins over ranges. NaN where a difference is NaN or z_ss
// not finite. Without its own term, which is 1, a sum near 0 keeps all its digits.
//
// A second use of the same program, `own` = 1, computes z_ss alone, in the sums' own order: a target equal to
// the anchor's own is then exactly 0 away.
#define INFONCE_BINDINGS(X) X(anchors, READ) X(targets, READ) X(valid, READ) X(own_scores, READ) X(parts, WRITE)

//   anchors, targets   float32, or float16 by the options; strides in elements, innermost stride 1. With `own`
//                      the targets are the anchors' own, row by row
//   valid              one a target; rows with 0 are not counted, whatever they hold
//   own_scores         z_ss, one an anchor; not read with `own`
//   parts              [split][total_anchors][2] from the step's first anchor on: top, sum. With `own` z_ss, one an
//                      anchor
//   size               C
//   own_shift          an anchor's own target is target (anchor + own_shift) of the step, if there
//   targets_per_split  a multiple of every variant's tile_keys; a workgroup walks those of one split
//   scale              log2(e) / temperature
#define INFONCE_PARAMS(X)                                                                                             \
    X(uint, base_anchors) X(uint, base_targets) X(uint, base_valid) X(uint, base_own_scores) X(uint, base_parts)      \
    X(uint, num_anchors) X(uint, num_targets) X(uint, size) X(uint, anchor_row) X(uint, target_row)                   \
    X(int, own_shift) X(uint, own) X(uint, num_splits) X(uint, targets_per_split) X(uint, total_anchors)              \
    X(float, scale)

#define INFONCE_SPECIALISATION(X) X(0, OPTIONS)

#define INFONCE_HALF_ANCHORS 1u
#define INFONCE_HALF_TARGETS 2u
#define INFONCE_VALID 4u // read valid; else all are
