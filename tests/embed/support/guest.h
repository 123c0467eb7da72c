// The attention that every host of these tests borrows: one causal call of `dense`, what must come
// out of it, and what the library makes of a host's device and buffers.
//
// Every function fails the test if something does not succeed.

#ifndef TESTS_EMBED_GUEST_H
#define TESTS_EMBED_GUEST_H

#include <ikat/ikat.h>

enum {
    HEADS = 2,
    QUERIES = 150,
    KEYS = 170,
    SIZE = 64,
    Q_ELEMENTS = HEADS * QUERIES * SIZE, // and those of `out`
    K_ELEMENTS = HEADS * KEYS * SIZE,    // and those of `v`
    Q_BYTES = Q_ELEMENTS * 4,
    K_BYTES = K_ELEMENTS * 4,
};

typedef enum tensor_name { Q, K, V, OUT, NUM_TENSORS } tensor_name;

extern const uint64_t guest_tensor_bytes[NUM_TENSORS];

// Draws the inputs; the same every time.
void guest_fill(float *q, float *k, float *v);

// Compares `out`, Q_ELEMENTS long, with plain loops in double over those inputs.
void guest_check(const float *out);

typedef struct guest {
    ikat_device *device;               // made by the host's own adoption
    ikat_buffer *buffers[NUM_TENSORS]; // and these by its wrapping
    ikat_plan *plan;
    ikat_bindings *bindings;
    uint32_t num_slices; // several
} guest;

// Makes plan and bindings, once device and buffers are there.
void guest_prepare(guest *self);

// Runs the plan on the library's own account, over an `out` full of NaN, reads it back and checks
// it; then once more over host memory.
void guest_run_and_check(const guest *self);

// After a device was lost: whatever needs it says so.
void guest_expect_lost(const guest *self);

// Destroys whatever there is, the device last.
void guest_leave(guest *self);

#endif
