#include "call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

void drawn_call_make(const char *mechanism, const char *inputs, const char *settings,
                     drawn_call *out_call) {
    cli_drawing *drawing = &out_call->drawing;
    char message[256];
    if (!drawing_make(ikat_mechanism_find(mechanism), inputs, settings, IKAT_FLOAT32, FILL_RANDOM,
                      1, drawing, message, sizeof(message))) {
        fail_msg("%s", message);
    }
    for (uint32_t i = 0; i < drawing->num_inputs; i++) {
        const cli_drawn *input = &drawing->inputs[i];
        out_call->arguments[i] = (ikat_argument){input->name, input->tensor,
                                                 input->info->structure ? input->data : NULL};
    }
    out_call->params = (ikat_plan_params){.mechanism = mechanism,
                                          .inputs = out_call->arguments,
                                          .num_inputs = drawing->num_inputs,
                                          .settings = drawing->settings,
                                          .num_settings = drawing->num_settings};
}

void drawn_call_free(drawn_call *call) { drawing_free(&call->drawing); }
