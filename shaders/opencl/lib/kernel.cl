// What every kernel starts with: the parameter block of params/<kernel>.h and the kernel's group
// number. The including file has defined KERNEL_PARAMS; the build defines OPTIONS.
//
// first_group: the slice's first work-group. Dispatches are one-dimensional; the plan never goes
// past the last group.
#define X(type, name) type name;
typedef struct Params {
    KERNEL_PARAMS(X)
} Params;
#undef X

static inline bool has(uint option) { return (OPTIONS & option) != 0u; }

static inline uint group_index(uint first_group) { return first_group + (uint)get_group_id(0); }
