// Threads, shared libraries and the few file operations that C lacks, on POSIX and on Windows.

#if !defined(_WIN32) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE // sched_getaffinity
#endif

#include "platform.h"

#include <stddef.h>
#include <string.h>

#ifdef _WIN32
#include <windows.h>
#else
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sched.h>
#endif
#endif

// More than one thread a processor gains nothing; a bound keeps the handles on the stack.
enum { MAX_THREADS = 256 };

typedef struct worker {
    void (*body)(void *user, uint32_t worker);
    void *user;
    uint32_t index;
} worker;

#ifdef _WIN32

_Static_assert(sizeof(SRWLOCK) == sizeof(void *), "ikati_mutex holds an SRWLOCK");

bool ikati_mutex_init(ikati_mutex mutex) {
    InitializeSRWLock((PSRWLOCK)mutex);
    return true;
}

void ikati_mutex_destroy(ikati_mutex mutex) { (void)mutex; }
void ikati_mutex_lock(ikati_mutex mutex) { AcquireSRWLockExclusive((PSRWLOCK)mutex); }
void ikati_mutex_unlock(ikati_mutex mutex) { ReleaseSRWLockExclusive((PSRWLOCK)mutex); }

uint32_t ikati_num_processors(void) {
    DWORD_PTR process = 0, system = 0;
    uint32_t count = 0;
    if (GetProcessAffinityMask(GetCurrentProcess(), &process, &system)) {
        for (; process; process &= process - 1) {
            count++;
        }
    }
    return count > 0 ? count : 1;
}

uint64_t ikati_memory_bytes(void) {
    MEMORYSTATUSEX status = {.dwLength = sizeof(status)};
    return GlobalMemoryStatusEx(&status) ? status.ullTotalPhys : 0;
}

typedef HANDLE thread_handle;

static DWORD WINAPI run_worker(void *argument) {
    const worker *self = argument;
    self->body(self->user, self->index);
    return 0;
}

static bool start_thread(thread_handle *thread, worker *self) {
    *thread = CreateThread(NULL, 0, run_worker, self, 0, NULL);
    return *thread != NULL;
}

static void join_thread(thread_handle thread) {
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
}

void ikati_sleep_us(uint32_t time_us) { Sleep((time_us + 999) / 1000); }

void *ikati_library_open(const char *name) { return (void *)LoadLibraryA(name); }
void ikati_library_close(void *library) { FreeLibrary((HMODULE)library); }

ikati_function ikati_library_function(void *library, const char *name) {
    return (ikati_function)GetProcAddress((HMODULE)library, name);
}

bool ikati_folder_make(const char *path) {
    return CreateDirectoryA(path, NULL) || GetLastError() == ERROR_ALREADY_EXISTS;
}

bool ikati_file_replace(const char *from, const char *to) {
    return MoveFileExA(from, to, MOVEFILE_REPLACE_EXISTING) != 0;
}

uint64_t ikati_process_id(void) { return GetCurrentProcessId(); }

#else

bool ikati_mutex_init(ikati_mutex mutex) { return pthread_mutex_init(mutex, NULL) == 0; }
void ikati_mutex_destroy(ikati_mutex mutex) { pthread_mutex_destroy(mutex); }
void ikati_mutex_lock(ikati_mutex mutex) { pthread_mutex_lock(mutex); }
void ikati_mutex_unlock(ikati_mutex mutex) { pthread_mutex_unlock(mutex); }

uint32_t ikati_num_processors(void) {
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0) {
        return (uint32_t)CPU_COUNT(&set);
    }
#endif
    const long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (uint32_t)count : 1;
}

uint64_t ikati_memory_bytes(void) {
    const long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    return pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes : 0;
}

typedef pthread_t thread_handle;

static void *run_worker(void *argument) {
    const worker *self = argument;
    self->body(self->user, self->index);
    return NULL;
}

static bool start_thread(thread_handle *thread, worker *self) {
    return pthread_create(thread, NULL, run_worker, self) == 0;
}

static void join_thread(thread_handle thread) { pthread_join(thread, NULL); }

void ikati_sleep_us(uint32_t time_us) {
    const struct timespec time = {.tv_sec = time_us / 1000000,
                                  .tv_nsec = (long)(time_us % 1000000) * 1000};
    nanosleep(&time, NULL);
}

void *ikati_library_open(const char *name) { return dlopen(name, RTLD_NOW | RTLD_LOCAL); }
void ikati_library_close(void *library) { dlclose(library); }

ikati_function ikati_library_function(void *library, const char *name) {
    // ISO C has no cast from object to function pointers; POSIX promises that the bytes are the
    // same.
    ikati_function function = NULL;
    void *symbol = dlsym(library, name);
    memcpy(&function, &symbol, sizeof(function));
    return function;
}

bool ikati_folder_make(const char *path) { return mkdir(path, 0777) == 0 || errno == EEXIST; }
bool ikati_file_replace(const char *from, const char *to) { return rename(from, to) == 0; }
uint64_t ikati_process_id(void) { return (uint64_t)getpid(); }

#endif

void ikati_run_threads(uint32_t num_workers, void (*body)(void *user, uint32_t worker),
                       void *user) {
    thread_handle threads[MAX_THREADS];
    worker workers[MAX_THREADS];
    uint32_t num_threads = 0;

    // The calling thread takes worker 0, and whatever no thread could be started for.
    for (uint32_t index = 1; index < num_workers && num_threads < MAX_THREADS; index++) {
        workers[num_threads] = (worker){body, user, index};
        if (!start_thread(&threads[num_threads], &workers[num_threads])) {
            break;
        }
        num_threads++;
    }
    if (num_workers > 0) {
        body(user, 0);
    }
    for (uint32_t index = num_threads + 1; index < num_workers; index++) {
        body(user, index);
    }
    for (uint32_t i = 0; i < num_threads; i++) {
        join_thread(threads[i]);
    }
}
