// Attention of one query over two keys through the installed library: scores are equal, so the
// result is the mean.

#include <ikat/ikat.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

static int fail(const char *what) {
    fprintf(stderr, "use: %s failed\n", what);
    return 1;
}

int main(void) {
    const float q[1] = {1.0f}, k[2] = {1.0f, 1.0f}, v[2] = {2.0f, 4.0f};
    float out[1] = {0.0f};
    ikat_context *context = NULL;
    ikat_device *device = NULL;
    ikat_plan *plan = NULL;
    ikat_bindings *bindings = NULL;
    ikat_buffer *buffers[4] = {NULL, NULL, NULL, NULL};

    if (strncmp(ikat_version(), "0.", 2) != 0 || ikat_context_create(NULL, &context) != IKAT_OK) {
        return fail("context");
    }
    ikat_device_params on_cpu = {"cpu", NULL};
    if (ikat_device_open(context, &on_cpu, &device) != IKAT_OK) {
        return fail("device");
    }
    ikat_argument inputs[3] = {{"q", ikat_tensor_packed(IKAT_FLOAT32, 4, 1, 1, 1, 1), NULL},
                               {"k", ikat_tensor_packed(IKAT_FLOAT32, 4, 1, 1, 2, 1), NULL},
                               {"v", ikat_tensor_packed(IKAT_FLOAT32, 4, 1, 1, 2, 1), NULL}};
    ikat_plan_params params;
    memset(&params, 0, sizeof(params));
    params.mechanism = "dense";
    params.inputs = inputs;
    params.num_inputs = 3;
    if (ikat_plan_create(device, &params, &plan) != IKAT_OK) {
        return fail("plan");
    }
    const void *data[4] = {q, k, v, out};
    const uint64_t size_bytes[4] = {sizeof(q), sizeof(k), sizeof(v), sizeof(out)};
    for (int i = 0; i < 4; i++) {
        if (ikat_buffer_create(device, size_bytes[i], &buffers[i]) != IKAT_OK ||
            ikat_buffer_write(buffers[i], 0, data[i], size_bytes[i]) != IKAT_OK) {
            return fail("buffer");
        }
    }
    ikat_binding tensors[4] = {
        {"q", buffers[0], 0}, {"k", buffers[1], 0}, {"v", buffers[2], 0}, {"out", buffers[3], 0}};
    ikat_bindings_params bound;
    memset(&bound, 0, sizeof(bound));
    bound.tensors = tensors;
    bound.num_tensors = 4;
    if (ikat_bindings_create(plan, &bound, &bindings) != IKAT_OK ||
        ikat_plan_run(plan, bindings) != IKAT_OK ||
        ikat_buffer_read(buffers[3], 0, out, sizeof(out)) != IKAT_OK) {
        return fail("run");
    }
    ikat_bindings_destroy(&bindings);
    for (int i = 0; i < 4; i++) {
        ikat_buffer_destroy(&buffers[i]);
    }
    ikat_plan_destroy(&plan);
    ikat_device_destroy(&device);
    ikat_context_destroy(&context);
    printf("ikat %s: %g\n", ikat_version(), (double)out[0]);
    return fabs((double)out[0] - 3.0) < 1e-6 ? 0 : fail("result");
}
