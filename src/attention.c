#include "attention.h"

#include <inttypes.h>

static ikat_status check_size(const ikati_request *request, const char *argument,
                              const char *letter, int64_t least, int64_t most) {
    int64_t extent = ikati_extent(request, letter);
    if (extent >= least && extent <= most) {
        return IKAT_OK;
    }
    return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_SHAPE,
                      "%s has %s = %" PRId64 ", expected %" PRId64 " to %" PRId64, argument, letter,
                      extent, least, most);
}

ikat_status ikati_attention_check(const ikati_request *request) {
    ikat_status status = check_size(request, "q", "D", 1, IKATI_MAX_HEAD_SIZE);
    status = status ? status : check_size(request, "v", "Dv", 1, IKATI_MAX_HEAD_SIZE);
    status = status ? status : check_size(request, "q", "H", 1, IKATI_MAX_HEADS);
    status = status ? status : check_size(request, "k", "Hkv", 1, IKATI_MAX_HEADS);
    if (status) {
        return status;
    }
    int64_t heads = ikati_extent(request, "H"), kv_heads = ikati_extent(request, "Hkv");
    if (heads % kv_heads) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_SHAPE,
                          "k has Hkv = %" PRId64 ", expected a divisor of H = %" PRId64, kv_heads,
                          heads);
    }
    return IKAT_OK;
}

ikat_status ikati_attention_check_per_head(const ikati_request *request, const char *setting) {
    const uint32_t count = ikati_setting(request, setting)->num_integers;
    const int64_t heads = ikati_extent(request, "H");
    if (count <= 1 || count == heads) {
        return IKAT_OK;
    }
    return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                      "%s has %" PRIu32 " elements, expected 1 or H = %" PRId64, setting, count,
                      heads);
}

ikat_status ikati_attention_refuse(const ikati_request *request, const char *name,
                                   const char *expected) {
    return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_CONTRADICTION,
                      "%s is given, expected it %s", name, expected);
}

static double bytes_of(const ikati_tensor_use *use) {
    double count = use->present ? (double)ikat_dtype_size(use->tensor.dtype) : 0;
    for (uint32_t axis = 0; axis < use->tensor.rank; axis++) {
        count *= (double)use->tensor.shape[axis];
    }
    return count;
}

ikati_cost ikati_attention_cost(const ikati_request *request, double visible_pairs) {
    ikati_cost result = {.visible_pairs = visible_pairs};
    result.flops =
        2.0 * (double)(ikati_extent(request, "D") + ikati_extent(request, "Dv")) * visible_pairs;
    for (uint32_t i = 0; i < request->num_inputs; i++) {
        result.bytes += bytes_of(&request->inputs[i]);
    }
    for (uint32_t i = 0; i < request->mechanism->info.num_outputs; i++) {
        result.bytes += bytes_of(&request->outputs[i]);
    }
    return result;
}

ikati_cost ikati_attention_cost_patterns(const ikati_request *request) {
    ikati_patterns patterns;
    double pairs = -1;
    if (!request->mechanism->patterns(request, &patterns)) {
        pairs = ikati_patterns_count(&patterns, request);
        ikati_patterns_free(&patterns);
    }
    return ikati_attention_cost(request, pairs);
}

double ikati_attention_tolerance(const ikati_request *request, uint32_t output) {
    (void)output;
    return ikati_tolerance_default(request->dtype, (double)ikati_extent(request, "N"));
}
