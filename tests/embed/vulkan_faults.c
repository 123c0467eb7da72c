// The engine of vulkan_host.c with a driver that fails: a lost device, memory that runs out,
// pipelines that are refused.

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "support/vulkan_engine.h"

// A driver that fails on demand: the library gets its functions through these.
static struct {
    VkResult submit;   // of vkQueueSubmit
    VkResult allocate; // of vkAllocateMemory
    int num_refusals;  // pipelines yet to be refused
} faults;

static VKAPI_ATTR VkResult VKAPI_CALL faulty_submit(VkQueue queue, uint32_t num,
                                                    const VkSubmitInfo *infos, VkFence fence) {
    return faults.submit != VK_SUCCESS ? faults.submit : vkQueueSubmit(queue, num, infos, fence);
}

static VKAPI_ATTR VkResult VKAPI_CALL faulty_allocate(VkDevice device,
                                                      const VkMemoryAllocateInfo *info,
                                                      const VkAllocationCallbacks *callbacks,
                                                      VkDeviceMemory *memory) {
    return faults.allocate != VK_SUCCESS ? faults.allocate
                                         : vkAllocateMemory(device, info, callbacks, memory);
}

static VKAPI_ATTR VkResult VKAPI_CALL faulty_pipelines(VkDevice device, VkPipelineCache cache,
                                                       uint32_t num,
                                                       const VkComputePipelineCreateInfo *infos,
                                                       const VkAllocationCallbacks *callbacks,
                                                       VkPipeline *pipelines) {
    if (faults.num_refusals > 0) {
        faults.num_refusals--;
        return VK_ERROR_UNKNOWN;
    }
    return vkCreateComputePipelines(device, cache, num, infos, callbacks, pipelines);
}

static const engine_replacement faulty_functions[] = {
    {"vkQueueSubmit", (PFN_vkVoidFunction)faulty_submit},
    {"vkAllocateMemory", (PFN_vkVoidFunction)faulty_allocate},
    {"vkCreateComputePipelines", (PFN_vkVoidFunction)faulty_pipelines},
    {0},
};

static void create_faulty(machine *m, uint32_t index, engine *e,
                          ikat_vulkan_adopt_params *out_params) {
    memset(&faults, 0, sizeof(faults));
    engine_replacements = faulty_functions;
    engine_create(m, index, VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT, e);
    *out_params = engine_params(m, e);
    out_params->get_instance_proc_addr = engine_find_function;
    out_params->queue = e->queue;
}

// Faults do not depend on the driver behind them: the last device does for all.
static uint32_t one_device(const machine *m) { return m->num_devices > 0 ? m->num_devices - 1 : 0; }

static void test_loses_the_device(void **state) {
    machine *m = *state;
    for (uint32_t i = one_device(m); i < m->num_devices; i++) {
        engine e;
        guest g;
        ikat_vulkan_adopt_params params;
        create_faulty(m, i, &e, &params);
        engine_invite(m, &e, &params, &g);
        ikat_ticket ticket = 0;
        guest_run_and_check(&g);
        faults.submit = VK_ERROR_DEVICE_LOST;
        assert_int_equal(ikat_plan_submit(g.plan, g.bindings, 0, 0, &ticket), IKAT_DEVICE_LOST);
        faults.submit = VK_SUCCESS; // once lost, lost for good
        guest_expect_lost(&g);
        assert_int_equal(ikat_vulkan_record(g.plan, 0, e.commands, g.bindings), IKAT_DEVICE_LOST);
        guest_leave(&g);
        engine_destroy(&e);
    }
}

static void test_runs_out_of_memory(void **state) {
    machine *m = *state;
    for (uint32_t i = one_device(m); i < m->num_devices; i++) {
        engine e;
        guest g;
        ikat_vulkan_adopt_params params;
        create_faulty(m, i, &e, &params);
        faults.allocate = VK_ERROR_OUT_OF_DEVICE_MEMORY;
        assert_int_equal(ikat_vulkan_adopt(m->context, &params, &g.device), IKAT_NO_MEMORY);
        faults.allocate = VK_SUCCESS;
        engine_invite(m, &e, &params, &g);
        faults.allocate = VK_ERROR_OUT_OF_DEVICE_MEMORY;
        ikat_buffer *buffer = NULL;
        assert_int_equal(ikat_buffer_create(g.device, 64, &buffer), IKAT_NO_MEMORY);
        assert_int_equal(ikat_plan_run(g.plan, g.bindings), IKAT_OK); // needs none
        guest_leave(&g);
        engine_destroy(&e);
    }
}

static void test_takes_the_next_variant(void **state) {
    machine *m = *state;
    for (uint32_t i = one_device(m); i < m->num_devices; i++) {
        engine e;
        guest g;
        ikat_vulkan_adopt_params params;
        create_faulty(m, i, &e, &params);
        uint32_t before = m->messages.num[IKAT_MESSAGE_COMPILE];
        faults.num_refusals = 1;
        engine_invite(m, &e, &params, &g);
        assert_int_equal(faults.num_refusals, 0);
        assert_true(m->messages.num[IKAT_MESSAGE_COMPILE] > before);
        guest_run_and_check(&g);
        guest_leave(&g);
        engine_destroy(&e);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loses_the_device),
        cmocka_unit_test(test_runs_out_of_memory),
        cmocka_unit_test(test_takes_the_next_variant),
    };
    return cmocka_run_group_tests_name("vulkan_faults", tests, machine_create, machine_destroy);
}
