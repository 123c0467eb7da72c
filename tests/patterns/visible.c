#include "visible.h"

#include "src/mechanisms/longformer.h"

#include <stdlib.h>

static int64_t integer(const ikati_request *request, const char *name) {
    return ikati_setting(request, name)->integer;
}

static int64_t item(const ikati_request *request, const char *name, int64_t index) {
    const ikati_call_setting *setting = ikati_setting(request, name);
    return setting->num_integers == 1 ? setting->integers[0] : setting->integers[index];
}

bool longformer_sees(const ikati_request *request, int64_t b, int64_t h, int64_t i, int64_t j) {
    const int32_t *mask = ikati_structure(request, "global_mask");
    const int64_t n = ikati_extent(request, "N"), d = item(request, "dilation", h);
    if (integer(request, "causal") && j > i) {
        return false;
    }
    const bool local = llabs(i - j) % d == 0 && llabs(i - j) / d <= integer(request, "window");
    return local || (mask && (mask[b * n + i] || mask[b * n + j]));
}

const patterned patterned_mechanisms[] = {
    {"longformer", ikati_longformer_patterns, longformer_sees, longformer_draw},
};
const uint32_t num_patterned_mechanisms =
    sizeof(patterned_mechanisms) / sizeof(patterned_mechanisms[0]);
