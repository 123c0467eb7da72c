// Host memory that runs out: allocation number N fails, for every N that a small call makes. Each
// time the call must end in an error and leave no block behind.

#include <ikat/ikat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// An allocator that counts, and fails at one number.
typedef struct failing_allocator {
    uint64_t num_allocations;
    uint64_t fail_at; // 0: never
    bool fail_on;     // every later one fails too
    int64_t num_live;
} failing_allocator;

static bool fails(failing_allocator *allocator) {
    uint64_t number = ++allocator->num_allocations;
    return allocator->fail_at != 0 &&
           (number == allocator->fail_at || (allocator->fail_on && number > allocator->fail_at));
}

static void *allocate(void *user, size_t size_bytes) {
    failing_allocator *allocator = user;
    void *block = fails(allocator) ? NULL : malloc(size_bytes);
    allocator->num_live += block != NULL;
    return block;
}

static void *reallocate(void *user, void *block, size_t size_bytes) {
    failing_allocator *allocator = user;
    void *grown = fails(allocator) ? NULL : realloc(block, size_bytes);
    allocator->num_live += grown && !block;
    return grown;
}

static void release(void *user, void *block) {
    failing_allocator *allocator = user;
    allocator->num_live -= block != NULL;
    free(block);
}

// All that a call makes, in the order in which it is made.
typedef struct call {
    ikat_context *context;
    ikat_device *device;
    ikat_plan *plan;
    ikat_plan *derived;
    ikat_buffer *buffers[5];
    ikat_bindings *bindings;
} call;

enum { B = 1, H = 2, N = 5, D = 4, NUM_TENSORS = 5 };

static const char *const tensor_names[NUM_TENSORS] = {"q", "k", "v", "out", "lse"};

static ikat_status make_plan(call *c) {
    ikat_tensor shape = ikat_tensor_packed(IKAT_FLOAT32, 4, B, H, N, D);
    ikat_argument inputs[] = {{"q", shape, NULL}, {"k", shape, NULL}, {"v", shape, NULL}};
    ikat_argument outputs[] = {{.name = "out"}, {.name = "lse"}};
    ikat_setting settings[] = {ikat_setting_text("causal", "1"),
                               ikat_setting_float("softcap", 5.0)};
    ikat_plan_params params = {.mechanism = "dense",
                               .inputs = inputs,
                               .num_inputs = 3,
                               .settings = settings,
                               .num_settings = 2,
                               .outputs = outputs,
                               .num_outputs = 2};
    ikat_status status = ikat_plan_create(c->device, &params, &c->plan);
    if (status != IKAT_OK) {
        return status;
    }
    shape.shape[2] = N + 2;
    ikat_argument longer[] = {{"q", shape, NULL}, {"k", shape, NULL}, {"v", shape, NULL}};
    return ikat_plan_derive(c->plan, longer, 3, &c->derived);
}

static ikat_status bind(call *c) {
    ikat_binding tensors[NUM_TENSORS];
    for (int i = 0; i < NUM_TENSORS; i++) {
        uint64_t size_bytes = 0;
        ikat_tensor tensor;
        ikat_status status = ikat_plan_get_tensor(c->plan, tensor_names[i], &tensor);
        if (status == IKAT_OK) {
            status = ikat_tensor_size_bytes(&tensor, &size_bytes);
        }
        if (status == IKAT_OK) {
            status = ikat_buffer_create(c->device, size_bytes, &c->buffers[i]);
        }
        float zeros[B * H * N * D] = {0.0f};
        if (status == IKAT_OK) {
            status = ikat_buffer_write(c->buffers[i], 0, zeros, size_bytes);
        }
        if (status != IKAT_OK) {
            return status;
        }
        tensors[i] = (ikat_binding){tensor_names[i], c->buffers[i], 0};
    }
    ikat_bindings_params params = {.tensors = tensors, .num_tensors = NUM_TENSORS};
    return ikat_bindings_create(c->plan, &params, &c->bindings);
}

// The same again, over host memory.
static ikat_status run_arrays(const call *c) {
    float data[NUM_TENSORS][B * H * N * D] = {{0.0f}};
    ikat_array arrays[NUM_TENSORS];
    for (int i = 0; i < NUM_TENSORS; i++) {
        arrays[i] = (ikat_array){tensor_names[i], data[i], sizeof(data[i])};
    }
    return ikat_plan_run_arrays(c->plan, arrays, NUM_TENSORS);
}

static ikat_status make_and_run(call *c, failing_allocator *allocator, const char *device) {
    ikat_context_params params = {.allocator = {allocate, reallocate, release, allocator},
                                  .max_threads = 2};
    ikat_status status = ikat_context_create(&params, &c->context);
    if (status == IKAT_OK) {
        status = ikat_device_open(c->context, &(ikat_device_params){.name = device}, &c->device);
    }
    if (status == IKAT_OK) {
        status = make_plan(c);
    }
    if (status == IKAT_OK) {
        status = bind(c);
    }
    if (status == IKAT_OK) {
        status = ikat_plan_run(c->plan, c->bindings);
    }
    float out[B * H * N * D];
    if (status == IKAT_OK) {
        status = ikat_buffer_read(c->buffers[3], 0, out, sizeof(out));
    }
    return status == IKAT_OK ? run_arrays(c) : status;
}

static void destroy(call *c) {
    ikat_bindings_destroy(&c->bindings);
    for (int i = 0; i < NUM_TENSORS; i++) {
        ikat_buffer_destroy(&c->buffers[i]);
    }
    ikat_plan_destroy(&c->derived);
    ikat_plan_destroy(&c->plan);
    ikat_device_destroy(&c->device);
    ikat_context_destroy(&c->context);
}

static ikat_status run_once(failing_allocator *allocator, const char *device) {
    call c;
    memset(&c, 0, sizeof(c));
    ikat_status status = make_and_run(&c, allocator, device);
    destroy(&c);
    return status;
}

static void fail_every_allocation(const char *device) {
    failing_allocator healthy = {0};
    assert_int_equal(run_once(&healthy, device), IKAT_OK);
    assert_int_equal(healthy.num_live, 0);
    assert_true(healthy.num_allocations > 4);

    for (uint64_t number = 1; number <= healthy.num_allocations; number++) {
        for (int fail_on = 0; fail_on < 2; fail_on++) {
            failing_allocator failing = {.fail_at = number, .fail_on = fail_on != 0};
            ikat_status status = run_once(&failing, device);
            if (status == IKAT_OK || failing.num_live != 0) {
                fail_msg("%s: allocation %d of %d fails%s: %s, %d blocks left", device, (int)number,
                         (int)healthy.num_allocations, fail_on ? " and all later ones" : "",
                         ikat_status_name(status), (int)failing.num_live);
            }
        }
    }
    print_message("%s: %d allocations\n", device, (int)healthy.num_allocations);
}

static void test_null(void **state) {
    (void)state;
    fail_every_allocation("null");
}

static bool find_device(const char *backend, const char *driver, char id[32]) {
    ikat_context *context = NULL;
    uint32_t count = 0;
    bool found = false;
    assert_int_equal(ikat_context_create(NULL, &context), IKAT_OK);
    if (ikat_device_count(context, backend, &count) != IKAT_OK) {
        count = 0;
    }
    for (uint32_t i = 0; i < count && !found; i++) {
        ikat_device_info info;
        found = ikat_device_describe(context, backend, i, &info) == IKAT_OK &&
                strstr(info.driver, driver);
        memcpy(id, info.id, sizeof(info.id));
    }
    ikat_context_destroy(&context);
    return found;
}

static void test_cpu(void **state) {
    (void)state;
    char id[32];
    if (!find_device("cpu", "", id)) {
        skip(); // this build has no `cpu`
    }
    fail_every_allocation("cpu");
}

static void test_pocl(void **state) {
    (void)state;
    char id[32];
    const char *pocl = "Portable Computing Language";
    if (!find_device("opencl", pocl, id)) {
        const char *expected = getenv("IKAT_TEST_DEVICES");
        assert_false(expected && strstr(expected, pocl));
        skip(); // this build has no OpenCL, or this machine no PoCL
    }
    fail_every_allocation(id);
}

// Half an allocator is refused.
static void test_incomplete(void **state) {
    (void)state;
    ikat_context_params params = {.allocator = {.allocate = allocate}};
    ikat_context *context = NULL;
    assert_int_equal(ikat_context_create(&params, &context), IKAT_INVALID);
    assert_null(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_null),
        cmocka_unit_test(test_cpu),
        cmocka_unit_test(test_pocl),
        cmocka_unit_test(test_incomplete),
    };
    return cmocka_run_group_tests_name("allocation", tests, NULL, NULL);
}
