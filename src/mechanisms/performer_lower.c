#include "performer.h"

#include "../lower_linear.h"

static double setting_or(const ikati_request *request, const char *name, double fallback) {
    const ikati_call_setting *setting = ikati_setting(request, name);
    return setting->given ? setting->number : fallback;
}

// Rows [1,R,D] among the plan's tables, drawn; written to output `features` too, if it is wanted.
static ikat_status draw(const ikati_request *request, ikati_lowering *lowering,
                        ikati_matrices *out_rows) {
    const int64_t num_rows = ikati_extent(request, "R"), size = ikati_extent(request, "D");
    float *rows =
        ikati_performer_draw(request->host, (uint64_t)ikati_setting(request, "seed")->integer,
                             num_rows, size, ikati_setting(request, "ortho")->integer != 0,
                             (ikati_performer_norm)ikati_setting(request, "feature_norm")->integer);
    const uint64_t bytes = (uint64_t)num_rows * (uint64_t)size * sizeof(*rows);
    const uint32_t table = rows ? ikati_lowering_table(lowering, rows, bytes) : UINT32_MAX;
    ikat_status status = table == UINT32_MAX ? IKAT_NO_MEMORY : IKAT_OK;
    status = status ? status : ikati_lowering_write_output(lowering, request, 1, rows);
    *out_rows = (ikati_matrices){.kind = IKATI_SLOT_TABLE,
                                 .index = table,
                                 .dtype = IKAT_FLOAT32,
                                 .row = (uint64_t)size,
                                 .column = 1};
    ikati_free(request->host, rows);
    return status;
}

ikat_status ikati_performer_lower(const ikati_request *request, ikati_lowering *lowering) {
    static const ikati_feature_map maps[] = {IKATI_FEATURE_SOFTMAX, IKATI_FEATURE_MIRRORED,
                                             IKATI_FEATURE_RELU};
    const ikati_performer_kernel kernel =
        (ikati_performer_kernel)ikati_setting(request, "kernel")->integer;
    const bool exponential = kernel != IKATI_PERFORMER_RELU;
    const int64_t num_rows = ikati_extent(request, "R");
    const double num_features = (double)num_rows * (kernel == IKATI_PERFORMER_HYPERBOLIC ? 2 : 1);
    const ikati_view features = ikati_input_view(request, "features");
    ikati_linear_attention attention = {
        .q = ikati_input_view(request, "q"),
        .k = ikati_input_view(request, "k"),
        .v = ikati_input_view(request, "v"),
        .lengths = ikati_input_view(request, "lengths"),
        .out = ikati_output_view(request, 0),
        .features = {.map = maps[kernel],
                     .eps = setting_or(request, "eps", exponential ? 1e-6 : 1e-3),
                     .rows = ikati_matrices_of(&features, IKATI_NO_AXIS, 0, 1, 2),
                     .num_rows = (uint32_t)num_rows,
                     .input_scale = sqrt(setting_or(request, "scale",
                                                    1 / sqrt((double)ikati_extent(request, "D")))),
                     .stabilizes = ikati_setting(request, "stabilize")->integer != 0},
        .causal = ikati_setting(request, "causal")->integer != 0,
        .normalizes = true,
        // The factors of both features, which the kernels leave out.
        .scale = exponential ? 1 / num_features : 1,
        .guard = ikati_setting(request, "den_eps")->number,
        .head_mask = ikati_head_mask(request),
    };
    ikat_status status =
        features.kind ? IKAT_OK : draw(request, lowering, &attention.features.rows);
    return status ? status : ikati_lower_linear(lowering, &attention);
}
