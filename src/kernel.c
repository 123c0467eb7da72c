#include "kernel.h"

#include "../shaders/params/attend.h"
#include "../shaders/params/carry.h"
#include "../shaders/params/coarsen.h"
#include "../shaders/params/collect.h"
#include "../shaders/params/combine.h"
#include "../shaders/params/convolve.h"
#include "../shaders/params/copy.h"
#include "../shaders/params/edges.h"
#include "../shaders/params/fade.h"
#include "../shaders/params/feature.h"
#include "../shaders/params/fft.h"
#include "../shaders/params/gemm.h"
#include "../shaders/params/heads.h"
#include "../shaders/params/infonce.h"
#include "../shaders/params/label_scores.h"
#include "../shaders/params/losses.h"
#include "../shaders/params/mean.h"
#include "../shaders/params/merge.h"
#include "../shaders/params/norm.h"
#include "../shaders/params/outer.h"
#include "../shaders/params/pack.h"
#include "../shaders/params/peak.h"
#include "../shaders/params/pinv.h"
#include "../shaders/params/pool.h"
#include "../shaders/params/predict.h"
#include "../shaders/params/readout.h"
#include "../shaders/params/recur.h"
#include "../shaders/params/ring.h"
#include "../shaders/params/segments.h"
#include "../shaders/params/softmax.h"
#include "../shaders/params/spread.h"
#include "../shaders/params/synthesize.h"
#include "../shaders/params/threshold.h"

#define VARIANT(variant_language, variant_name, variant_source, variant_defines, ...) \
    {.language = IKATI_##variant_language,                                            \
     .name = #variant_name,                                                           \
     .full_name = KERNEL_NAME "." #variant_name,                                      \
     .source = variant_source,                                                        \
     .defines = variant_defines,                                                      \
     __VA_ARGS__},

#define KERNEL_NAME "attend"
static const ikati_variant attend_variants[] = {
#include "../shaders/variants/attend.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "carry"
static const ikati_variant carry_variants[] = {
#include "../shaders/variants/carry.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "coarsen"
static const ikati_variant coarsen_variants[] = {
#include "../shaders/variants/coarsen.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "collect"
static const ikati_variant collect_variants[] = {
#include "../shaders/variants/collect.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "combine"
static const ikati_variant combine_variants[] = {
#include "../shaders/variants/combine.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "convolve"
static const ikati_variant convolve_variants[] = {
#include "../shaders/variants/convolve.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "copy"
static const ikati_variant copy_variants[] = {
#include "../shaders/variants/copy.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "edges"
static const ikati_variant edges_variants[] = {
#include "../shaders/variants/edges.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "fade"
static const ikati_variant fade_variants[] = {
#include "../shaders/variants/fade.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "feature"
static const ikati_variant feature_variants[] = {
#include "../shaders/variants/feature.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "fft"
static const ikati_variant fft_variants[] = {
#include "../shaders/variants/fft.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "gemm"
static const ikati_variant gemm_variants[] = {
#include "../shaders/variants/gemm.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "heads"
static const ikati_variant heads_variants[] = {
#include "../shaders/variants/heads.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "infonce"
static const ikati_variant infonce_variants[] = {
#include "../shaders/variants/infonce.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "label_scores"
static const ikati_variant label_scores_variants[] = {
#include "../shaders/variants/label_scores.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "losses"
static const ikati_variant losses_variants[] = {
#include "../shaders/variants/losses.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "mean"
static const ikati_variant mean_variants[] = {
#include "../shaders/variants/mean.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "merge"
static const ikati_variant merge_variants[] = {
#include "../shaders/variants/merge.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "norm"
static const ikati_variant norm_variants[] = {
#include "../shaders/variants/norm.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "outer"
static const ikati_variant outer_variants[] = {
#include "../shaders/variants/outer.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "pack"
static const ikati_variant pack_variants[] = {
#include "../shaders/variants/pack.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "peak"
static const ikati_variant peak_variants[] = {
#include "../shaders/variants/peak.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "pinv"
static const ikati_variant pinv_variants[] = {
#include "../shaders/variants/pinv.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "pool"
static const ikati_variant pool_variants[] = {
#include "../shaders/variants/pool.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "predict"
static const ikati_variant predict_variants[] = {
#include "../shaders/variants/predict.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "readout"
static const ikati_variant readout_variants[] = {
#include "../shaders/variants/readout.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "recur"
static const ikati_variant recur_variants[] = {
#include "../shaders/variants/recur.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "ring"
static const ikati_variant ring_variants[] = {
#include "../shaders/variants/ring.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "segments"
static const ikati_variant segments_variants[] = {
#include "../shaders/variants/segments.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "softmax"
static const ikati_variant softmax_variants[] = {
#include "../shaders/variants/softmax.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "spread"
static const ikati_variant spread_variants[] = {
#include "../shaders/variants/spread.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "synthesize"
static const ikati_variant synthesize_variants[] = {
#include "../shaders/variants/synthesize.inc"
};
#undef KERNEL_NAME
#define KERNEL_NAME "threshold"
static const ikati_variant threshold_variants[] = {
#include "../shaders/variants/threshold.inc"
};
#undef KERNEL_NAME

#define BINDING_NAME(name, access) #name,
#define BINDING_ACCESS(name, access) IKATI_##access,
#define SPECIALISATION_NAME(id, name) #name,
#define PARAM_BYTES(type, name) +4
#define COUNT(array) (uint32_t)(sizeof(array) / sizeof((array)[0]))

#define DEFINE_KERNEL(lower, UPPER)                                                  \
    static const char *const lower##_bindings[] = {UPPER##_BINDINGS(BINDING_NAME)};  \
    static const uint8_t lower##_access[] = {UPPER##_BINDINGS(BINDING_ACCESS)};      \
    static const char *const lower##_specialisation[] = {                            \
        UPPER##_SPECIALISATION(SPECIALISATION_NAME)};                                \
    static const ikati_kernel lower##_kernel = {                                     \
        .name = #lower,                                                              \
        .binding_names = lower##_bindings,                                           \
        .binding_access = lower##_access,                                            \
        .num_bindings = COUNT(lower##_bindings),                                     \
        .specialisation_names = lower##_specialisation,                              \
        .num_specialisation = COUNT(lower##_specialisation),                         \
        .params_bytes = 0 UPPER##_PARAMS(PARAM_BYTES),                               \
        .variants = lower##_variants,                                                \
        .num_variants = COUNT(lower##_variants),                                     \
    };                                                                               \
    _Static_assert(0 UPPER##_PARAMS(PARAM_BYTES) <= IKATI_MAX_PARAMS_BYTES, #lower); \
    _Static_assert(COUNT(lower##_bindings) <= IKATI_MAX_BINDINGS, #lower);

DEFINE_KERNEL(attend, ATTEND)
DEFINE_KERNEL(carry, CARRY)
DEFINE_KERNEL(coarsen, COARSEN)
DEFINE_KERNEL(collect, COLLECT)
DEFINE_KERNEL(combine, COMBINE)
DEFINE_KERNEL(convolve, CONVOLVE)
DEFINE_KERNEL(copy, COPY)
DEFINE_KERNEL(edges, EDGES)
DEFINE_KERNEL(fade, FADE)
DEFINE_KERNEL(feature, FEATURE)
DEFINE_KERNEL(fft, FFT)
DEFINE_KERNEL(gemm, GEMM)
DEFINE_KERNEL(heads, HEADS)
DEFINE_KERNEL(infonce, INFONCE)
DEFINE_KERNEL(label_scores, LABEL_SCORES)
DEFINE_KERNEL(losses, LOSSES)
DEFINE_KERNEL(mean, MEAN)
DEFINE_KERNEL(merge, MERGE)
DEFINE_KERNEL(norm, NORM)
DEFINE_KERNEL(outer, OUTER)
DEFINE_KERNEL(pack, PACK)
DEFINE_KERNEL(peak, PEAK)
DEFINE_KERNEL(pinv, PINV)
DEFINE_KERNEL(pool, POOL)
DEFINE_KERNEL(predict, PREDICT)
DEFINE_KERNEL(readout, READOUT)
DEFINE_KERNEL(recur, RECUR)
DEFINE_KERNEL(ring, RING)
DEFINE_KERNEL(segments, SEGMENTS)
DEFINE_KERNEL(softmax, SOFTMAX)
DEFINE_KERNEL(spread, SPREAD)
DEFINE_KERNEL(synthesize, SYNTHESIZE)
DEFINE_KERNEL(threshold, THRESHOLD)

const ikati_kernel *ikati_kernel_get(ikati_kernel_id id) {
    static const ikati_kernel *const kernels[] = {
#define KERNEL(name) &name##_kernel,
#include "kernels.inc"
#undef KERNEL
    };
    return kernels[id];
}
