// Kernel `edges`: what kernel `attend` reads of labelled pairs (OPTION_EDGES), one int32 a pair: its label,
// or -1 where the pair is hidden. Joins given labels or labels by position, a mask, and segments. One
// invocation a pair; no shared memory.
#define EDGES_BINDINGS(X) X(labels, READ) X(mask, READ) X(segments, READ) X(edges, WRITE)

//   num_rows, num_columns   of this step; the first row is row_begin of all. Column c is key c, or with
//                           is_local key row - radius + c, which may not exist
//   labels_*, mask_*, segments_batch   strides in elements, innermost stride 1; edges are packed
//   label_reach, label_between, segment_of_key   as in params/attend.h
#define EDGES_PARAMS(X)                                                                                               \
    X(uint, base_labels) X(uint, base_mask) X(uint, base_segments) X(uint, base_edges)                                \
    X(uint, num_batches) X(uint, num_rows) X(uint, num_columns) X(uint, row_begin)                                    \
    X(uint, labels_batch) X(uint, labels_row) X(uint, mask_batch) X(uint, mask_row) X(uint, segments_batch)           \
    X(uint, is_local) X(uint, radius) X(uint, label_reach) X(uint, label_between) X(uint, segment_of_key)

#define EDGES_SPECIALISATION(X) X(0, OPTIONS)

#define EDGES_LABELS 1u   // labels are given, else they go by position
#define EDGES_MASK 2u     // pairs with mask 0 are hidden
#define EDGES_SEGMENTS 4u // what belongs together; not with is_local
#define EDGES_HARD 8u     // all other pairs are hidden
