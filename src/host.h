// Small services that the core and every backend use: host memory, log, overflow-checked sizes.

#ifndef IKATI_HOST_H
#define IKATI_HOST_H

#include <ikat/context.h>

// What a context hands down. Constant once the context exists.
typedef struct ikati_host {
    ikat_allocator allocator;
    ikat_log_fn log;
    void *log_user;
    ikat_log_level log_level;
    char *cache_dir; // NULL: nothing on disk
    uint32_t max_threads;
} ikati_host;

#if defined(__GNUC__)
#define IKATI_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))
#else
#define IKATI_PRINTF(format, first)
#endif

// Allocates count * size zeroed bytes; NULL (logged) if memory is out or the product overflows. A
// count of 0 gives a valid block.
void *ikati_alloc(const ikati_host *host, size_t count, size_t size);
// Grows a block to count * size bytes; the old block stays on failure (NULL, logged).
void *ikati_resize(const ikati_host *host, void *block, size_t count, size_t size);
// Frees a block; NULL is fine.
void ikati_free(const ikati_host *host, void *block);
// Copies a string; NULL gives NULL without a message.
char *ikati_copy_text(const ikati_host *host, const char *text);

// Logs one line, if the level is wanted.
void ikati_log(const ikati_host *host, ikat_log_level level, ikat_message_id id, const char *format,
               ...) IKATI_PRINTF(4, 5);
// Logs an error and returns `status`, so that a failure is one line where it happens.
ikat_status ikati_fail(const ikati_host *host, ikat_status status, ikat_message_id id,
                       const char *format, ...) IKATI_PRINTF(4, 5);

// Products and sums of sizes; false on overflow.
bool ikati_mul_size(uint64_t a, uint64_t b, uint64_t *out);
bool ikati_add_size(uint64_t a, uint64_t b, uint64_t *out);

static inline uint64_t ikati_round_up(uint64_t value, uint64_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}
static inline uint64_t ikati_divide_up(uint64_t value, uint64_t divisor) {
    return (value + divisor - 1) / divisor;
}

// Host time in nanoseconds, monotonic.
uint64_t ikati_now_ns(void);

#endif
