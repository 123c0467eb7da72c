// Host memory, log, checked sizes, time.

#if !defined(_WIN32) && !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif

#include "host.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#include <windows.h>
#else
#include <time.h>
#endif

enum { LOG_LINE_BYTES = 1024 };

// False (logged) if count * size overflows. Never gives 0, so that an empty block is a block too.
static bool block_size(const ikati_host *host, size_t count, size_t size, size_t *out_size) {
    uint64_t product = 0;
    if (!ikati_mul_size(count, size, &product) || product > SIZE_MAX) {
        ikati_log(host, IKAT_LOG_ERROR, IKAT_MESSAGE_OVERFLOW,
                  "%llu blocks of %llu bytes do not fit in memory", (unsigned long long)count,
                  (unsigned long long)size);
        return false;
    }
    *out_size = product > 0 ? (size_t)product : 1;
    return true;
}

static void *log_no_memory(const ikati_host *host, size_t size) {
    ikati_log(host, IKAT_LOG_ERROR, IKAT_MESSAGE_MEMORY, "out of host memory: %llu bytes wanted",
              (unsigned long long)size);
    return NULL;
}

void *ikati_alloc(const ikati_host *host, size_t count, size_t size) {
    size_t total = 0;
    if (!block_size(host, count, size, &total)) {
        return NULL;
    }
    const ikat_allocator *allocator = &host->allocator;
    if (!allocator->allocate) {
        void *block = calloc(1, total);
        return block ? block : log_no_memory(host, total);
    }
    void *block = allocator->allocate(allocator->user, total);
    return block ? memset(block, 0, total) : log_no_memory(host, total);
}

void *ikati_resize(const ikati_host *host, void *block, size_t count, size_t size) {
    if (!block) {
        return ikati_alloc(host, count, size);
    }
    size_t total = 0;
    if (!block_size(host, count, size, &total)) {
        return NULL;
    }
    const ikat_allocator *allocator = &host->allocator;
    void *grown = allocator->reallocate ? allocator->reallocate(allocator->user, block, total)
                                        : realloc(block, total);
    return grown ? grown : log_no_memory(host, total);
}

void ikati_free(const ikati_host *host, void *block) {
    if (!block) {
        return;
    }
    const ikat_allocator *allocator = &host->allocator;
    if (allocator->release) {
        allocator->release(allocator->user, block);
    } else {
        free(block);
    }
}

char *ikati_copy_text(const ikati_host *host, const char *text) {
    if (!text) {
        return NULL;
    }
    const size_t size = strlen(text) + 1;
    char *copy = ikati_alloc(host, size, 1);
    return copy ? memcpy(copy, text, size) : NULL;
}

static void log_line(const ikati_host *host, ikat_log_level level, ikat_message_id id,
                     const char *format, va_list arguments) {
    if (!host || !host->log || level > host->log_level) {
        return;
    }
    char line[LOG_LINE_BYTES];
    if (vsnprintf(line, sizeof(line), format, arguments) < 0) {
        return;
    }
    // Drivers' texts come with line feeds; a message is one line.
    for (char *c = line; *c; c++) {
        if (*c == '\n' || *c == '\r') {
            *c = ' ';
        }
    }
    host->log(host->log_user, level, id, line);
}

void ikati_log(const ikati_host *host, ikat_log_level level, ikat_message_id id, const char *format,
               ...) {
    va_list arguments;
    va_start(arguments, format);
    log_line(host, level, id, format, arguments);
    va_end(arguments);
}

ikat_status ikati_fail(const ikati_host *host, ikat_status status, ikat_message_id id,
                       const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    log_line(host, IKAT_LOG_ERROR, id, format, arguments);
    va_end(arguments);
    return status;
}

bool ikati_mul_size(uint64_t a, uint64_t b, uint64_t *out) {
    if (a != 0 && b > UINT64_MAX / a) {
        return false;
    }
    *out = a * b;
    return true;
}

bool ikati_add_size(uint64_t a, uint64_t b, uint64_t *out) {
    if (b > UINT64_MAX - a) {
        return false;
    }
    *out = a + b;
    return true;
}

uint64_t ikati_now_ns(void) {
    const uint64_t second = 1000000000u;
#ifdef _WIN32
    LARGE_INTEGER ticks, frequency;
    QueryPerformanceCounter(&ticks);
    QueryPerformanceFrequency(&frequency);
    const uint64_t count = (uint64_t)ticks.QuadPart, rate = (uint64_t)frequency.QuadPart;
    return count / rate * second + count % rate * second / rate;
#else
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * second + (uint64_t)now.tv_nsec;
#endif
}
