// Where tensors lie in buffers: packed, strided, several in one buffer; poisoned before, guarded
// around.

#ifndef LAYOUT_H
#define LAYOUT_H

#include "draw.h"

// PACKED  each tensor alone, inputs in a buffer of just their size
// ROWS    [B,N,H,D] with a gap after every row, an offset in the tensor and one in the binding
// SHARED  inputs with the same rows side by side in one buffer, as in packed QKV; outputs at an odd
//         offset
typedef enum cli_layout { LAYOUT_PACKED, LAYOUT_ROWS, LAYOUT_SHARED, NUM_LAYOUTS } cli_layout;

const char *layout_name(cli_layout layout);

// Makes a job of drawn inputs in a layout; gaps hold NaN.
void layout_inputs(const cli_drawing *drawing, cli_layout layout, cli_job *out_job);
// Adds an output of this shape and type (no strides): its elements poisoned, guards before, between
// and behind.
void layout_output(cli_job *job, const char *name, const ikat_tensor *shape, cli_layout layout);
// Whether all bytes around an output's elements are as they were; else tells the first that is not.
bool layout_guards_intact(const cli_job *job, const job_tensor *output, uint64_t *out_byte);

#endif
