#include "guest.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

const uint64_t guest_tensor_bytes[NUM_TENSORS] = {Q_BYTES, K_BYTES, K_BYTES, Q_BYTES};

static float draw(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return ((float)(*state >> 8) * 0x1p-23f - 1.0f) * 1.7f;
}

void guest_fill(float *q, float *k, float *v) {
    uint32_t state = 7;
    for (int i = 0; i < Q_ELEMENTS; i++) {
        q[i] = draw(&state);
    }
    for (int i = 0; i < K_ELEMENTS; i++) {
        k[i] = draw(&state);
        v[i] = draw(&state);
    }
}

// One row: softmax(q k / sqrt(D)) v over keys j <= i + (M - N).
static void expect_row(const float *q, const float *k, const float *v, int row, double *out) {
    double weights[KEYS];
    double highest = -INFINITY;
    double sum = 0;
    const int num_visible = row + 1 + KEYS - QUERIES;
    for (int j = 0; j < num_visible; j++) {
        weights[j] = 0;
        for (int d = 0; d < SIZE; d++) {
            weights[j] += (double)q[d] * k[j * SIZE + d] / sqrt(SIZE);
        }
        highest = fmax(highest, weights[j]);
    }
    for (int j = 0; j < num_visible; j++) {
        weights[j] = exp(weights[j] - highest);
        sum += weights[j];
    }
    for (int d = 0; d < SIZE; d++) {
        out[d] = 0;
        for (int j = 0; j < num_visible; j++) {
            out[d] += weights[j] / sum * v[j * SIZE + d];
        }
    }
}

void guest_check(const float *out) {
    static float q[Q_ELEMENTS], k[K_ELEMENTS], v[K_ELEMENTS]; // too big for some stacks
    double error = 0;
    double norm = 0;
    guest_fill(q, k, v);
    for (int row = 0; row < HEADS * QUERIES; row++) {
        const int first_key = row / QUERIES * KEYS * SIZE;
        double expected[SIZE];
        expect_row(q + row * SIZE, k + first_key, v + first_key, row % QUERIES, expected);
        for (int d = 0; d < SIZE; d++) {
            const double difference = out[row * SIZE + d] - expected[d];
            error += difference * difference;
            norm += expected[d] * expected[d];
        }
    }
    assert_true(sqrt(error / norm) < 2e-6 * sqrt(KEYS / 64.0)); // false for NaN
}

static void create_plan(guest *self) {
    const ikat_argument inputs[] = {
        {"q", ikat_tensor_packed(IKAT_FLOAT32, 4, 1, HEADS, QUERIES, SIZE), NULL},
        {"k", ikat_tensor_packed(IKAT_FLOAT32, 4, 1, HEADS, KEYS, SIZE), NULL},
        {"v", ikat_tensor_packed(IKAT_FLOAT32, 4, 1, HEADS, KEYS, SIZE), NULL},
    };
    const ikat_setting settings[] = {ikat_setting_int("causal", 1)};
    const ikat_plan_params params = {
        .mechanism = "dense",
        .inputs = inputs,
        .num_inputs = 3,
        .settings = settings,
        .num_settings = 1,
        .slice_flops = 1e6,
    };
    assert_int_equal(ikat_plan_create(self->device, &params, &self->plan), IKAT_OK);
    ikat_plan_info info;
    ikat_plan_get_info(self->plan, &info);
    self->num_slices = info.num_slices;
    assert_true(self->num_slices > 1);
}

void guest_prepare(guest *self) {
    static const char *const names[NUM_TENSORS] = {"q", "k", "v", "out"};
    ikat_binding tensors[NUM_TENSORS];
    create_plan(self);
    for (int i = 0; i < NUM_TENSORS; i++) {
        tensors[i] = (ikat_binding){names[i], self->buffers[i], 0};
    }
    const ikat_bindings_params params = {.tensors = tensors, .num_tensors = NUM_TENSORS};
    assert_int_equal(ikat_bindings_create(self->plan, &params, &self->bindings), IKAT_OK);
}

static void run_arrays(const guest *self, float *out) {
    static float q[Q_ELEMENTS], k[K_ELEMENTS], v[K_ELEMENTS];
    const ikat_array arrays[] = {
        {"q", q, sizeof(q)}, {"k", k, sizeof(k)}, {"v", v, sizeof(v)}, {"out", out, Q_BYTES}};
    guest_fill(q, k, v);
    memset(out, 0xff, Q_BYTES);
    assert_int_equal(ikat_plan_run_arrays(self->plan, arrays, NUM_TENSORS), IKAT_OK);
    guest_check(out);
}

void guest_run_and_check(const guest *self) {
    float *out = malloc(Q_BYTES);
    assert_non_null(out);
    memset(out, 0xff, Q_BYTES);
    assert_int_equal(ikat_buffer_write(self->buffers[OUT], 0, out, Q_BYTES), IKAT_OK);
    assert_int_equal(ikat_plan_run(self->plan, self->bindings), IKAT_OK);
    assert_int_equal(ikat_buffer_read(self->buffers[OUT], 0, out, Q_BYTES), IKAT_OK);
    guest_check(out);
    run_arrays(self, out);
    free(out);
}

void guest_expect_lost(const guest *self) {
    float value = 0;
    ikat_buffer *buffer = NULL;
    assert_int_equal(ikat_plan_run(self->plan, self->bindings), IKAT_DEVICE_LOST);
    assert_int_equal(ikat_buffer_write(self->buffers[Q], 0, &value, 4), IKAT_DEVICE_LOST);
    assert_int_equal(ikat_buffer_read(self->buffers[Q], 0, &value, 4), IKAT_DEVICE_LOST);
    assert_int_equal(ikat_device_wait(self->device, 1, UINT64_MAX, NULL), IKAT_DEVICE_LOST);
    assert_int_equal(ikat_buffer_create(self->device, 64, &buffer), IKAT_DEVICE_LOST);
    assert_null(buffer);
}

void guest_leave(guest *self) {
    ikat_bindings_destroy(&self->bindings);
    ikat_plan_destroy(&self->plan);
    for (int i = 0; i < NUM_TENSORS; i++) {
        ikat_buffer_destroy(&self->buffers[i]);
    }
    ikat_device_destroy(&self->device);
}
