// Checks sampled rows of a result that is too large for the whole reference: those of the very same
// call that the reference computes alone (ikat_plan_params.rows).

#ifndef SAMPLE_H
#define SAMPLE_H

#include "draw.h"

// error  the worst, relative
typedef struct cli_sampled {
    double error;
    uint32_t num_rows; // positions of axis N, of every batch entry and head
    char text[512];    // empty if all is well
} cli_sampled;

// Compares about 20 rows, the first and the last among them, of all outputs of `job`, which are
// fetched already, with the reference. Outputs without axis N are compared whole.
//
// seed  picks some of the rows
bool sample_check(cli_tool *tool, ikat_device *reference, const cli_drawing *drawing,
                  const cli_job *job, uint64_t seed, cli_sampled *out);

#endif
