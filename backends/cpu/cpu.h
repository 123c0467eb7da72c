// The CPU backend: host memory, and plans that are one call of a mechanism's reference.
//
// There is one device, "cpu:0". It computes while a call is submitted, so that whatever was
// submitted is complete.

#ifndef IKATI_CPU_H
#define IKATI_CPU_H

#include "../backend.h"

#include "../../src/platform.h"

enum { CPU_NUM_TIMES = 64, CPU_ALIGNMENT = 64, CPU_MAX_THREADS = 256 };

typedef struct cpu_driver {
    const ikati_host *host;
} cpu_driver;

// queue  held by whatever must happen in order: calls, writes, reads
// lock   protects the members below it, for moments only: waiting and asking never wait for a call
// in progress
typedef struct cpu_port {
    const ikati_host *host;
    uint32_t num_threads;
    ikati_mutex queue;
    ikati_mutex lock;
    ikat_ticket last_ticket;       // 0: none yet
    uint64_t times[CPU_NUM_TIMES]; // of ticket t in slot t % CPU_NUM_TIMES
    ikat_device_statistics statistics;
} cpu_port;

typedef struct cpu_memory {
    void *block;   // what was allocated
    uint8_t *data; // its first aligned byte
    uint64_t size_bytes;
} cpu_memory;

// What a reference gets: a call whose tensors' `data` are filled, and the rows to compute (see
// cpu_row_at).
typedef struct cpu_call {
    const ikati_host *host;
    uint32_t num_threads;
    const ikati_call_tensor *inputs;
    uint32_t num_inputs;
    const ikati_call_tensor *outputs;
    uint32_t num_outputs;
    const ikati_call_setting *settings;
    uint32_t num_settings;
    const int64_t *rows;
    uint32_t num_rows;
    const char *inner; // as of ikati_call
    const ikati_call_setting *inner_settings;
    uint32_t num_inner_settings;
} cpu_call;

// The references: ikati_reference_<mechanism>.
#define MECHANISM(name) ikat_status ikati_reference_##name(const cpu_call *call);
#include "../../src/mechanisms.inc"
#undef MECHANISM

// buffer.c
ikat_status cpu_memory_create(ikati_port *port, uint64_t size_bytes, ikati_memory **out_memory);
void cpu_memory_destroy(ikati_port *port, ikati_memory *memory);
ikat_status cpu_memory_write(ikati_port *port, ikati_memory *memory, uint64_t offset_bytes,
                             const void *data, uint64_t size_bytes);
ikat_status cpu_memory_read(ikati_port *port, ikati_memory *memory, uint64_t offset_bytes,
                            void *data, uint64_t size_bytes);

// queue.c
// Computes a call by the reference of a mechanism, on the thread that asks.
ikat_status cpu_compute(const char *mechanism, const cpu_call *call);
ikat_status cpu_run_call(ikati_port *port, const ikati_call *call, ikat_ticket *out_ticket);
ikat_status cpu_wait(ikati_port *port, ikat_ticket ticket, uint64_t timeout_ns, bool *out_complete);
ikat_status cpu_time(ikati_port *port, ikat_ticket ticket, uint64_t *out_time_ns);
void cpu_statistics(ikati_port *port, ikat_device_statistics *out_statistics);

#endif
