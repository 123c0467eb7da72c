// Plans, bindings, running: from a mechanism's name to work on a device.
//
// A plan is one mechanism prepared for given shapes on one device: checked, lowered to steps,
// compiled. Bindings tie a plan's tensors to buffers. A plan and its bindings can be run any number
// of times.

#ifndef IKAT_PLAN_H
#define IKAT_PLAN_H

#include <ikat/buffer.h>
#include <ikat/mechanism.h>

#ifdef __cplusplus
extern "C" {
#endif

// A value for one setting, by name.
//
// type   IKAT_SETTING_TEXT: `text` holds the value as the command line takes it ("256", "1,2",
//        "0.5")
//        IKAT_SETTING_WORD, IKAT_SETTING_STRING: `text` holds the word or string
//        IKAT_SETTING_INT_LIST: `integers`, borrowed for the call that takes the setting
typedef struct ikat_setting {
    const char *name;
    ikat_setting_type type;
    union {
        const char *text;
        int64_t integer;
        double number;
        struct {
            const int64_t *items;
            uint32_t count;
        } integers;
    } value;
} ikat_setting;

static inline ikat_setting ikat_setting_text(const char *name, const char *text) {
    ikat_setting setting;
    setting.name = name;
    setting.type = IKAT_SETTING_TEXT;
    setting.value.text = text;
    return setting;
}

static inline ikat_setting ikat_setting_int(const char *name, int64_t integer) {
    ikat_setting setting;
    setting.name = name;
    setting.type = IKAT_SETTING_INT;
    setting.value.integer = integer;
    return setting;
}

static inline ikat_setting ikat_setting_float(const char *name, double number) {
    ikat_setting setting;
    setting.name = name;
    setting.type = IKAT_SETTING_FLOAT;
    setting.value.number = number;
    return setting;
}

static inline ikat_setting ikat_setting_integers(const char *name, const int64_t *items,
                                                 uint32_t count) {
    ikat_setting setting;
    setting.name = name;
    setting.type = IKAT_SETTING_INT_LIST;
    setting.value.integers.items = items;
    setting.value.integers.count = count;
    return setting;
}

static inline ikat_setting ikat_setting_word(const char *name, const char *word) {
    ikat_setting setting;
    setting.name = name;
    setting.type = IKAT_SETTING_WORD;
    setting.value.text = word;
    return setting;
}

static inline ikat_setting ikat_setting_string(const char *name, const char *string) {
    ikat_setting setting;
    setting.name = name;
    setting.type = IKAT_SETTING_STRING;
    setting.value.text = string;
    return setting;
}

// A tensor by name. For an output a zeroed `tensor` (dtype IKAT_DTYPE_NONE) means: as inferred,
// packed.
//
// values  of a structure input (ikat_argument_info.structure): the elements, packed row-major in
//         the tensor's shape and dtype, on the host; copied by the call that takes them. NULL for
//         every other tensor: those are bound to buffers
typedef struct ikat_argument {
    const char *name;
    ikat_tensor tensor;
    const void *values;
} ikat_argument;

// A zeroed structure with mechanism and inputs set means the defaults.
//
// outputs      which outputs to make; none: the mechanism's main one
// variant      takes only variants whose name contains this text, for every kernel that has one
//              such; a full name as ikat_variant_at returns it takes that very one, and leaves
//              other kernels alone; NULL: the best
// slice_flops  work budget of one slice; 0: the device's default. Never changes results
// rows         only these positions of axis N of the outputs need be computed: ascending, each once,
//              below N; what the others then hold is undefined. A hint, so that a few rows of a
//              large result can be checked: the `cpu` device honours it, others compute all. None:
//              all
typedef struct ikat_plan_params {
    const char *mechanism;
    const ikat_argument *inputs;
    uint32_t num_inputs;
    const ikat_setting *settings;
    uint32_t num_settings;
    const ikat_argument *outputs;
    uint32_t num_outputs;
    const char *variant;
    double slice_flops;
    const int64_t *rows;
    uint32_t num_rows;
} ikat_plan_params;

// A prepared call. Immutable.
//
// Thread-safety: may be shared by threads; each thread that runs it at the same time has its own
// bindings.
typedef struct ikat_plan ikat_plan;

// Prepares one mechanism for given shapes on one device: checks, lowers, compiles. Strings and
// arrays of `params` may be freed afterwards.
//
// out_plan  NULL on failure; destroy it before its device
//
// IKAT_INVALID     a shape, name or value is wrong (the log says which and what was expected)
// IKAT_UNSUPPORTED this device can run no variant of some step, or cannot bind or allocate what it
//                  needs; or the mechanism cannot be part of another, on any device (local_global)
// IKAT_COMPILE     it should, but every variant's compilation failed
// IKAT_NO_MEMORY, IKAT_DEVICE_LOST
IKAT_API ikat_status ikat_plan_create(ikat_device *device, const ikat_plan_params *params,
                                      ikat_plan **out_plan);

// Prepares the same call for other shapes or other structure: same mechanism, settings, outputs,
// rows, input names and types. Shares every compiled program, so that nothing is compiled unless
// another variant suits the new shapes better, or a pattern sees every pair now and becomes dense.
// The old plan stays valid.
//
// tensors   inputs whose tensor or values change, and outputs whose strides do; other inputs stay. So
//           do outputs that were described with strides or an offset, and must still fit; others
//           become what the new shapes make them
// out_plan  NULL on failure; destroy it before its device
//
// IKAT_INVALID besides, if the plan has no such tensor, or the main tensors have another type.
// Else as ikat_plan_create.
IKAT_API ikat_status ikat_plan_derive(const ikat_plan *plan, const ikat_argument *tensors,
                                      uint32_t num_tensors, ikat_plan **out_plan);

// Destroys a plan and leaves NULL. Its bindings must have been destroyed.
IKAT_API void ikat_plan_destroy(ikat_plan **plan);

// Tells dtype, shape and strides of an input or output of the plan, by name; of the output where a
// structure input has the same name.
//
// IKAT_INVALID if the plan has no such tensor.
IKAT_API ikat_status ikat_plan_get_tensor(const ikat_plan *plan, const char *name,
                                          ikat_tensor *out_tensor);

// Names the outputs that the plan makes, in order; NULL past the last.
IKAT_API const char *ikat_plan_output_name(const ikat_plan *plan, uint32_t index);

// What the plan will do, for benches and people.
//
// flops            of the mechanism's own arithmetic: visible pairs only, multiply and add counted
//                  apart
// bytes            read and written at the least
// visible_pairs    (query, key) pairs that the mask leaves; 0 where that has no meaning. Lengths
//                  are taken as full
// computed_pairs   pairs that kernels compute: whole tiles. 0 on the `cpu` device, and where that has
//                  no meaning
// num_tiles        tiles of queries, over batches, heads and steps
// workspace_bytes  scratch that bindings need (0: none); table_bytes: constant tables that the plan
//                  keeps on the device
// create_time_ns   how long ikat_plan_create took; compile_time_ns of it in the driver's compiler
typedef struct ikat_plan_info {
    const char *mechanism;
    double flops;
    double bytes;
    double visible_pairs;
    double computed_pairs;
    uint64_t num_tiles;
    uint64_t workspace_bytes;
    uint64_t table_bytes;
    uint32_t num_steps;
    uint32_t num_slices;
    uint64_t create_time_ns;
    uint64_t compile_time_ns;
    uint32_t programs_compiled;
} ikat_plan_info;

IKAT_API void ikat_plan_get_info(const ikat_plan *plan, ikat_plan_info *out_info);

// One step of a plan: one kernel over some workgroups. A plan on the `cpu` device has none: it is
// one call of the reference.
//
// kernel   what runs, in full: "attend.f32.lane_d64_texel.window.lse"
// refused  why better variants were not taken, in words; may be empty
typedef struct ikat_step_info {
    const char *kernel;
    const char *refused;
    uint64_t num_groups;
    uint32_t group_size;
    uint32_t num_slices;
    double flops;
} ikat_step_info;

// Describes step `index`; its strings live as long as the plan.
//
// IKAT_INVALID past the last step.
IKAT_API ikat_status ikat_plan_get_step(const ikat_plan *plan, uint32_t index,
                                        ikat_step_info *out_step);

// Which (query, key) pairs a plan with softmax over keys computes: the extents of its pairs.
typedef struct ikat_plan_pairs {
    uint32_t num_batches, num_heads;
    uint32_t num_queries, num_keys;
} ikat_plan_pairs;

typedef enum ikat_pair {
    IKAT_PAIR_NONE = 0,    // not computed
    IKAT_PAIR_MASKED = 1,  // computed, because its tile is, and left out of the result
    IKAT_PAIR_VISIBLE = 2, // the key is among those that the row of the result averages over
} ikat_pair;

// Tells the extents of a plan's pairs, for ikat_plan_get_row.
//
// IKAT_UNSUPPORTED (logged) a plan without pairs that are known before it runs: no softmax over keys,
//                  positions that the device decides on, or the `cpu` device, which has no steps.
//                  Device `null` plans for any GPU without having one
IKAT_API ikat_status ikat_plan_get_pairs(const ikat_plan *plan, ikat_plan_pairs *out_pairs);

// Reads one row of the result back from a plan's steps: what its kernels do with each key. Lengths
// are taken as full, and no score is -inf. Takes time in the number of tiles: for pictures and tests.
//
// out_keys   num_keys elements, of ikat_pair each
// out_tiles  num_keys elements: the number of the first tile that computes the pair, counted from 1
//            within the batch entry and head, 0 where it is not computed. Rows and keys of a tile
//            need not be neighbours; runs of neighbours are one tile. NULL: not wanted
//
// IKAT_INVALID     batch, head or query is out of bounds
// IKAT_UNSUPPORTED as ikat_plan_get_pairs
IKAT_API ikat_status ikat_plan_get_row(const ikat_plan *plan, uint32_t batch, uint32_t head,
                                       uint32_t query, uint8_t *out_keys, uint32_t *out_tiles);

// Names the variants that a backend may run, "attend.lane_d64", whether or not this machine has a
// device for them; NULL past the last, and for a backend without any (`cpu`). For
// ikat_plan_params.variant.
//
// Thread-safety: may be called from any thread.
IKAT_API const char *ikat_variant_at(const char *backend, uint32_t index);

// Returns the largest relative L2 error that an output may have against the float64 reference, by
// the mechanism's own page.
IKAT_API double ikat_plan_tolerance(const ikat_plan *plan, const char *output);

// A buffer for one tensor of a plan.
//
// offset_bytes  where the tensor's binding starts (its `offset` in elements counts from there): a
//               multiple of 16
typedef struct ikat_binding {
    const char *name;
    ikat_buffer *buffer;
    uint64_t offset_bytes;
} ikat_binding;

// A zeroed structure with `tensors` set means the defaults.
//
// tensors    one a tensor of the plan: every input that was given, every output that is made;
//            structure inputs are part of the plan and are not bound
// workspace  scratch of at least workspace_bytes at workspace_offset_bytes (a multiple of 256);
//            NULL: the bindings allocate their own
typedef struct ikat_bindings_params {
    const ikat_binding *tensors;
    uint32_t num_tensors;
    ikat_buffer *workspace;
    uint64_t workspace_offset_bytes;
} ikat_bindings_params;

// A plan tied to buffers: descriptor sets or kernel arguments, made once. The buffers must outlive
// it.
//
// Thread-safety: one run at a time.
typedef struct ikat_bindings ikat_bindings;

// Ties a plan to buffers.
//
// out_bindings  NULL on failure; destroy it before its plan and its buffers
//
// IKAT_INVALID if a tensor is missing, unknown or given twice, or a buffer is too small, misaligned
// or of another device.
IKAT_API ikat_status ikat_bindings_create(const ikat_plan *plan, const ikat_bindings_params *params,
                                          ikat_bindings **out_bindings);

// Destroys bindings and leaves NULL. Waits for submissions that still use them.
IKAT_API void ikat_bindings_destroy(ikat_bindings **bindings);

// Runs all slices and waits. Errors as ikat_plan_submit.
IKAT_API ikat_status ikat_plan_run(const ikat_plan *plan, ikat_bindings *bindings);

// Submits slices [first_slice, first_slice + num_slices) to the device's queue, after everything
// submitted before. A plan has at least one slice; running all of them in order is one run. The
// `cpu` device computes before this returns.
//
// num_slices  0: all from first_slice on
// out_ticket  for ikat_device_wait; may be NULL
//
// IKAT_INVALID     there are no such slices, or the bindings belong to another plan
// IKAT_UNSUPPORTED the device was adopted without a queue
// IKAT_NO_MEMORY, IKAT_DEVICE_LOST
//
// Thread-safety: may be called from any thread, with different bindings.
IKAT_API ikat_status ikat_plan_submit(const ikat_plan *plan, ikat_bindings *bindings,
                                      uint32_t first_slice, uint32_t num_slices,
                                      ikat_ticket *out_ticket);

// Host memory for one tensor of a plan.
//
// data        laid out as the plan's tensor is, its `offset` included: what would be bound to it.
//             Inputs are only read
// size_bytes  at least what ikat_tensor_size_bytes says; 0, with any `data`, for an empty tensor
typedef struct ikat_array {
    const char *name;
    void *data;
    uint64_t size_bytes;
} ikat_array;

// Runs a plan once over host memory: makes buffers and bindings, copies inputs to the device, runs
// all slices, waits, copies outputs back, frees what it made. For tools and first steps; what runs
// every frame keeps its buffers and bindings.
//
// arrays  one a tensor of the plan: every input that was given, every output that is made. What an
//         output's strides skip keeps its value. On failure outputs may hold anything
//
// IKAT_INVALID     an array is missing, unknown, given twice or too small
// IKAT_UNSUPPORTED an adopted device without a queue
// IKAT_NO_MEMORY   the device has no room for the tensors and the workspace
//
// Thread-safety: several threads may run one plan at the same time.
IKAT_API ikat_status ikat_plan_run_arrays(const ikat_plan *plan, const ikat_array *arrays,
                                          uint32_t num_arrays);

#ifdef __cplusplus
}
#endif

#endif
