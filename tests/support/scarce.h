// A host that counts its blocks, can run out of memory and keeps the last error.

#ifndef TESTS_SCARCE_H
#define TESTS_SCARCE_H

#include "src/host.h"

// num_left  allocations until memory is out, for good; scarce_open sets it to as many as there are
typedef struct scarce {
    ikati_host host; // its user data is this: not to be moved
    ikat_message_id id;
    char text[256];
    int64_t num_live, num_left;
} scarce;

void scarce_open(scarce *out_scarce);

#endif
