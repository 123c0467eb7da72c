// Kernels that are compiled when a plan is made: on a machine without libshaderc, on one with it, from
// what an earlier context kept on disk; and hosts, which must ask for it.

#define _GNU_SOURCE // RTLD_NEXT

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "folder.h"
#include "support/vulkan_engine.h"

static bool hidden; // libshaderc

// Comes before the system's: the library is linked to this program.
void *dlopen(const char *name, int flags) {
    if (hidden && name && strstr(name, "shaderc")) {
        return NULL;
    }
    void *(*next)(const char *, int) = NULL;
    void *symbol = dlsym(RTLD_NEXT, "dlopen");
    memcpy(&next, &symbol, sizeof(next));
    return next(name, flags);
}

// A context, one Vulkan device of its own, and a plan of `custom` that is the guest's attention.
typedef struct session {
    recorder messages;
    ikat_context *context;
    ikat_device *device;
    ikat_plan *plan;
    ikat_step_info step;
} session;

static void make_plan(ikat_device *device, ikat_plan **out_plan, ikat_step_info *out_step) {
    const ikat_argument inputs[] = {
        {"q", ikat_tensor_packed(IKAT_FLOAT32, 4, 1, HEADS, QUERIES, SIZE), NULL},
        {"k", ikat_tensor_packed(IKAT_FLOAT32, 4, 1, HEADS, KEYS, SIZE), NULL},
        {"v", ikat_tensor_packed(IKAT_FLOAT32, 4, 1, HEADS, KEYS, SIZE), NULL},
    };
    const ikat_setting settings[] = {ikat_setting_text("mask", "j <= i + m - n"),
                                     ikat_setting_text("score", "score + 0.25")};
    const ikat_plan_params params = {.mechanism = "custom",
                                     .inputs = inputs,
                                     .num_inputs = 3,
                                     .settings = settings,
                                     .num_settings = 2};
    assert_int_equal(ikat_plan_create(device, &params, out_plan), IKAT_OK);
    assert_int_equal(ikat_plan_get_step(*out_plan, 0, out_step), IKAT_OK);
}

static void begin(session *s, uint32_t index, const char *cache_dir) {
    ikat_device_info info;
    memset(s, 0, sizeof(*s));
    recorder_create_context(&s->messages, IKAT_LOG_INFO, cache_dir, &s->context);
    assert_int_equal(ikat_device_describe(s->context, "vulkan", index, &info), IKAT_OK);
    const ikat_device_params params = {.name = info.id};
    assert_int_equal(ikat_device_open(s->context, &params, &s->device), IKAT_OK);
    make_plan(s->device, &s->plan, &s->step);
}

static void run(const session *s) {
    static float q[Q_ELEMENTS], k[K_ELEMENTS], v[K_ELEMENTS], out[Q_ELEMENTS];
    const ikat_array arrays[] = {
        {"q", q, sizeof(q)}, {"k", k, sizeof(k)}, {"v", v, sizeof(v)}, {"out", out, sizeof(out)}};
    guest_fill(q, k, v);
    memset(out, 0xff, sizeof(out));
    assert_int_equal(ikat_plan_run_arrays(s->plan, arrays, NUM_TENSORS), IKAT_OK);
    guest_check(out);
}

static void end(session *s) {
    ikat_plan_destroy(&s->plan);
    ikat_device_destroy(&s->device);
    ikat_context_destroy(&s->context);
}

static bool compiles(const session *s) {
    return ikat_device_get_info(s->device)->limits.runtime_compiler;
}

static void interpreted_without_the_library(void **state) {
    const machine *m = *state;
    hidden = true;
    for (uint32_t i = 0; i < m->num_devices; i++) {
        session s;
        begin(&s, i, NULL);
        if (compiles(&s)) {
            end(&s);
            hidden = false;
            skip(); // linked
        }
        assert_non_null(strstr(ikat_device_get_info(s.device)->missing, "libshaderc"));
        assert_non_null(strstr(s.step.kernel, "_expression"));
        assert_non_null(strstr(s.step.refused, "no compiler at run time"));
        run(&s);
        end(&s);
    }
    hidden = false;
}

// How often a context's compiler is called for the plan, whose result is right.
static unsigned count_compilations(uint32_t index, const char *cache_dir) {
    session s;
    begin(&s, index, cache_dir);
    if (!compiles(&s)) {
        end(&s);
        skip();
    }
    assert_non_null(strstr(s.step.kernel, "_compiled"));
    const unsigned count = s.messages.num[IKAT_MESSAGE_COMPILE];
    ikat_plan *again;
    make_plan(s.device, &again, &s.step);
    assert_int_equal(s.messages.num[IKAT_MESSAGE_COMPILE], count);
    ikat_plan_destroy(&again);
    run(&s);
    end(&s);
    return count;
}

static void kept_on_disk(void **state) {
    const machine *m = *state;
    for (uint32_t i = 0; i < m->num_devices; i++) {
        folder kept;
        folder_create(&kept);
        assert_int_equal(count_compilations(i, kept.path), 1);
        assert_int_equal(count_compilations(i, kept.path), 0);
        folder_damage(&kept, 1);
        assert_int_equal(count_compilations(i, kept.path), 1);
        assert_int_equal(count_compilations(i, kept.path), 0);
        assert_int_equal(count_compilations(i, NULL), 1);
        folder_remove(&kept);
    }
}

// Unless a host asks, nothing is compiled but by its driver.
static void hosts_must_ask(void **state) {
    const machine *m = *state;
    for (uint32_t i = 0; i < m->num_devices; i++) {
        engine e;
        engine_create(m, i, 0, &e);
        for (int asked = 0; asked < 2; asked++) {
            ikat_vulkan_adopt_params params = engine_params(m, &e);
            params.runtime_compiler = asked;
            ikat_device *device;
            ikat_plan *plan;
            ikat_step_info step;
            assert_int_equal(ikat_vulkan_adopt(m->context, &params, &device), IKAT_OK);
            const bool compiler = ikat_device_get_info(device)->limits.runtime_compiler;
            assert_true(asked || !compiler);
            make_plan(device, &plan, &step);
            assert_non_null(strstr(step.kernel, compiler ? "_compiled" : "_expression"));
            ikat_plan_destroy(&plan);
            ikat_device_destroy(&device);
        }
        engine_destroy(&e);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interpreted_without_the_library),
        cmocka_unit_test(kept_on_disk),
        cmocka_unit_test(hosts_must_ask),
    };
    return cmocka_run_group_tests_name("vulkan_compiler", tests, machine_create, machine_destroy);
}
