// Tickets: submit, wait, time. They count up from 1 and complete in order; 0 is complete from the
// start.

#include "ocl.h"

#include <assert.h>

static ocl_submission *submission_of(ocl_port *port, ikat_ticket ticket) {
    return &port->submissions[ticket % OCL_NUM_TICKETS];
}

static bool is_kept(const ocl_port *port, ikat_ticket ticket) {
    return ticket > 0 && ticket <= port->last_ticket &&
           port->last_ticket - ticket < OCL_NUM_TICKETS;
}

static void release_submission(ocl_port *port, ocl_submission *submission) {
    if (submission->first) {
        port->cl.ReleaseEvent(submission->first);
    }
    if (submission->last) {
        port->cl.ReleaseEvent(submission->last);
    }
    *submission = (ocl_submission){0};
}

void ocl_submissions_release(ocl_port *port) {
    for (uint32_t i = 0; i < OCL_NUM_TICKETS; i++) {
        release_submission(port, &port->submissions[i]);
    }
}

// With the port's mutex held: a submission's commands are neighbours in the queue, and tickets are
// in its order.
static cl_int submit_locked(ocl_port *port, ocl_sequence *sequence, uint32_t first, uint32_t num,
                            const char **out_subject, ikat_ticket *out_ticket) {
    ocl_submission submission = {.submitted_ns = ikati_now_ns()};
    const ocl_enqueue enqueue = {.queue = port->queue,
                                 .in_order = true,
                                 .out_first = &submission.first,
                                 .out_last = &submission.last};
    cl_int error = ocl_sequence_enqueue(sequence, first, num, &enqueue, out_subject);
    if (error == CL_SUCCESS) {
        error = port->cl.Flush(port->queue);
        *out_subject = "the queue";
    }
    if (error != CL_SUCCESS) {
        // Some of it may run; OpenCL keeps what that needs.
        release_submission(port, &submission);
        return error;
    }
    const ikat_ticket ticket = ++port->last_ticket;
    release_submission(port, submission_of(port, ticket));
    *submission_of(port, ticket) = submission;
    port->statistics.dispatches += num;
    sequence->last_ticket = ticket;
    *out_ticket = ticket;
    return CL_SUCCESS;
}

ikat_status ocl_submit(ikati_port *opaque, ikati_sequence *opaque_sequence, uint32_t first,
                       uint32_t num, ikat_ticket *out_ticket) {
    ocl_port *port = (ocl_port *)opaque;
    ocl_sequence *sequence = (ocl_sequence *)opaque_sequence;
    assert(first <= sequence->num_launches && num <= sequence->num_launches - first);
    *out_ticket = 0;
    const char *subject = "";
    cl_int error = CL_SUCCESS;
    ikati_mutex_lock(port->mutex);
    const bool lost = port->lost;
    if (!lost) {
        error = submit_locked(port, sequence, first, num, &subject, out_ticket);
    }
    ikati_mutex_unlock(port->mutex);
    if (lost) {
        return IKAT_DEVICE_LOST;
    }
    return error == CL_SUCCESS ? IKAT_OK : ocl_fail(port, error, "clEnqueueNDRangeKernel", subject);
}

// Gives the event to wait for, retained, or NULL if the ticket is known to be complete. The events
// of old tickets are gone: the oldest one kept stands for them.
static ikat_status take_event(ocl_port *port, ikat_ticket ticket, cl_event *out_event) {
    ikati_mutex_lock(port->mutex);
    const bool known = ticket <= port->last_ticket;
    ikat_status status = port->lost ? IKAT_DEVICE_LOST : IKAT_OK;
    *out_event = NULL;
    if (status == IKAT_OK && known && ticket > port->last_complete) {
        const ikat_ticket oldest = port->last_ticket - (OCL_NUM_TICKETS - 1);
        const ocl_submission *submission =
            submission_of(port, is_kept(port, ticket) ? ticket : oldest);
        port->cl.RetainEvent(submission->last);
        *out_event = submission->last;
    }
    ikati_mutex_unlock(port->mutex);
    if (status == IKAT_OK && !known) {
        status = ikati_fail(port->host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                            "opencl: ticket %llu was never given out", (unsigned long long)ticket);
    }
    return status;
}

// Notes that a ticket, and so all before it, was seen complete.
static void note_complete(ocl_port *port, ikat_ticket ticket) {
    const uint64_t now_ns = ikati_now_ns();
    ikati_mutex_lock(port->mutex);
    for (ikat_ticket t = ticket; t > port->last_complete && is_kept(port, t); t--) {
        submission_of(port, t)->done_ns = now_ns;
    }
    port->last_complete = ticket > port->last_complete ? ticket : port->last_complete;
    ikati_mutex_unlock(port->mutex);
}

// CL_COMPLETE, a positive status of what is under way, or a negative error.
static cl_int get_event_status(const ocl_port *port, cl_event event) {
    cl_int status = CL_COMPLETE;
    const cl_int error = port->cl.GetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS,
                                               sizeof(status), &status, NULL);
    return error == CL_SUCCESS ? status : error;
}

static cl_int wait_for_event(const ocl_port *port, cl_event event, uint64_t timeout_ns) {
    if (timeout_ns == UINT64_MAX) {
        const cl_int error = port->cl.WaitForEvents(1, &event);
        const cl_int status = get_event_status(port, event);
        return status < 0 ? status : error;
    }
    // OpenCL has no wait with a limit.
    const uint32_t longest_us = 1000;
    const uint64_t begin_ns = ikati_now_ns();
    cl_int status = get_event_status(port, event);
    for (uint32_t pause_us = 10; status > CL_COMPLETE;
         pause_us = pause_us < longest_us ? pause_us * 2 : longest_us) {
        const uint64_t waited_ns = ikati_now_ns() - begin_ns;
        if (waited_ns >= timeout_ns) {
            break;
        }
        const uint64_t left_us = (timeout_ns - waited_ns) / 1000 + 1;
        ikati_sleep_us(left_us < pause_us ? (uint32_t)left_us : pause_us);
        status = get_event_status(port, event);
    }
    return status;
}

// What was enqueued ran into an error: no later result can be trusted.
static ikat_status fail_execution(ocl_port *port, cl_int error) {
    ocl_port_lose(port);
    return ikati_fail(port->host, IKAT_DEVICE_LOST, IKAT_MESSAGE_DEVICE,
                      "opencl: a submission failed while it ran: %s (%d)", ocl_error_name(error),
                      (int)error);
}

ikat_status ocl_wait(ikati_port *opaque, ikat_ticket ticket, uint64_t timeout_ns,
                     bool *out_complete) {
    ocl_port *port = (ocl_port *)opaque;
    if (out_complete) {
        *out_complete = false;
    }
    cl_event event;
    const ikat_status status = take_event(port, ticket, &event);
    if (status != IKAT_OK) {
        return status;
    }
    cl_int event_status = CL_COMPLETE;
    if (event) {
        event_status = wait_for_event(port, event, timeout_ns);
        port->cl.ReleaseEvent(event);
    }
    if (event_status < 0) {
        return fail_execution(port, event_status);
    }
    if (event_status == CL_COMPLETE) {
        note_complete(port, ticket);
        if (out_complete) {
            *out_complete = true;
        }
    }
    return IKAT_OK;
}

// By the device's clock, from the start of the first kernel to the end of the last. False where it
// does not tell: rusticl 22.3 counts a nanosecond for everything.
static bool get_device_time(const ocl_port *port, const ocl_submission *submission,
                            uint64_t *out_time_ns) {
    cl_ulong begin = 0, end = 0;
    if (!port->profiling ||
        port->cl.GetEventProfilingInfo(submission->first, CL_PROFILING_COMMAND_START, sizeof(begin),
                                       &begin, NULL) != CL_SUCCESS ||
        port->cl.GetEventProfilingInfo(submission->last, CL_PROFILING_COMMAND_END, sizeof(end),
                                       &end, NULL) != CL_SUCCESS) {
        return false;
    }
    *out_time_ns = end - begin;
    return end > begin + 1;
}

ikat_status ocl_time(ikati_port *opaque, ikat_ticket ticket, uint64_t *out_time_ns) {
    ocl_port *port = (ocl_port *)opaque;
    *out_time_ns = 0;
    bool complete = false;
    ikat_status status = ocl_wait(opaque, ticket, 0, &complete);
    if (status != IKAT_OK) {
        return status;
    }
    ikati_mutex_lock(port->mutex);
    const bool known = complete && is_kept(port, ticket);
    if (known) {
        const ocl_submission *submission = submission_of(port, ticket);
        if (!get_device_time(port, submission, out_time_ns)) {
            *out_time_ns = submission->done_ns - submission->submitted_ns;
        }
    }
    ikati_mutex_unlock(port->mutex);
    return known ? IKAT_OK
                 : ikati_fail(port->host, IKAT_INVALID, IKAT_MESSAGE_RANGE, "ticket %llu is %s",
                              (unsigned long long)ticket,
                              complete ? "no longer known" : "not complete");
}

void ocl_statistics(ikati_port *opaque, ikat_device_statistics *out_statistics) {
    ocl_port *port = (ocl_port *)opaque;
    ikati_mutex_lock(port->mutex);
    *out_statistics = port->statistics;
    ikati_mutex_unlock(port->mutex);
}

void ocl_count(ocl_port *port, ikat_device_statistics added) {
    ikati_mutex_lock(port->mutex);
    port->statistics.programs_compiled += added.programs_compiled;
    port->statistics.compile_time_ns += added.compile_time_ns;
    port->statistics.dispatches += added.dispatches;
    port->statistics.buffer_bytes += added.buffer_bytes;
    ikati_mutex_unlock(port->mutex);
}
