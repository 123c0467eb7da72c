// What a mechanism is to the core, and a call of it once checked.

#ifndef IKATI_MECHANISM_H
#define IKATI_MECHANISM_H

#include "../backends/backend.h"

// Members of families counted.
enum {
    IKATI_MAX_INPUTS = 48,
    IKATI_MAX_OUTPUTS = 8,
    IKATI_MAX_SETTINGS = 80,
    IKATI_MAX_LETTERS = 32
};

// Most that settings take which have no bound of their own: sums of two stay exact.
#define IKATI_MAX_INTEGER 0x1p53

typedef struct ikati_mechanism ikati_mechanism;
typedef struct ikati_patterns ikati_patterns; // patterns.h

// One tensor of a call. Strides are resolved: none is implied.
//
// name  the row's, or of a member of a family that which was given
//
// slot, slot_index  where a call inside another has it (ikati_slot_kind); 0: a tensor of the caller's
typedef struct ikati_tensor_use {
    const char *name;
    const ikat_argument_info *info;
    bool present; // given (an input) or wanted (an output)
    ikat_tensor tensor;
    const void *values; // of structure inputs: packed, the request's own
    uint32_t slot, slot_index;
} ikati_tensor_use;

// The extent that a shape letter has in a call.
//
// argument  the tensor whose shape gave it, for messages of the call's checks; NULL: ikati_shape_fix
typedef struct ikati_letter {
    char name[8];
    int64_t extent;
    const char *argument;
} ikati_letter;

// A call: what was asked for, checked. Arrays run parallel to those of mechanism->info, inputs to
// ikat_mechanism_input; members of families come after them, inputs from first_member on, and a
// family's own place is empty. It owns the values of structure inputs, the elements of list settings,
// strings, the names of members, the rows and the inner call (ikati_request_clear).
//
// inner  of a mechanism that contains another: the call of that one (nested.h); NULL: none
typedef struct ikati_request {
    const ikati_host *host;
    const ikati_mechanism *mechanism;
    ikati_tensor_use inputs[IKATI_MAX_INPUTS];
    uint32_t num_inputs, first_member;
    ikati_tensor_use outputs[IKATI_MAX_OUTPUTS];
    ikati_call_setting settings[IKATI_MAX_SETTINGS];
    uint32_t num_settings;
    ikati_letter letters[IKATI_MAX_LETTERS];
    uint32_t num_letters;
    ikat_dtype dtype;    // of the main tensors
    const int64_t *rows; // of the outputs, that need be computed; NULL: all
    uint32_t num_rows;
    struct ikati_request *inner;
} ikati_request;

// flops and visible pairs, see ikat_plan_info.
typedef struct ikati_cost {
    double flops;
    double bytes;
    double visible_pairs;
} ikati_cost;

typedef struct ikati_lowering ikati_lowering;

// check      what shapes and ranges cannot say: contradictions, divisibility. Shapes of inputs and
//            values of structure are checked already. Binds letters that only outputs have
// patterns   who sees whom, to be freed by ikati_patterns_free; NULL where a mechanism is not its
//            patterns. Those that are have cost and lower of attention.h
// cost       for benches and slices; visible_pairs below 0 if memory ran out
// lower      emits steps (lowering.h)
// tolerance  largest relative L2 error of an output, by the page
// sees       where kernels evaluate a mask: what it says of a row's keys, 1 or 0 each; NULL elsewhere
struct ikati_mechanism {
    ikat_mechanism_info info;
    const ikat_mechanism_case *cases;
    uint32_t num_cases;
    ikat_status (*check)(ikati_request *request);
    ikat_status (*patterns)(const ikati_request *request, ikati_patterns *out_patterns);
    ikati_cost (*cost)(const ikati_request *request);
    ikat_status (*lower)(const ikati_request *request, ikati_lowering *lowering);
    double (*tolerance)(const ikati_request *request, uint32_t output);
    ikat_status (*sees)(const ikati_request *request, uint32_t batch, uint32_t head, uint32_t query,
                        uint8_t *out_keys);
};

// NULL if there is none of that name.
const ikati_mechanism *ikati_mechanism_find(const char *name);

// The spec's own rule: 2e-6 sqrt(terms / 64), between 2e-6 and 2e-5, for float32; 2e-3 for float16.
double ikati_tolerance_default(ikat_dtype dtype, double num_terms);

// Index among ikat_mechanism_input, of a family for a member of it; UINT32_MAX if there is none of that
// name.
uint32_t ikati_find_input(const ikat_mechanism_info *info, const char *name);

// Index of an input or setting by name; the name must exist.
uint32_t ikati_input_index(const ikati_request *request, const char *name);
uint32_t ikati_setting_index(const ikati_request *request, const char *name);

static inline const ikati_tensor_use *ikati_input(const ikati_request *request, const char *name) {
    return &request->inputs[ikati_input_index(request, name)];
}
static inline const ikati_call_setting *ikati_setting(const ikati_request *request,
                                                      const char *name) {
    return &request->settings[ikati_setting_index(request, name)];
}
// Extent of a shape letter; 0 if no tensor of the call has it.
int64_t ikati_extent(const ikati_request *request, const char *letter);
// The values of a structure input of int32; NULL if it is absent.
const int32_t *ikati_structure(const ikati_request *request, const char *name);
// False for a pruned head (input head_mask).
bool ikati_keeps_head(const ikati_request *request, int64_t head);
// Element `index` of a list setting, the only one where there is one for all.
int64_t ikati_setting_item(const ikati_call_setting *setting, int64_t index);

#endif
