// Checks sampled rows of a result that is too large for the whole reference.
//
// A few query rows are a call of their own: the same call with those rows of every input that has
// them, and, where the mask has a right edge, with keys up to that edge only, so that the diagonal
// (bottom-right aligned) stays where it was. True of mechanisms whose rows depend on the queries of
// no other row, and of calls without lengths.
//
// Where queries and keys are the same positions (no shape has M), rows are no calls of their own.
// There whole heads are sampled: all others are pruned.

#ifndef SAMPLE_H
#define SAMPLE_H

#include "draw.h"

typedef struct cli_sampled {
    double error;
    uint64_t num_rows;
    char text[512]; // empty if all is well
} cli_sampled;

// Compares about `num_blocks` blocks of rows of the main output of `job`, fetched already, with the
// reference.
bool sample_check(cli_tool *tool, ikat_device *reference, const cli_drawing *drawing,
                  const cli_job *job, uint32_t num_blocks, cli_sampled *out);

#endif
