// Between star.c (what it is) and star_lower.c (how it becomes steps).

#ifndef IKATI_STAR_H
#define IKATI_STAR_H

#include "../attention.h"
#include "../lower_attend.h"
#include "../shape.h"

// The words of setting step, in their order.
typedef enum ikati_star_step {
    IKATI_STAR_FULL,
    IKATI_STAR_RING,
    IKATI_STAR_RELAY,
} ikati_star_step;

ikati_star_step ikati_star_step_of(const ikati_request *request);
// Rounds of step full: the setting, or L.
int64_t ikati_star_rounds(const ikati_request *request);

ikat_status ikati_star_lower(const ikati_request *request, ikati_lowering *lowering);
ikat_status ikati_star_lower_full(const ikati_request *request, ikati_lowering *lowering);

// What kernel `ring` reads of the relay: 32-bit words of scratch, see shaders/params/ring.h.
typedef struct ikati_relay_table {
    uint32_t scratch;
    uint32_t k_at, v_at, num_words;
} ikati_relay_table;

// Adds the table's scratch, and copies lengths, if there are any, to its beginning.
ikat_status ikati_relay_table_create(ikati_lowering *lowering, const ikati_view *lengths,
                                     int64_t num_batches, int64_t keys_size, int64_t values_size,
                                     ikati_relay_table *out_table);

// The satellites' attention; views are [B,H,N,D] and the like, k_emb, v_emb and lse may be absent.
typedef struct ikati_ring_attention {
    ikati_view q, k, v, k_emb, v_emb, out, lse;
    ikati_relay_table table;
    bool has_lengths;
    const int32_t *head_mask; // NULL: all heads are kept
    double scale;
} ikati_ring_attention;

ikat_status ikati_lower_ring(ikati_lowering *lowering, const ikati_ring_attention *ring);

// The relay's attention: q [B,H,1,D], satellites' k and v, its own key and value; of ikati_attention
// also lengths, out, lse, head_mask and scale.
ikat_status ikati_lower_relay(ikati_lowering *lowering, const ikati_attention *satellites,
                              const ikati_view *k_relay, const ikati_view *v_relay);

#endif
