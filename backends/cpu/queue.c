// Calls, tickets, times.

#include "reference/reference.h"

#include <string.h>

typedef struct reference {
    const char *mechanism;
    ikat_status (*compute)(const cpu_call *call);
} reference;

static const reference references[] = {
#define MECHANISM(name) {#name, ikati_reference_##name},
#include "../../src/mechanisms.inc"
#undef MECHANISM
};

static const reference *find_reference(const char *mechanism) {
    for (size_t i = 0; i < sizeof(references) / sizeof(references[0]); i++) {
        if (strcmp(references[i].mechanism, mechanism) == 0) {
            return &references[i];
        }
    }
    return NULL;
}

ikat_status cpu_compute(const char *mechanism, const cpu_call *call) {
    const reference *found = find_reference(mechanism);
    if (!found) {
        return ikati_fail(call->host, IKAT_UNSUPPORTED, IKAT_MESSAGE_UNKNOWN_MECHANISM,
                          "%s has no reference on the cpu", mechanism);
    }
    const ikat_status status = found->compute(call);
    if (!status) {
        cpu_prune_heads(call);
    }
    return status;
}

static void copy_tensors(const ikati_call_tensor *from, uint32_t num, ikati_call_tensor *to) {
    for (uint32_t i = 0; i < num; i++) {
        to[i] = from[i];
        to[i].data = from[i].memory ? ((cpu_memory *)from[i].memory)->data + from[i].offset_bytes
                                    : (void *)(uintptr_t)from[i].values;
    }
}

static ikat_ticket record_time(cpu_port *port, uint64_t time_ns) {
    ikati_mutex_lock(port->lock);
    const ikat_ticket ticket = ++port->last_ticket;
    port->times[ticket % CPU_NUM_TIMES] = time_ns;
    port->statistics.dispatches++;
    ikati_mutex_unlock(port->lock);
    return ticket;
}

ikat_status cpu_run_call(ikati_port *handle, const ikati_call *call, ikat_ticket *out_ticket) {
    cpu_port *port = (cpu_port *)handle;
    const uint32_t num_tensors = call->num_inputs + call->num_outputs;
    ikati_call_tensor *tensors = ikati_alloc(port->host, num_tensors, sizeof(*tensors));
    if (!tensors) {
        return IKAT_NO_MEMORY;
    }
    copy_tensors(call->inputs, call->num_inputs, tensors);
    copy_tensors(call->outputs, call->num_outputs, tensors + call->num_inputs);
    const cpu_call resolved = {
        .host = port->host,
        .num_threads = port->num_threads,
        .inputs = tensors,
        .num_inputs = call->num_inputs,
        .outputs = tensors + call->num_inputs,
        .num_outputs = call->num_outputs,
        .settings = call->settings,
        .num_settings = call->num_settings,
        .rows = call->rows,
        .num_rows = call->num_rows,
        .inner = call->inner,
        .inner_settings = call->inner_settings,
        .num_inner_settings = call->num_inner_settings,
    };

    ikati_mutex_lock(port->queue);
    const uint64_t start_ns = ikati_now_ns();
    const ikat_status status = cpu_compute(call->mechanism, &resolved);
    if (status == IKAT_OK) {
        const ikat_ticket ticket = record_time(port, ikati_now_ns() - start_ns);
        if (out_ticket) {
            *out_ticket = ticket;
        }
    }
    ikati_mutex_unlock(port->queue);
    ikati_free(port->host, tensors);
    return status;
}

ikat_status cpu_wait(ikati_port *handle, ikat_ticket ticket, uint64_t timeout_ns,
                     bool *out_complete) {
    cpu_port *port = (cpu_port *)handle;
    (void)timeout_ns; // a call is complete when its ticket exists
    ikati_mutex_lock(port->lock);
    const bool complete = ticket <= port->last_ticket;
    ikati_mutex_unlock(port->lock);
    if (out_complete) {
        *out_complete = complete;
    }
    return complete
               ? IKAT_OK
               : ikati_fail(port->host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                            "cpu: ticket %llu was never given out", (unsigned long long)ticket);
}

ikat_status cpu_time(ikati_port *handle, ikat_ticket ticket, uint64_t *out_time_ns) {
    cpu_port *port = (cpu_port *)handle;
    ikati_mutex_lock(port->lock);
    const bool known =
        ticket > 0 && ticket <= port->last_ticket && port->last_ticket - ticket < CPU_NUM_TIMES;
    *out_time_ns = known ? port->times[ticket % CPU_NUM_TIMES] : 0;
    ikati_mutex_unlock(port->lock);
    if (!known) {
        return ikati_fail(port->host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                          "ticket %llu is not among the last %d submissions",
                          (unsigned long long)ticket, (int)CPU_NUM_TIMES);
    }
    return IKAT_OK;
}

void cpu_statistics(ikati_port *handle, ikat_device_statistics *out_statistics) {
    cpu_port *port = (cpu_port *)handle;
    ikati_mutex_lock(port->lock);
    *out_statistics = port->statistics;
    ikati_mutex_unlock(port->lock);
}
