// Kernel `carry`: the recurrence over chunks, for each element of a state,
//   carried = given, or what an earlier step left, or 0;   for each chunk: carried = g carried + state of the chunk,
// g being the chunk's decay, or 1. With CARRY_PREFIX each chunk's state is replaced by what was carried before it.
#define CARRY_BINDINGS(X)                                                                                             \
    X(states, WRITE) X(fade, READ) X(state_s, READ) X(state_z, READ) X(carried, WRITE) X(s_out, WRITE) X(z_out, WRITE)

//   states        as kernel `outer` writes them
//   fade          as kernel `fade` writes it, with CARRY_FADE
//   state_s, state_z   with CARRY_GIVEN, float32, num_given rows of value_size and num_given elements
//   carried       one state, read with CARRY_CONTINUES, written at the end
//   s_out, z_out  the same at the end, as state_s and state_z, with CARRY_S_OUT, CARRY_Z_OUT
#define CARRY_PARAMS(X)                                                                                               \
    X(uint, base_states) X(uint, base_fade) X(uint, base_state_s) X(uint, base_state_z) X(uint, base_carried)         \
    X(uint, base_s_out) X(uint, base_z_out)                                                                           \
    X(uint, num_batches) X(uint, num_heads) X(uint, chunk) X(uint, num_chunks)                                        \
    X(uint, num_features) X(uint, num_given) X(uint, value_size) X(uint, value_stride)                                \
    X(uint, states_batch) X(uint, states_head) X(uint, states_chunk) X(uint, fade_batch) X(uint, fade_head)           \
    X(uint, s_batch) X(uint, s_head) X(uint, s_row) X(uint, z_batch) X(uint, z_head)                                  \
    X(uint, s_out_batch) X(uint, s_out_head) X(uint, s_out_row) X(uint, z_out_batch) X(uint, z_out_head)

#define CARRY_SPECIALISATION(X) X(0, OPTIONS)

#define CARRY_GIVEN 1u
#define CARRY_CONTINUES 2u
#define CARRY_FADE 4u
#define CARRY_PREFIX 8u
#define CARRY_S_OUT 16u
#define CARRY_Z_OUT 32u
