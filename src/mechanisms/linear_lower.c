#include "linear.h"

#include "../lower_linear.h"

// The words of feature_map are the first of the kernel's maps.
_Static_assert((int)IKATI_LINEAR_IDENTITY == (int)IKATI_FEATURE_IDENTITY, "maps");

ikat_status ikati_linear_lower(const ikati_request *request, ikati_lowering *lowering) {
    const ikati_linear_attention attention = {
        .q = ikati_input_view(request, "q"),
        .k = ikati_input_view(request, "k"),
        .v = ikati_input_view(request, "v"),
        .decay = ikati_input_view(request, "decay"),
        .state_s = ikati_input_view(request, "state_s"),
        .state_z = ikati_input_view(request, "state_z"),
        .lengths = ikati_input_view(request, "lengths"),
        .out = ikati_output_view(request, 0),
        .s_out = ikati_output_view(request, 1),
        .z_out = ikati_output_view(request, 2),
        .features = {.map = (ikati_feature_map)ikati_setting(request, "feature_map")->integer,
                     .eps = ikati_setting(request, "feature_eps")->number},
        .causal = ikati_setting(request, "causal")->integer != 0,
        .normalizes = ikati_setting(request, "normalize")->integer != 0,
        .scale = ikati_setting(request, "scale")->number,
        .eps = ikati_setting(request, "eps")->number,
        .chunk = ikati_setting(request, "chunk")->integer,
        .head_mask = ikati_head_mask(request),
    };
    return ikati_lower_linear(lowering, &attention);
}
