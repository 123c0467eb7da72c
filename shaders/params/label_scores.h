// Kernel `label_scores`: what a pair's score gains by its label, for all labels of a row at once:
//   scores_il = scale (q_i . a_l + b_l)
// a and b being the vectors and biases of the row's head. Kernel `attend` looks them up (OPTION_LABELS).
#define LABEL_SCORES_BINDINGS(X) X(q, READ) X(vectors, READ) X(biases, READ) X(scores, WRITE)

//   q, vectors, biases   float32, or float16 with LABEL_SCORES_HALF; strides in elements, innermost
//                        stride of q and vectors 1; vectors and biases are the same for all batch entries
//   scores               float32, rows packed
#define LABEL_SCORES_PARAMS(X)                                                                                        \
    X(uint, base_q) X(uint, base_vectors) X(uint, base_biases) X(uint, base_scores)                                   \
    X(uint, num_batches) X(uint, num_heads) X(uint, num_rows) X(uint, num_labels) X(uint, head_size)                  \
    X(uint, q_batch) X(uint, q_head) X(uint, q_row)                                                                   \
    X(uint, vector_head) X(uint, vector_label) X(uint, bias_head) X(uint, bias_label)                                 \
    X(uint, scores_batch) X(uint, scores_head)                                                                        \
    X(float, scale)

#define LABEL_SCORES_SPECIALISATION(X) X(0, OPTIONS)

#define LABEL_SCORES_HALF 1u   // q, vectors and biases are float16
#define LABEL_SCORES_BIASES 2u // `biases` is bound
