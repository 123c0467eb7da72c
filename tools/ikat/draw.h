// Values for the inputs of a mechanism: shapes as an example says, elements drawn in one of several
// styles.

#ifndef DRAW_H
#define DRAW_H

#include "job.h"
#include "letters.h"

// How the main tensors are filled. What a page's tolerance is for is FILL_RANDOM; the others look
// for particular faults.
typedef enum cli_fill {
    FILL_RANDOM,   // N(0,1)
    FILL_EQUAL,    // all elements of a tensor alike: every key ties
    FILL_LARGE,    // scores far above 88
    FILL_DOMINANT, // one key far above all others
    FILL_POISONED, // NaN in padded rows; only where there are lengths
    NUM_FILLS
} cli_fill;

const char *fill_name(cli_fill fill);

// The inputs of one call: packed host arrays.
//
// tensors   name, dtype, shape; `data` to be freed by drawing_free
// floating  the example says that it is float32
typedef struct cli_drawn {
    char name[32];
    const ikat_argument_info *info; // NULL: the mechanism has no such input
    bool floating;
    ikat_tensor tensor;
    void *data;
} cli_drawn;

typedef struct cli_drawing {
    const ikat_mechanism_info *info;
    cli_drawn inputs[JOB_MAX_TENSORS];
    uint32_t num_inputs;
    ikat_setting settings[JOB_MAX_TENSORS];
    uint32_t num_settings;
    char *settings_text; // where the settings' names and values are
    cli_letters letters;
    char omitted[8][32]; // outputs that the call does not make
    uint32_t num_omitted;
} cli_drawing;

// Draws the inputs "q=2,3,5,8 lengths=2@5,0" and reads the settings "causal=1 softcap=5" of a
// mechanism.
//
// Returns false, and why in `message`, if the text cannot be read.
bool drawing_make(const ikat_mechanism_info *info, const char *inputs, const char *settings,
                  ikat_dtype main, cli_fill fill, uint64_t seed, cli_drawing *out, char *message,
                  size_t message_size);
void drawing_free(cli_drawing *drawing);

// The same values with every float16 as float32: what the reference takes.
void drawing_widen(const cli_drawing *drawing, cli_drawing *out);

// Whether an example has lengths or rows that are not valid, so that FILL_POISONED means something.
bool drawing_text_is_padded(const char *inputs);

// Whether the example's call makes this output.
bool drawing_makes(const cli_drawing *drawing, const char *output);

#endif
