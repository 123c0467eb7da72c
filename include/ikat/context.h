// The context: allocator, log, cache folder. Everything else is made from one; there are no
// globals.

#ifndef IKAT_CONTEXT_H
#define IKAT_CONTEXT_H

#include <ikat/types.h>

#ifdef __cplusplus
extern "C" {
#endif

// A context. Destroyed after everything made from it.
//
// Thread-safety: may be shared by threads once created.
typedef struct ikat_context ikat_context;

typedef enum ikat_log_level {
    IKAT_LOG_NONE = 0,
    IKAT_LOG_ERROR,   // why a call failed; once a failure
    IKAT_LOG_WARNING, // it works, but not as asked or as well as it could
    IKAT_LOG_INFO,    // which variants were taken, and why not the better ones
    IKAT_LOG_DEBUG,
} ikat_log_level;

// Identifies a message, so that programs and tests need not read English.
typedef enum ikat_message_id {
    IKAT_MESSAGE_OTHER = 0,
    IKAT_MESSAGE_NULL_ARGUMENT,
    IKAT_MESSAGE_UNKNOWN_MECHANISM,
    IKAT_MESSAGE_UNKNOWN_NAME,  // an input, setting or output that the mechanism does not have
    IKAT_MESSAGE_TWICE,         // a name given twice
    IKAT_MESSAGE_MISSING,       // a required input, or a binding
    IKAT_MESSAGE_CONTRADICTION, // two arguments that exclude each other
    IKAT_MESSAGE_RANK,
    IKAT_MESSAGE_SHAPE,
    IKAT_MESSAGE_DTYPE,
    IKAT_MESSAGE_STRIDE,
    IKAT_MESSAGE_RANGE,    // a setting or value outside its range, or not finite
    IKAT_MESSAGE_SYNTAX,   // a setting's text that cannot be parsed
    IKAT_MESSAGE_OVERFLOW, // a size that does not fit
    IKAT_MESSAGE_BUFFER,   // a buffer too small, misaligned, or of another device
    IKAT_MESSAGE_VARIANT,  // which variant was taken or refused
    IKAT_MESSAGE_COMPILE,
    IKAT_MESSAGE_MEMORY,
    IKAT_MESSAGE_DEVICE, // a device or its driver: absent, lost, failing
    IKAT_MESSAGE_CACHE,
} ikat_message_id;

// Receives one message: one line, no line feed, valid during the call only. May be called from any
// thread that calls the library; must not call the library.
typedef void (*ikat_log_fn)(void *user, ikat_log_level level, ikat_message_id id, const char *text);

// Host memory. `allocate` and `reallocate` return NULL on failure; `reallocate` keeps the old block
// then. Alignment as malloc's. All three set or all three NULL (the C library's).
typedef struct ikat_allocator {
    void *(*allocate)(void *user, size_t size_bytes);
    void *(*reallocate)(void *user, void *block, size_t size_bytes);
    void (*release)(void *user, void *block);
    void *user;
} ikat_allocator;

// A zeroed structure means the defaults.
//
// cache_dir  folder for compiled programs, made if absent (its parent must exist); NULL: nothing is
//            kept on disk. Files in it are keyed by kernel, compiler, device and driver; damaged or
//            foreign ones are ignored and replaced
// log        NULL: silent
// log_level  messages above it are not formatted; 0 with a log set means IKAT_LOG_WARNING
// max_threads  threads of the `cpu` device; 0: one a processor
typedef struct ikat_context_params {
    ikat_allocator allocator;
    ikat_log_fn log;
    void *log_user;
    ikat_log_level log_level;
    const char *cache_dir;
    uint32_t max_threads;
} ikat_context_params;

// Creates a context. Loads no driver yet.
//
// params       NULL: the defaults
// out_context  NULL on failure
//
// IKAT_NO_MEMORY, or IKAT_INVALID for an allocator with a function missing.
IKAT_API ikat_status ikat_context_create(const ikat_context_params *params,
                                         ikat_context **out_context);

// Destroys a context and leaves NULL. Its devices must have been destroyed.
IKAT_API void ikat_context_destroy(ikat_context **context);

#ifdef __cplusplus
}
#endif

#endif
