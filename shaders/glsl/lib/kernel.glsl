// What every kernel starts with: the parameter block and the specialisation constants of
// params/<kernel>.h. The including file has defined KERNEL_PARAMS and KERNEL_SPECIALISATION.
//
// first_group: the slice's first workgroup. Dispatches are one-dimensional and at most 65535 groups
// long; a kernel's group number is first_group + gl_WorkGroupID.x, and the plan never dispatches
// past the last one.
#define X(type, name) type name;
layout(std140, set = 0, binding = 15) uniform Params { KERNEL_PARAMS(X) } p;
#undef X
#define X(id, name) layout(constant_id = id) const uint name = 0u;
KERNEL_SPECIALISATION(X)
#undef X
layout(push_constant) uniform Slice { uint first_group; } slice;

uint group_index() { return slice.first_group + gl_WorkGroupID.x; }
