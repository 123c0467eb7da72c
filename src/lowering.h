// What a mechanism is lowered to: steps over tensors, scratch and constant tables. Knows no
// graphics API.

#ifndef IKATI_LOWERING_H
#define IKATI_LOWERING_H

#include "mechanism.h"

typedef enum ikati_slot_kind {
    IKATI_SLOT_NONE, // the kernel has the binding, this step does not use it
    IKATI_SLOT_INPUT,
    IKATI_SLOT_OUTPUT,
    IKATI_SLOT_SCRATCH, // intermediate results, placed in the workspace
    IKATI_SLOT_TABLE,   // constants, uploaded when the plan is made
} ikati_slot_kind;

// Part of a tensor that one binding of one step sees, in elements: `offset` from the start of the
// slot (for inputs and outputs the tensor's own `offset` is in it already), `count` from there to
// one past the last.
typedef struct ikati_operand {
    ikati_slot_kind kind;
    uint32_t index;
    ikat_dtype dtype;
    uint64_t offset;
    uint64_t count;
} ikati_operand;

// A part of an axis that a step computes.
typedef struct ikati_axis_range {
    uint32_t first, count;
} ikati_axis_range;

// The part that begins at `first` of an axis cut into parts of `most`.
static inline ikati_axis_range ikati_next_range(uint32_t first, uint32_t most, uint32_t total) {
    return (ikati_axis_range){first, total - first < most ? total - first : most};
}

// A stride as kernels take it; one that is not stepped along may be too large for 32 bits and is of
// no use.
static inline uint32_t ikati_step_of(uint64_t stride, uint32_t count) {
    return count > 1 ? (uint32_t)stride : 0;
}

// What rows and keys of an attention are to the whole of a call that has several, for
// ikat_plan_get_row: row r stands for queries first_query + (r << shift) to the next row's, keys alike.
// num_queries and num_keys of the whole; 0: the attention is the whole.
typedef struct ikati_share {
    uint32_t first_query, first_key, num_queries, num_keys, shift;
} ikati_share;

// One dispatch. `params` begins with one base offset a binding, filled when buffers are bound.
typedef struct ikati_step {
    const ikati_kernel *kernel;
    const ikati_variant *variant;
    uint32_t specialisation[IKATI_MAX_SPECIALISATION];
    uint8_t params[IKATI_MAX_PARAMS_BYTES];
    ikati_operand operands[IKATI_MAX_BINDINGS];
    uint64_t num_groups;
    double flops; // of the whole step, an upper bound; cuts it into slices
    double
        pairs; // (query, key) pairs that it computes, and tiles of queries; 0 where there are none
    uint64_t num_tiles;
    uint32_t first_batch, num_batches, first_head, num_heads; // whose pairs they are
    bool is_joint; // its rows see keys of other attentions besides
    ikati_share share;
    char name[96];
    const char *text;       // of a variant with IKATI_NEED_COMPILER; owned by the lowering
    const char *refused;    // why better variants were not taken; owned by the lowering
    ikati_program *program; // filled when the plan is made
} ikati_step;

// A range of scratch: alive from the first step that uses it to the last.
typedef struct ikati_scratch {
    uint64_t size_bytes;
    uint64_t offset_bytes; // in the workspace, once placed
    uint32_t first_step, last_step;
    bool used;
} ikati_scratch;

typedef struct ikati_table {
    void *data;
    uint64_t size_bytes;
    uint64_t offset_bytes;
} ikati_table;

struct ikati_lowering {
    const ikati_host *host;
    ikat_device *device;
    const char *forced_variant; // NULL: the best
    ikati_step *steps;
    uint32_t num_steps, max_steps;
    ikati_scratch *scratch;
    uint32_t num_scratch;
    ikati_table *tables;
    uint32_t num_tables;
    char **texts; // that steps point to
    uint32_t num_texts;
    uint64_t workspace_bytes;
    uint64_t tables_bytes;
};

// The limits of the device that is lowered for, and its type.
const ikat_device_info *ikati_lowering_device(const ikati_lowering *lowering);

// Whether rows of this type that do not start and end on 32-bit words must go through
// ikati_lowering_pack: kernels write whole words, and half of one may be another's.
bool ikati_lowering_packs(const ikati_lowering *lowering, ikat_dtype dtype);

// Workgroups that keep a device busy. Depends on the device alone, never on the slice budget, so
// that results do not.
uint64_t ikati_lowering_busy_groups(const ikati_lowering *lowering);

// Keys of so many columns that one workgroup of a variant may visit (ikati_variant.rounds); UINT64_MAX
// where nothing bounds them. It may be less than the variant takes in one step.
uint64_t ikati_lowering_max_keys(const ikati_lowering *lowering, const ikati_variant *variant,
                                 uint32_t size);

// Bytes that one binding may reach; slack for where it starts, an alignment before its tensor, is taken
// off. Kernels index with 32 bits, so it is never above 4 GiB.
uint64_t ikati_lowering_binding_bytes(const ikati_lowering *lowering);
// The same of a texel buffer of such elements, four a texel.
uint64_t ikati_lowering_texel_bytes(const ikati_lowering *lowering, uint64_t element_bytes);
// Whether texel buffers are large enough for tensors to be cut for them (IKATI_NEED_TEXEL).
bool ikati_lowering_takes_texels(const ikati_lowering *lowering);

// What a call offers to variants: the counterpart of ikati_variant's needs.
//
// offers  IKATI_NEED_FLOAT or HALF, ALIGNED4, TEXEL as they hold
// sizes   extents that a variant must hold; rows as in max_rows
// text    completes the sources of variants with IKATI_NEED_COMPILER; NULL: none. Kept by the lowering
typedef struct ikati_pick {
    uint32_t offers;
    uint32_t sizes[2];
    uint64_t num_rows;
    const char *text;
} ikati_pick;

// Starts a step: sets its kernel, and the best variant of it that device and call allow; `refused`
// says why better ones were not taken.
//
// IKAT_UNSUPPORTED (logged) if there is none, IKAT_COMPILE if there would be one but for the driver's
// compiler.
ikat_status ikati_pick_variant(ikati_lowering *lowering, ikati_kernel_id kernel,
                               const ikati_pick *pick, ikati_step *out_step);

// Keeps texts, copied into one, as long as the lowering's steps; NULL (logged) if memory ran out.
const char *ikati_lowering_text(ikati_lowering *lowering, const char *first, const char *second);

// Adds a scratch range; its index names it in operands. UINT32_MAX if memory ran out.
uint32_t ikati_lowering_scratch(ikati_lowering *lowering, uint64_t size_bytes);
// Adds a constant table, copied. UINT32_MAX if memory ran out.
uint32_t ikati_lowering_table(ikati_lowering *lowering, const void *data, uint64_t size_bytes);

// Adds a step that writes `data`, packed 32-bit elements in the tensor's shape, to output `index`,
// if the call wants it: what was drawn or decided when the plan is made.
ikat_status ikati_lowering_write_output(ikati_lowering *lowering, const ikati_request *request,
                                        uint32_t index, const void *data);

// Rows that steps write: what they reach, and the strides of batch, head and row.
typedef struct ikati_row_target {
    ikati_operand operand;
    uint32_t strides[3];
} ikati_row_target;

// What is written in the place of halves whose rows share 32-bit words with their neighbours, and then
// packed: float32 scratch, packed [batch, head, row, column]. counts are of batch, head and row.
// IKAT_NO_MEMORY.
ikat_status ikati_lowering_stage(ikati_lowering *lowering, const uint32_t counts[3],
                                 uint32_t columns, ikati_row_target *out_staged);
// Adds the step that writes what was staged to the halves.
ikat_status ikati_lowering_pack(ikati_lowering *lowering, const ikati_row_target *staged,
                                const ikati_row_target *to, const uint32_t counts[3],
                                uint32_t columns);

// Adds a step; `step` is copied, with kernel, variant, specialisation, params, operands, num_groups
// and flops set. Its name is made of kernel, type, variant and `options` (words led by dots, or
// "").
ikat_status ikati_lowering_step(ikati_lowering *lowering, const ikati_step *step, ikat_dtype dtype,
                                const char *options);

// Frees what the lowering owns.
void ikati_lowering_clear(ikati_lowering *lowering);

// Places scratch ranges in one workspace: ranges that are alive at the same time do not overlap.
// IKAT_NO_MEMORY.
ikat_status ikati_workspace_place(ikati_lowering *lowering);

// Cuts steps into launches and launches into slices of at most `slice_flops` (but at least one
// workgroup), with barriers where a launch reads or overwrites what an earlier one wrote. Arrays
// are the caller's to free.
ikat_status ikati_slices_cut(const ikati_lowering *lowering, double slice_flops,
                             ikati_launch **out_launches, uint32_t *out_num_launches,
                             uint32_t **out_slice_starts, uint32_t *out_num_slices);

// Declares a C struct from a kernel's X-macro of parameters.
#define IKATI_PARAM_uint uint32_t
#define IKATI_PARAM_int int32_t
#define IKATI_PARAM_float float
#define IKATI_PARAM_FIELD(type, name) IKATI_PARAM_##type name;

#endif
