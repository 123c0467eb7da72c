// Kernel `merge`: joins partial attention results over disjoint key sets:
//   lse = log sum_p exp(lse_p),  out = sum_p exp(lse_p - lse) out_p.
// A row whose parts all have lse -inf gives out 0 and lse -inf. NaN in any part makes the row NaN.
// Parts are float32 workspace. One workgroup invocation owns one (row, two neighbouring columns).
#define MERGE_BINDINGS(X) X(parts, READ) X(part_lse, READ) X(out, WRITE) X(lse, WRITE) X(schedule, READ)

//   a part is [batch, head, query, value_size], packed; part p starts at p * part_size (p *
//   part_lse_size for part_lse)
//   class_at, class_batch   with MERGE_ROWS: classes of `schedule`, as in params/attend.h; class c
//                           has the positions of its rows at rows_at + c * num_queries, or
//                           MERGE_NO_ROW
//   out_shift               results of the query at position i go to position i + out_shift
#define MERGE_PARAMS(X)                                                                                               \
    X(uint, base_parts) X(uint, base_part_lse) X(uint, base_out) X(uint, base_lse) X(uint, base_schedule)             \
    X(uint, num_parts) X(uint, part_size) X(uint, part_lse_size)                                                      \
    X(uint, num_batches) X(uint, num_heads) X(uint, num_queries) X(uint, value_size)                                  \
    X(uint, out_batch) X(uint, out_head) X(uint, out_row)                                                             \
    X(uint, lse_batch) X(uint, lse_head) X(uint, lse_row)                                                             \
    X(uint, class_at) X(uint, class_batch) X(uint, rows_at) X(int, out_shift)

#define MERGE_SPECIALISATION(X) X(0, OPTIONS)

#define MERGE_HALF 1u // out is float16: value_size, strides and base_out are even, so an invocation owns whole words
#define MERGE_LSE 2u  // write lse
#define MERGE_ROWS 4u // rows go where `schedule` says

#define MERGE_NO_ROW 0xffffffffu
