// A call in the words of an example: its inputs drawn, its arguments as a plan takes them.

#ifndef TESTS_CALL_H
#define TESTS_CALL_H

#include "draw.h"

typedef struct drawn_call {
    cli_drawing drawing;
    ikat_argument arguments[JOB_MAX_TENSORS];
    ikat_plan_params params; // points into this: not to be moved
} drawn_call;

// Fails the test if the words cannot be read.
void drawn_call_make(const char *mechanism, const char *inputs, const char *settings,
                     drawn_call *out_call);
void drawn_call_free(drawn_call *call);

#endif
