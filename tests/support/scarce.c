#include "scarce.h"

#include <stdio.h>
#include <stdlib.h>

static void note(void *user, ikat_log_level level, ikat_message_id id, const char *text) {
    scarce *s = user;
    (void)level;
    s->id = id;
    snprintf(s->text, sizeof(s->text), "%s", text);
}

static void *allocate(void *user, size_t size_bytes) {
    scarce *s = user;
    void *block = s->num_left-- > 0 ? malloc(size_bytes) : NULL;
    s->num_live += block != NULL;
    return block;
}

static void *reallocate(void *user, void *block, size_t size_bytes) {
    scarce *s = user;
    void *grown = s->num_left-- > 0 ? realloc(block, size_bytes) : NULL;
    s->num_live += grown && !block;
    return grown;
}

static void release(void *user, void *block) {
    ((scarce *)user)->num_live -= block != NULL;
    free(block);
}

void scarce_open(scarce *out_scarce) {
    *out_scarce = (scarce){.num_left = INT64_MAX};
    out_scarce->host = (ikati_host){.allocator = {allocate, reallocate, release, out_scarce},
                                    .log = note,
                                    .log_user = out_scarce,
                                    .log_level = IKAT_LOG_ERROR,
                                    .max_threads = 1};
}
