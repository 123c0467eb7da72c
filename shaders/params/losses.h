// Kernel `losses`: joins what `infonce` made of each anchor's ranges of targets,
//   top = max_p top_p,  loss_s = log(exp(-top) + sum_p sum_p exp(top_p - top)) + top   (tops here in units of 1)
// and averages. In its first step an invocation owns a row, and a workgroup leaves the sum and the number of its
// valid rows; in its last, LOSSES_MEAN, one workgroup adds those up, in a fixed order, and divides.
#define LOSSES_BINDINGS(X) X(parts, READ) X(valid, READ) X(losses, WRITE) X(sums, WRITE)

//   parts      [num_parts][num_rows][2]: top, sum (params/infonce.h). With LOSSES_MEAN [num_rows][2]: what the first
//              step left of each of its workgroups
//   valid      one a row; a row with 0 has loss 0 and is not counted
//   losses     one a row
//   sums       [workgroup][2]: sum, number. With LOSSES_MEAN the mean, one number; 0 if there is nothing to average
#define LOSSES_PARAMS(X)                                                                                              \
    X(uint, base_parts) X(uint, base_valid) X(uint, base_losses) X(uint, base_sums)                                   \
    X(uint, num_parts) X(uint, num_rows)

#define LOSSES_SPECIALISATION(X) X(0, OPTIONS)

#define LOSSES_VALID 1u // read valid; else all are
#define LOSSES_EACH 2u  // write losses
#define LOSSES_MEAN 4u  // the last step
