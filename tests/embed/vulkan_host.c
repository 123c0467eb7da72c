// An engine with a Vulkan device of its own, on every physical device of the machine: the library
// adopts the device, wraps ranges of the engine's one buffer and records attention into the
// engine's command buffer. Linked statically, so that volk's symbols meet the library's.

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/vulkan_engine.h"

static void test_records_without_queue(void **state) {
    machine *m = *state;
    for (uint32_t i = 0; i < m->num_devices; i++) {
        engine e;
        guest g;
        engine_create(m, i, VK_BUFFER_USAGE_TRANSFER_DST_BIT, &e);
        const ikat_vulkan_adopt_params params = engine_params(m, &e);
        engine_invite(m, &e, &params, &g);
        const uint32_t num = g.num_slices;
        engine_run_frame(&e, &g, 0, num);
        engine_check(&e);
        engine_run_frame(&e, &g, 0, 1); // again, over two frames
        engine_run_frame(&e, &g, 1, num - 1);
        engine_check(&e);
        assert_int_equal(ikat_vulkan_record(g.plan, num, e.commands, g.bindings), IKAT_INVALID);
        assert_int_equal(ikat_plan_run(g.plan, g.bindings), IKAT_UNSUPPORTED);
        ikat_plan *other; // whose bindings these are not
        assert_int_equal(ikat_plan_derive(g.plan, NULL, 0, &other), IKAT_OK);
        assert_int_equal(ikat_vulkan_record(other, 0, e.commands, g.bindings), IKAT_INVALID);
        ikat_plan_destroy(&other);
        assert_int_equal(ikat_device_get_info(g.device)->limits.max_texel_elements, 0);
        guest_leave(&g);
        engine_destroy(&e);
    }
}

// A host's lock around its queue.
typedef struct queue_lock {
    int held;
    int num_locks;
} queue_lock;

static void lock(void *user) {
    queue_lock *l = user;
    assert_int_equal(l->held++, 0);
    l->num_locks++;
}

static void unlock(void *user) {
    queue_lock *l = user;
    assert_int_equal(--l->held, 0);
}

static void test_submits_to_the_hosts_queue(void **state) {
    machine *m = *state;
    for (uint32_t i = 0; i < m->num_devices; i++) {
        engine e;
        guest g;
        queue_lock l = {0};
        engine_create(m, i,
                      VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                          VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT,
                      &e);
        ikat_vulkan_adopt_params params = engine_params(m, &e);
        params.queue = e.queue;
        params.lock = lock;
        params.unlock = unlock;
        params.lock_user = &l;
        params.texel_buffers = true;
        engine_invite(m, &e, &params, &g);
        guest_run_and_check(&g);
        assert_true(l.num_locks > 0);
        assert_int_equal(l.held, 0);
        assert_true(ikat_device_get_info(g.device)->limits.max_texel_elements > 0);
        guest_leave(&g);
        engine_destroy(&e);
    }
}

static void test_refuses_bad_ranges(void **state) {
    machine *m = *state;
    for (uint32_t i = 0; i < m->num_devices; i++) {
        engine e;
        engine_create(m, i, 0, &e);
        const ikat_vulkan_adopt_params params = engine_params(m, &e);
        ikat_device *device;
        assert_int_equal(ikat_vulkan_adopt(m->context, &params, &device), IKAT_OK);
        ikat_buffer *buffer = (ikat_buffer *)&buffer;
        uint32_t before = m->messages.num[IKAT_MESSAGE_BUFFER];
        assert_int_equal(ikat_vulkan_wrap_buffer(device, e.buffer, 4, 64, &buffer), IKAT_INVALID);
        assert_null(buffer);
        assert_int_equal(ikat_vulkan_wrap_buffer(device, e.buffer, 0, 0, &buffer), IKAT_INVALID);
        assert_int_equal(ikat_vulkan_wrap_buffer(device, e.buffer, 0, 6, &buffer), IKAT_INVALID);
        assert_int_equal(m->messages.num[IKAT_MESSAGE_BUFFER], before + 3);
        ikat_device_destroy(&device);
        engine_destroy(&e);
    }
}

static void test_refuses_missing_handles(void **state) {
    machine *m = *state;
    ikat_device *device = (ikat_device *)&device;
    const ikat_vulkan_adopt_params params = {0};
    uint32_t before = m->messages.num[IKAT_MESSAGE_NULL_ARGUMENT];
    assert_int_equal(ikat_vulkan_adopt(m->context, &params, &device), IKAT_INVALID);
    assert_null(device);
    assert_int_equal(ikat_vulkan_adopt(m->context, NULL, &device), IKAT_INVALID);
    assert_int_equal(m->messages.num[IKAT_MESSAGE_NULL_ARGUMENT], before + 2);
}

// Adopts with pipelines of an earlier run; returns how many warnings about them there were.
static uint32_t adopt_cached(machine *m, engine *e, const void *cache, size_t cache_bytes) {
    uint32_t before = m->messages.num[IKAT_MESSAGE_CACHE];
    ikat_vulkan_adopt_params params = engine_params(m, e);
    params.cache = cache;
    params.cache_bytes = cache_bytes;
    guest g;
    engine_invite(m, e, &params, &g);
    engine_run_frame(e, &g, 0, g.num_slices);
    engine_check(e);
    guest_leave(&g);
    return m->messages.num[IKAT_MESSAGE_CACHE] - before;
}

static void test_keeps_pipelines(void **state) {
    machine *m = *state;
    for (uint32_t i = 0; i < m->num_devices; i++) {
        engine e;
        guest g;
        engine_create(m, i, VK_BUFFER_USAGE_TRANSFER_DST_BIT, &e);
        const ikat_vulkan_adopt_params params = engine_params(m, &e);
        engine_invite(m, &e, &params, &g);
        size_t size = 0;
        size_t written = 0;
        assert_int_equal(ikat_vulkan_cache_size(g.device, &size), IKAT_OK);
        uint8_t *cache = malloc(size);
        assert_non_null(cache);
        assert_int_equal(ikat_vulkan_cache_get(g.device, cache, 8, &written), IKAT_INVALID);
        assert_int_equal(ikat_vulkan_cache_get(g.device, cache, size, &written), IKAT_OK);
        assert_true(written > 0 && written <= size);
        guest_leave(&g);
        assert_int_equal(adopt_cached(m, &e, cache, written), 0);
        assert_int_equal(adopt_cached(m, &e, cache, written - 1), 1);
        cache[written - 1] ^= 1;
        assert_int_equal(adopt_cached(m, &e, cache, written), 1);
        free(cache);
        engine_destroy(&e);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_without_queue),
        cmocka_unit_test(test_submits_to_the_hosts_queue),
        cmocka_unit_test(test_refuses_bad_ranges),
        cmocka_unit_test(test_refuses_missing_handles),
        cmocka_unit_test(test_keeps_pipelines),
    };
    return cmocka_run_group_tests_name("vulkan_host", tests, machine_create, machine_destroy);
}
