// What differs between operating systems: threads, shared libraries. (C11 <threads.h> is not
// everywhere.)

#ifndef IKATI_PLATFORM_H
#define IKATI_PLATFORM_H

#include <stdbool.h>
#include <stdint.h>

#ifdef _WIN32
typedef void *ikati_mutex[1]; // an SRWLOCK
#else
#include <pthread.h>
typedef pthread_mutex_t ikati_mutex[1];
#endif

bool ikati_mutex_init(ikati_mutex mutex);
void ikati_mutex_destroy(ikati_mutex mutex);
void ikati_mutex_lock(ikati_mutex mutex);
void ikati_mutex_unlock(ikati_mutex mutex);

// Number of processors that this process may use; at least 1.
uint32_t ikati_num_processors(void);
// Bytes of physical memory; 0 if unknown.
uint64_t ikati_memory_bytes(void);

// Runs body(user, worker) for worker = 0..num_workers-1 on as many threads and waits for all. Where
// a thread cannot be started, its body runs on the calling thread.
void ikati_run_threads(uint32_t num_workers, void (*body)(void *user, uint32_t worker), void *user);

// Sleeps for about so long.
void ikati_sleep_us(uint32_t time_us);

// Opens a shared library by name; NULL if there is none.
void *ikati_library_open(const char *name);
void ikati_library_close(void *library);
// Looks up a function; NULL if it is not there. The type is the caller's to cast to.
typedef void (*ikati_function)(void);
ikati_function ikati_library_function(void *library, const char *name);

// Makes a folder, unless it is there; its parent must exist.
bool ikati_folder_make(const char *path);
// Renames a file over another, in one step: whoever opens `to` sees the old file or the new one.
bool ikati_file_replace(const char *from, const char *to);
uint64_t ikati_process_id(void);

#endif
