#include "windows.h"

#include "lower_rows.h"

#include <inttypes.h>

ikat_status ikati_input_require(const ikati_request *request, const char *name, const char *why) {
    const ikati_tensor_use *input = ikati_input(request, name);
    return input->present ? IKAT_OK
                          : ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_MISSING,
                                       "input %s is missing, expected %s %s for %s", name,
                                       input->info->dtype, input->info->shape, why);
}

// One bank of filters: taps, inputs of a group, outputs.
static ikat_status check_bank(const ikati_request *request, const char *name, int64_t columns) {
    const ikati_tensor_use *bank = ikati_input(request, name);
    const int64_t *shape = bank->tensor.shape;
    const int64_t all = columns * ikati_extent(request, "Hkv");
    if (!bank->present) {
        return IKAT_OK;
    }
    if (shape[0] < 1) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_SHAPE,
                          "%s has 0 taps, expected at least 1", name);
    }
    if (shape[2] != columns && shape[2] != all) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_SHAPE,
                          "%s has %" PRId64 " outputs, expected the head's %" PRId64
                          " or all heads' %" PRId64,
                          name, shape[2], columns, all);
    }
    if (shape[1] < 1 || shape[2] % shape[1]) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_SHAPE,
                          "%s has %" PRId64 " inputs a group, expected a divisor of %" PRId64, name,
                          shape[1], shape[2]);
    }
    return IKAT_OK;
}

ikat_status ikati_conv_check(const ikati_request *request) {
    const int64_t size = ikati_extent(request, "D"), value_size = ikati_extent(request, "Dv");
    const bool has_own = ikati_input(request, "conv_v")->present;
    ikat_status status = check_bank(request, "conv_k", size);
    status = status ? status : check_bank(request, "conv_v", value_size);
    if (!status && !has_own && size != value_size) {
        status = ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_SHAPE,
                            "conv_k serves values of Dv = %" PRId64
                            " without conv_v, expected Dv = D = %" PRId64,
                            value_size, size);
    }
    if (!status && !has_own && ikati_input(request, "conv_v_bias")->present) {
        status = ikati_attention_refuse(request, "conv_v_bias", "only with conv_v");
    }
    return status;
}

ikat_status ikati_made_rows_create(ikati_lowering *lowering, const ikat_tensor *positions,
                                   int64_t num_rows, bool is_joined, ikati_made_rows *out) {
    const int64_t heads = positions->shape[1], columns = positions->shape[3];
    out->tensor = ikati_packed_tensor(IKAT_FLOAT32, positions->shape[0], heads, num_rows, columns);
    if (is_joined) {
        out->tensor.strides[1] = columns;
        out->tensor.strides[2] = heads * columns;
    }
    return ikati_scratch_view(lowering, &out->tensor, &out->view);
}

static ikat_status lower_rows(const ikati_request *request, ikati_lowering *lowering,
                              const char *name, const char *filters, const char *bias,
                              ikati_pool *pool, uint32_t num_front, ikati_made_rows *out) {
    pool->x = ikati_input_view(request, name);
    pool->weights = ikati_input_view(request, filters);
    pool->bias = ikati_input_view(request, bias);
    const int64_t *shape = pool->x.tensor->shape;
    const bool is_joined =
        pool->kind == IKATI_POOL_CONV && pool->weights.tensor->shape[2] != shape[3];
    ikat_status status = ikati_made_rows_create(
        lowering, pool->x.tensor, (int64_t)num_front + pool->num_windows, is_joined, out);
    pool->to = out->view.index;
    pool->to_batch = (uint64_t)out->tensor.strides[0];
    pool->to_head = (uint64_t)out->tensor.strides[1];
    pool->to_row = (uint64_t)out->tensor.strides[2];
    pool->to_offset = num_front * pool->to_row;
    return status ? status : ikati_lower_pool(lowering, pool);
}

ikat_status ikati_lower_windows(const ikati_request *request, ikati_lowering *lowering,
                                ikati_pooling kind, const ikati_attend_windows *windows,
                                uint32_t num_windows, ikati_made_rows *out_keys,
                                ikati_made_rows *out_values) {
    const bool has_own = ikati_input(request, "conv_v")->present;
    ikati_pool pool = {
        .lengths = ikati_input_view(request, "lengths"),
        .kind = kind,
        .num_windows = num_windows,
        .size = windows->size,
        .stride = windows->stride,
    };
    ikat_status status = lower_rows(request, lowering, "k", "conv_k", "conv_k_bias", &pool,
                                    windows->num_front, out_keys);
    return status ? status
                  : lower_rows(request, lowering, "v", has_own ? "conv_v" : "conv_k",
                               has_own ? "conv_v_bias" : "conv_k_bias", &pool, windows->num_front,
                               out_values);
}

ikat_status ikati_lower_made_attention(const ikati_request *request, ikati_lowering *lowering,
                                       const ikati_attend_windows *windows,
                                       const ikati_made_rows *keys, const ikati_made_rows *values,
                                       const ikati_attention *attention) {
    ikati_attention own = *attention;
    ikati_made_rows visible_keys = *keys, visible_values = *values;
    ikat_tensor wide;
    const uint32_t num_keys = ikati_attend_count_keys(windows, windows->num_positions);
    visible_keys.tensor.shape[2] = visible_values.tensor.shape[2] = num_keys;
    own.k = (ikati_view){keys->view.kind, keys->view.index, &visible_keys.tensor};
    own.v = (ikati_view){values->view.kind, values->view.index, &visible_values.tensor};
    own.windows = windows;
    own.is_cross = true;
    if (ikati_extent(request, "N") == windows->num_positions) {
        own.query_lengths = own.lengths;
    }
    ikat_status status = ikati_lower_widen(lowering, &own.q, &wide); // as made rows are
    return status ? status : ikati_lower_attention(lowering, &own);
}
