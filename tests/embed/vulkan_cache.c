// The engine of vulkan_host.c run time and again with one cache folder. Its driver always has
// something to keep (software devices often have not), tells what it is given back, and can pretend
// to be another one.

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "folder.h"
#include "support/vulkan_engine.h"

// What a pipeline cache holds: Vulkan's header, and "pipelines".
enum { HEADER_BYTES = sizeof(VkPipelineCacheHeaderVersionOne), CACHE_BYTES = HEADER_BYTES + 16 };

static const char pipelines[CACHE_BYTES - HEADER_BYTES] = "fifteen letters";

static struct {
    size_t given_bytes;      // to the last vkCreatePipelineCache
    uint32_t version_change; // of the driver's version
    uint8_t uuid_change;     // of the cache's identity
} driver;

static VKAPI_ATTR VkResult VKAPI_CALL create_cache(VkDevice device,
                                                   const VkPipelineCacheCreateInfo *info,
                                                   const VkAllocationCallbacks *callbacks,
                                                   VkPipelineCache *out_cache) {
    VkPipelineCacheCreateInfo own = *info;
    driver.given_bytes = info->initialDataSize;
    if (driver.given_bytes != 0) {
        assert_int_equal(driver.given_bytes, CACHE_BYTES);
        const char *kept = (const char *)info->pInitialData + HEADER_BYTES;
        assert_memory_equal(kept, pipelines, sizeof(pipelines));
        own.initialDataSize = HEADER_BYTES;
    }
    return vkCreatePipelineCache(device, &own, callbacks, out_cache);
}

static VKAPI_ATTR VkResult VKAPI_CALL get_cache_data(VkDevice device, VkPipelineCache cache,
                                                     size_t *size, void *data) {
    if (data) {
        assert_true(*size >= CACHE_BYTES);
        size_t header_bytes = HEADER_BYTES;
        assert_true(vkGetPipelineCacheData(device, cache, &header_bytes, data) >= VK_SUCCESS);
        assert_int_equal(header_bytes, HEADER_BYTES);
        memcpy((char *)data + HEADER_BYTES, pipelines, sizeof(pipelines));
    }
    *size = CACHE_BYTES;
    return VK_SUCCESS;
}

static VKAPI_ATTR void VKAPI_CALL get_properties(VkPhysicalDevice physical,
                                                 VkPhysicalDeviceProperties *properties) {
    vkGetPhysicalDeviceProperties(physical, properties);
    properties->driverVersion += driver.version_change;
    properties->pipelineCacheUUID[0] ^= driver.uuid_change;
}

static const engine_replacement functions[] = {
    {"vkCreatePipelineCache", (PFN_vkVoidFunction)create_cache},
    {"vkGetPipelineCacheData", (PFN_vkVoidFunction)get_cache_data},
    {"vkGetPhysicalDeviceProperties", (PFN_vkVoidFunction)get_properties},
    {0},
};

// The machine with a cache folder, and an engine on one device after the other.
typedef struct session {
    machine machine;
    folder folder;
    engine engine;
} session;

static void begin(const machine *m, uint32_t index, session *s) {
    memset(s, 0, sizeof(*s));
    memset(&driver, 0, sizeof(driver));
    engine_replacements = functions;
    s->machine = *m;
    folder_create(&s->folder);
    engine_create(&s->machine, index, VK_BUFFER_USAGE_TRANSFER_DST_BIT, &s->engine);
}

static void end(session *s) {
    engine_destroy(&s->engine);
    folder_remove(&s->folder);
}

// What a process does from its start to its end. Returns whether the driver got back what an
// earlier one had kept.
static bool run_process(session *s) {
    guest g;
    ikat_vulkan_adopt_params params = engine_params(&s->machine, &s->engine);
    params.get_instance_proc_addr = engine_find_function;
    recorder_create_context(&s->machine.messages, IKAT_LOG_WARNING, s->folder.path,
                            &s->machine.context);
    engine_invite(&s->machine, &s->engine, &params, &g);
    engine_run_frame(&s->engine, &g, 0, g.num_slices);
    engine_check(&s->engine);
    guest_leave(&g);
    ikat_context_destroy(&s->machine.context);
    return driver.given_bytes != 0;
}

static void expect_files(const session *s, size_t num) {
    char paths[FOLDER_MAX_FILES][FOLDER_PATH_SIZE];
    assert_int_equal(folder_list(&s->folder, paths), num);
}

static void second_process_has_the_pipelines(void **state) {
    const machine *m = *state;
    for (uint32_t i = 0; i < m->num_devices; i++) {
        session s;
        begin(m, i, &s);
        assert_false(run_process(&s));
        expect_files(&s, 1);
        assert_true(run_process(&s));
        assert_true(run_process(&s));
        expect_files(&s, 1);
        end(&s);
    }
}

static void damaged_files_are_replaced(void **state) {
    const machine *m = *state;
    for (uint32_t i = 0; i < m->num_devices; i++) {
        session s;
        begin(m, i, &s);
        assert_false(run_process(&s));
        for (size_t from_end = 1; from_end <= CACHE_BYTES; from_end += HEADER_BYTES) {
            folder_damage(&s.folder, from_end);
            assert_false(run_process(&s));
            assert_true(run_process(&s));
        }
        expect_files(&s, 1);
        end(&s);
    }
}

// Each driver has a file of its own; that of the other is ignored even under its own name.
static void other_drivers_compile_again(void **state) {
    const machine *m = *state;
    for (uint32_t i = 0; i < m->num_devices; i++) {
        session s;
        begin(m, i, &s);
        assert_false(run_process(&s));
        driver.version_change = 1;
        assert_false(run_process(&s));
        expect_files(&s, 2);
        assert_true(run_process(&s));
        folder_rotate(&s.folder);
        assert_false(run_process(&s));
        driver.version_change = 0;
        assert_false(run_process(&s));
        assert_true(run_process(&s));
        expect_files(&s, 2);
        end(&s);
    }
}

// Bytes whose own header names another device never reach the driver: here the driver writes
// headers that are not its own.
static void foreign_headers_are_ignored(void **state) {
    const machine *m = *state;
    for (uint32_t i = 0; i < m->num_devices; i++) {
        session s;
        begin(m, i, &s);
        driver.uuid_change = 1;
        assert_false(run_process(&s));
        assert_int_equal(s.machine.messages.num[IKAT_MESSAGE_CACHE], 0);
        assert_false(run_process(&s));
        assert_int_equal(s.machine.messages.num[IKAT_MESSAGE_CACHE], 1);
        end(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(second_process_has_the_pipelines),
        cmocka_unit_test(damaged_files_are_replaced),
        cmocka_unit_test(other_drivers_compile_again),
        cmocka_unit_test(foreign_headers_are_ignored),
    };
    return cmocka_run_group_tests_name("vulkan_cache", tests, machine_create, machine_destroy);
}
