// Linformer: keys and values are projected from M positions to K, by matrices or by windows, then dense
// attention over those.
//
// Wang, Li, Khabsa, Fang and Ma, Linformer: Self-Attention with Linear Complexity, arXiv:2006.04768.

#include "../windows.h"

#include <inttypes.h>
#include <string.h>

static const ikat_argument_info inputs[] = {
    IKATI_CROSS_ATTENTION_INPUTS,
    {.name = "proj_k",
     .shape = "[1 or Hkv,K,Nmax]",
     .dtype = "float",
     .optional = true,
     .help = "projection=linear: rows that sum up the keys; its first M columns are used"},
    {.name = "proj_v",
     .shape = "[1 or Hkv,K,Nmax]",
     .dtype = "float",
     .optional = true,
     .help = "the same of the values; absent: proj_k"},
    IKATI_CONV_INPUTS,
    IKATI_KEY_LENGTHS_INPUT,
};

static const ikat_argument_info outputs[] = {IKATI_ATTENTION_OUTPUTS};

typedef enum projection { LINEAR, MEAN, MAX, CONV } projection;

static const char *const projections[] = {"linear", "mean", "max", "conv", NULL};

static const ikat_setting_info settings[] = {
    {.name = "projection",
     .type = IKAT_SETTING_WORD,
     .default_text = "linear",
     .words = projections,
     .help =
         "how positions are reduced: proj_k; mean or maximum of windows; a strided convolution"},
    {.name = "kernel_size",
     .type = IKAT_SETTING_INT,
     .default_text = "none",
     .minimum = 1,
     .maximum = IKATI_MAX_INTEGER,
     .help =
         "positions of a window, and the distance of windows; with mean and max, and only there"},
    IKATI_SCALE_SETTING,
};

static const ikat_mechanism_case cases[] = {
    {"linear", IKATI_QKV("2,3,67,16", "2,3,67,16") " proj_k=3,13,67 proj_v=3,13,67", "", ""},
    {"shared", "q=2,4,37,8 k=2,2,37,8 v=2,2,37,5 proj_k=1,9,50 lengths=2@37,21", "scale=0.3",
     "one matrix for heads, keys and values, and for longer sequences"},
    {"cross",
     "q=2,2,11,16 k=2,2,130,16 v=2,2,130,16 proj_k=2,40,132 proj_v=1,40,132 lengths=2@0,77", "",
     "an entry without keys"},
    {"more_than_positions", IKATI_QKV("1,2,20,8", "1,2,20,8") " proj_k=1,33,20", "", "K > M"},
    {"mean", IKATI_QKV("3,2,50,16", "3,2,50,16") " lengths=3@50,23,0",
     "projection=mean kernel_size=7", "short last windows"},
    {"max", "q=2,4,9,16 k=2,2,61,16 v=2,2,61,7 lengths=2@61,30", "projection=max kernel_size=5",
     ""},
    {"conv",
     IKATI_QKV(
         "2,2,45,16",
         "2,2,45,8") " conv_k=4,16,16 conv_v=4,1,16 conv_k_bias=16 conv_v_bias=16 lengths=2@45,18",
     "projection=conv", "one dense bank, one of each channel of all heads"},
    {"conv_mixes_heads",
     IKATI_QKV("1,2,30,12", "1,2,30,12") " conv_k=5,24,24 conv_k_bias=24 head_mask=2@1,0",
     "projection=conv", "keys and values from all heads; a pruned head"},
    {"conv_groups", IKATI_QKV("2,2,40,32", "2,2,40,32") " conv_k=4,16,32 conv_v=4,4,64",
     "projection=conv", "windows in place, and groups"},
    {"one_window", IKATI_QKV("1,1,1300,8", "1,1,1300,8") " lengths=1@1203",
     "projection=max kernel_size=5000", "parts of a window; one key"},
    {"long",
     "q=1,2,40,24 k=1,1,1100,24 v=1,1,1100,24 proj_k=1,20,1100 proj_v=1,20,1100 lengths=1@1030", "",
     "the depth is split"},
    {"large_linear", IKATI_QKV("1,2,20000,64", "1,2,20000,64") " proj_k=1,256,20000", "scale=0.002",
     "scores of ordinary size: sums of 20000 make large ones"},
};

static projection projection_of(const ikati_request *request) {
    return (projection)ikati_setting(request, "projection")->integer;
}

// Inputs of other projections.
static ikat_status refuse_others(const ikati_request *request, projection own) {
    static const struct {
        const char *name;
        projection projection;
    } uses[] = {{"proj_k", LINEAR}, {"proj_v", LINEAR},    {"conv_k", CONV},
                {"conv_v", CONV},   {"conv_k_bias", CONV}, {"conv_v_bias", CONV}};
    for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
        if (uses[i].projection != own && ikati_input(request, uses[i].name)->present) {
            return ikati_attention_refuse(request, uses[i].name,
                                          uses[i].projection == LINEAR
                                              ? "only with projection=linear"
                                              : "only with projection=conv");
        }
    }
    return IKAT_OK;
}

static ikat_status check_linear(const ikati_request *request) {
    const int64_t positions = ikati_extent(request, "M"), most = ikati_extent(request, "Nmax");
    ikat_status status = ikati_input_require(request, "proj_k", "projection=linear");
    if (!status && most < positions) {
        status = ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_SHAPE,
                            "proj_k has Nmax = %" PRId64 " columns, expected at least M = %" PRId64,
                            most, positions);
    }
    return status;
}

static ikat_status check_kernel_size(const ikati_request *request, projection own) {
    const bool is_given = ikati_setting(request, "kernel_size")->given;
    if (own != MEAN && own != MAX) {
        return is_given ? ikati_attention_refuse(request, "kernel_size",
                                                 "only with projection=mean or max")
                        : IKAT_OK;
    }
    return is_given ? IKAT_OK
                    : ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_MISSING,
                                 "kernel_size is missing, expected the positions of a window for "
                                 "projection=%s",
                                 projections[own]);
}

static ikat_status check(ikati_request *request) {
    const projection own = projection_of(request);
    ikat_status status = ikati_attention_check(request);
    status = status ? status : refuse_others(request, own);
    status = status ? status : check_kernel_size(request, own);
    if (!status && own == LINEAR) {
        status = check_linear(request);
    }
    if (!status && own == CONV) {
        status = ikati_input_require(request, "conv_k", "projection=conv");
        status = status ? status : ikati_conv_check(request);
    }
    return status;
}

// Positions of a window, no more than there are.
static uint32_t window_size(const ikati_request *request) {
    const int64_t positions = ikati_extent(request, "M");
    const int64_t size = projection_of(request) == CONV
                             ? ikati_extent(request, "w")
                             : ikati_setting(request, "kernel_size")->integer;
    return (uint32_t)(size < positions ? size : positions ? positions : 1);
}

static ikati_attend_windows windows_of(const ikati_request *request) {
    ikati_attend_windows windows = {.num_positions = (uint32_t)ikati_extent(request, "M"),
                                    .size = (uint32_t)ikati_extent(request, "M"),
                                    .stride = 1,
                                    .row_block = 1};
    if (projection_of(request) != LINEAR) {
        windows.size = windows.stride = window_size(request);
        return windows;
    }
    // Each row of the projection sees all positions, if there are any; there are no windows besides.
    windows.num_front = (uint32_t)ikati_extent(request, "K");
    windows.needs_position = true;
    windows.size++;
    windows.is_whole = true;
    return windows;
}

static uint32_t num_keys(const ikati_request *request) {
    const ikati_attend_windows windows = windows_of(request);
    return ikati_attend_count_keys(&windows, windows.num_positions);
}

static ikati_cost cost(const ikati_request *request) {
    const double keys = num_keys(request), kv_heads = (double)ikati_extent(request, "Hkv");
    const double batches = (double)ikati_extent(request, "B");
    const double columns = (double)(ikati_extent(request, "D") + ikati_extent(request, "Dv"));
    const double pairs =
        batches * (double)ikati_extent(request, "H") * (double)ikati_extent(request, "N") * keys;
    ikati_cost result = ikati_attention_cost(request, pairs);
    const projection own = projection_of(request);
    const double products = own == LINEAR ? keys
                            : own == CONV ? (double)ikati_extent(request, "Cg")
                                          : 1;
    result.flops +=
        2 * batches * kv_heads * (double)ikati_extent(request, "M") * columns * products;
    return result;
}

// Sums over positions within sums over keys.
static double tolerance(const ikati_request *request, uint32_t output) {
    (void)output;
    const double positions = (double)ikati_extent(request, "M");
    return fmax(5e-6, ikati_tolerance_default(request->dtype, fmax(positions, num_keys(request))));
}

// Rows of a projection: matrix times the positions that are valid.
static ikat_status project(const ikati_request *request, ikati_lowering *lowering, const char *name,
                           const char *matrix, ikati_made_rows *out) {
    const ikati_view x = ikati_input_view(request, name), rows = ikati_input_view(request, matrix);
    const int64_t *shape = x.tensor->shape, num_rows = rows.tensor->shape[1];
    ikat_status status = ikati_made_rows_create(lowering, x.tensor, num_rows, false, out);
    const ikati_gemm gemm = {
        .a = ikati_matrices_of(&rows, IKATI_NO_AXIS, 0, 1, 2),
        .b = ikati_matrices_of(&x, 0, 1, 2, 3),
        .c = ikati_matrices_of(&out->view, 0, 1, 2, 3),
        .depths = ikati_input_view(request, "lengths"),
        .num_batches = (uint32_t)shape[0],
        .num_heads = (uint32_t)shape[1],
        .num_rows = (uint32_t)num_rows,
        .num_columns = (uint32_t)shape[3],
        .depth = (uint32_t)shape[2],
        .scale = 1,
    };
    return status ? status : ikati_lower_gemm(lowering, &gemm);
}

static ikat_status lower(const ikati_request *request, ikati_lowering *lowering) {
    static const ikati_pooling poolings[] = {
        [MEAN] = IKATI_POOL_MEAN, [MAX] = IKATI_POOL_MAX, [CONV] = IKATI_POOL_CONV};
    const projection own = projection_of(request);
    const ikati_attend_windows windows = windows_of(request);
    const ikati_attention attention = ikati_attention_of_call(request);
    ikati_made_rows keys, values;
    ikat_status status;
    if (!ikati_extent(request, "B") || !ikati_extent(request, "N")) {
        return IKAT_OK;
    }
    if (own == LINEAR) {
        const bool has_own = ikati_input(request, "proj_v")->present;
        status = project(request, lowering, "k", "proj_k", &keys);
        status = status ? status
                        : project(request, lowering, "v", has_own ? "proj_v" : "proj_k", &values);
    } else {
        status = ikati_lower_windows(request, lowering, poolings[own], &windows, num_keys(request),
                                     &keys, &values);
    }
    return status ? status
                  : ikati_lower_made_attention(request, lowering, &windows, &keys, &values,
                                               &attention);
}

const ikati_mechanism ikati_mechanism_linformer = {
    .info =
        {
            .name = "linformer",
            .title = "Linformer",
            .citation = "Wang et al., Linformer: Self-Attention with Linear Complexity, "
                        "arXiv:2006.04768",
            .family = "low rank",
            .cost = "time O((M + N) K D) for K projected keys, windows O(M D + N K D); memory "
                    "O(K) a head beyond the tensors",
            .inputs = inputs,
            .num_inputs = IKATI_COUNT(inputs),
            .outputs = outputs,
            .num_outputs = IKATI_COUNT(outputs),
            .settings = settings,
            .num_settings = IKATI_COUNT(settings),
            .bench_inputs = "proj_k=1,256,M",
            .bench_settings =
                "scale=0.004", // benches draw rows of N(0,1): scores of the usual size
        },
    .cases = cases,
    .num_cases = IKATI_COUNT(cases),
    .check = check,
    .cost = cost,
    .lower = lower,
    .tolerance = tolerance,
};
