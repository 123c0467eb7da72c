// For variants whose workgroup is one subgroup of 8 invocations, on devices of type CPU. The kernel's parameters have
// unroll_guard, always 0: a zero that the compiler cannot see.

#define lane gl_SubgroupInvocationID

// Unrolled, so that register blocks are indexed by literals.
#define EACH(i, n) [[unroll]] for (int i = 0; i < n; ++i)

// Element x of lane `from`. The index is not quite a constant: drivers spend two instructions on a constant one.
#define SHARED(x, from) subgroupShuffle(x, uint(from) + p.unroll_guard)
