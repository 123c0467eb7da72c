// Kernel `attend`: softmax attention of one tile of query rows over a range of keys, with an online
// softmax. Read by C (src/), GLSL (shaders/glsl/) and OpenCL C (shaders/opencl/) alike: macros
// only.
//
// Bindings, in order: X(name, access). All are element addressed; `base_NAME` is the element offset
// inside the binding, filled when buffers are bound (bindings start at an aligned address below the
// tensor).
//   q k v out   float32 or float16 storage (OPTION_HALF), strides in elements, innermost stride 1
//   bias        float32 or float16 storage (OPTION_BIAS_HALF), innermost stride 1. Variants with
//               EXPRESSION defined take no bias: here are the words of their expressions, bound at
//               their beginning. With OPTION_LABELS: float32 scores of labels, one row a query row
//   heads       what kernel `heads` wrote: 4 words a (batch, head): valid keys, valid queries,
//               ALiBi slope (with OPTION_CLUSTERS: log2 weight of the last valid key, with OPTION_STEPS
//               valid positions), sink; with
//               OPTION_SEED seeds too
//   lse         float32, one value a row
//               Variants with TOPK defined read 2 words a row besides, from topk_at words behind the
//               first record on: what kernel `threshold` wrote. While they count (topk_counts), `out`
//               takes TOPK_BINS counts a row instead of results, added up over steps and workgroups
//   schedule    words of a sparse pattern's schedule (OPTION_SCHEDULE), below; or int32 words of pairs
//               (OPTION_EDGES) or positions (OPTION_SEGMENTS), strides in elements, innermost stride 1
#define ATTEND_BINDINGS(X)                                                                                            \
    X(q, READ) X(k, READ) X(v, READ) X(bias, READ) X(heads, READ) X(out, WRITE) X(lse, WRITE) X(schedule, READ)

// Parameters: X(type, name), 4-byte scalars. The first ones are the base offsets, in the order of
// the bindings.
//   num_heads        query heads of this step; heads_per_kv query heads share one key/value head
//   head_phase       number of the step's first head inside its key/value group (0 unless a group
//                    is cut)
//   num_queries      query rows bound in this step; the first is row query_begin of total_queries
//   num_keys         keys bound in this step; the first is key key_begin of total_keys
//   num_query_tiles  tiles along the rows; a group is (batch, head, tile, split), split running
//                    fastest
//   num_splits       parts into which the keys are cut; part s covers [s * keys_per_split, (s + 1)
//                    * keys_per_split) (keys_per_split is a multiple of every variant's key tile);
//                    results go to out + s * out_split
//   with_sink        1 if split 0 of this step takes the sink into its normaliser
//   head_records     stride of `heads` along the batch, in records
//   window_left, window_right   -1: open; read only with OPTION_WINDOW (causal arrives as
//                               window_right = 0)
//                               window_right = 0). With OPTION_STEPS edges are steps, see there: no value
//                               is open, and window_right may be negative
//   unroll_guard     always 0: a zero that the compiler cannot see
//   total_positions, row_step, key_step, front_keys, front_from, right_follows   of OPTION_STEPS
//   class_at, tiles_at, entries_at, positions_at, masks_at   parts of `schedule`, in words
//   class_batch      stride of classes along the batch, in words
//   out_shift        results of the query at position i go to position i + out_shift
//   batch_begin, head_begin   the step's first batch entry and head of the call
//   mask_at, score_at         programs in the words of expressions (lib/expression_run.h), and their
//   mask_words, score_words   lengths; 0: none
//   seed_at, seed_lse_at      where seeds lie in `heads`, in words from base_heads on: out of a (batch,
//                             head, position) of the step, packed, and lse likewise
//   num_labels       scores of labels a row (bias_batch, bias_head, bias_row apart); labels that devices
//                    cannot validate are clamped to them
//   label_reach      K: without OPTION_EDGES the label of key j for row i is min(j - i, K), or where
//                    j < i, K + min(i - j, K);
//   label_between    1: it is 2K + 1, or with OPTION_SEGMENTS 2K + 2 where the two belong together
//   segment_of_key   1: `schedule` has the row that a key belongs to; 0: the key that a row does
//   edge_batch, edge_row, edge_columns   strides of edges (edge_batch: of segments too), and columns
//                    that are bound; the column of a pair is j + edge_shift, less i with edge_local = 1
//   rows_packed      1: they go to row (tile * tile rows + row of the tile) instead
//   topk_counts      1: scores are counted, by their bits from topk_shift to topk_above - 1, where the
//                    bits above agree with the row's threshold; 0: scores below it are dropped
//   topk_rows        rows a (batch, head) of what `threshold` wrote
#define ATTEND_PARAMS(X)                                                                                              \
    X(uint, base_q) X(uint, base_k) X(uint, base_v) X(uint, base_bias) X(uint, base_heads) X(uint, base_out)          \
    X(uint, base_lse) X(uint, base_schedule)                                                                          \
    X(uint, num_heads) X(uint, heads_per_kv) X(uint, head_phase)                                                      \
    X(uint, num_queries) X(uint, query_begin) X(uint, total_queries)                                                  \
    X(uint, num_keys) X(uint, key_begin) X(uint, total_keys)                                                          \
    X(uint, head_size) X(uint, value_size)                                                                            \
    X(uint, num_query_tiles) X(uint, num_splits) X(uint, keys_per_split)                                              \
    X(uint, q_batch) X(uint, q_head) X(uint, q_row)                                                                   \
    X(uint, k_batch) X(uint, k_head) X(uint, k_row)                                                                   \
    X(uint, v_batch) X(uint, v_head) X(uint, v_row)                                                                   \
    X(uint, bias_batch) X(uint, bias_head) X(uint, bias_row)                                                          \
    X(uint, out_split) X(uint, out_batch) X(uint, out_head) X(uint, out_row)                                          \
    X(uint, lse_split) X(uint, lse_batch) X(uint, lse_head) X(uint, lse_row)                                          \
    X(uint, head_records) X(uint, with_sink)                                                                          \
    X(float, scale) X(float, softcap)                                                                                 \
    X(int, window_left) X(int, window_right)                                                                          \
    X(uint, unroll_guard)                                                                                             \
    X(uint, class_at) X(uint, class_batch) X(uint, tiles_at) X(uint, entries_at) X(uint, positions_at)                \
    X(uint, masks_at) X(int, out_shift) X(uint, rows_packed)                                                          \
    X(uint, batch_begin) X(uint, head_begin)                                                                          \
    X(uint, mask_at) X(uint, mask_words) X(uint, score_at) X(uint, score_words)                                       \
    X(uint, num_labels) X(uint, label_reach) X(uint, label_between) X(uint, segment_of_key)                           \
    X(uint, edge_batch) X(uint, edge_row) X(uint, edge_columns) X(int, edge_shift) X(uint, edge_local)                \
    X(uint, topk_counts) X(uint, topk_shift) X(uint, topk_above) X(uint, topk_at) X(uint, topk_rows)  \
    X(uint, seed_at) X(uint, seed_lse_at)                                                                             \
    X(uint, total_positions) X(uint, row_step) X(uint, key_step) X(uint, front_keys) X(int, front_from)               \
    X(uint, right_follows)

// Specialisation constants: X(id, name), all uint.
#define ATTEND_SPECIALISATION(X) X(0, OPTIONS)

#define OPTION_HALF 1u       // q, k, v (and out, unless OPTION_OUT_FLOAT) are float16
#define OPTION_BIAS 2u       // `bias` is bound
#define OPTION_BIAS_HALF 4u  // and float16
#define OPTION_SOFTCAP 8u
#define OPTION_ALIBI 16u     // slope from `heads`
#define OPTION_SINK 32u      // sink from `heads`
#define OPTION_LENGTHS 64u   // valid keys and queries from `heads`
#define OPTION_WINDOW 128u   // window_left / window_right
#define OPTION_LSE 256u      // write lse
#define OPTION_OUT_FLOAT 512u // out is float32 whatever q is (partial results, and halves that need packing)
#define OPTION_SCHEDULE 1024u // rows and keys come from `schedule`
#define OPTION_CLUSTERS 2048u // rows and keys are clusters: the last valid key has a weight from `heads`, all others 1
#define OPTION_SCORE_EXPRESSION 4096u // scores go through an expression
#define OPTION_LABELS 8192u     // scores gain that of the pair's label. Not with a schedule, nor are the next three
#define OPTION_EDGES 16384u     // the label of each pair from `schedule`; below 0: the key is invisible
#define OPTION_SEGMENTS 32768u  // what belongs together from `schedule`
#define OPTION_HARD 65536u      // with segments: no key is visible but those that belong to the row
// With OPTION_WINDOW, not with a schedule: rows and keys lie at positions of their own, whose valid number
// (total_positions without OPTION_LENGTHS) is what the diagonal ends at. Row i's own position is p = i + diagonal, the
// start of its block s = p - p % row_step; key c, less front_keys, lies at e = c * key_step. It is visible where p >= 0
// and s - window_left <= e <= (right_follows ? p : s) + window_right, a front key where p >= front_from.
#define OPTION_STEPS 262144u
#define OPTION_OUT_HALF 524288u // q, k and v are float32, out is float16
#define OPTION_SEED 131072u // rows begin with their results over other keys, float32, and end with those over all

// Options by which a score has an addend of its pair's own, and those by which one may be -inf.
#define OPTIONS_ADDEND (OPTION_BIAS | OPTION_LABELS | OPTION_EDGES | OPTION_HARD)
#define OPTIONS_HIDING (OPTION_BIAS | OPTION_EDGES | OPTION_HARD | OPTION_SCORE_EXPRESSION)

// Counts of a row: one a value of TOPK_BITS bits of its scores.
#define TOPK_BITS 6
#define TOPK_BINS 64

// The words of a schedule. A (batch, head) has a class, word class_at + batch * class_batch + head; a
// class has num_query_tiles tiles of num_splits records each, a workgroup a record, from tiles_at on:
//   position of the first row, distance of rows, number of rows, first entry, end of entries
//   (first entry ATTEND_PRUNED: the rows are written as if they were padding)
// An entry is a run of keys that the rows walk:
//   position of the first key, distance of keys, number of keys, mask (or ATTEND_NO_MASK, or
//   ATTEND_EVALUATE: the mask expression tells)
// Distance 0: positions are read from the table of positions, from positions_at + the first word on.
// Positions ascend. A mask of up to ATTEND_MASK_KEYS keys begins at masks_at + its number: bit
// (key % 32) of word (key / 32 * tile rows + row) says whether the row sees the key.
#define ATTEND_TILE_WORDS 5
#define ATTEND_ENTRY_WORDS 4
#define ATTEND_MASK_KEYS 64
#define ATTEND_EVALUATE 0xfffffffeu
#define ATTEND_NO_MASK 0xffffffffu
#define ATTEND_PRUNED 0xffffffffu
