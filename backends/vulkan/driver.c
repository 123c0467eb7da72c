// The loader, the instance, and the list of physical devices.
//
// The loader is opened at run time, so that a machine without one merely has no Vulkan devices.

#include "vk.h"

#include <string.h>

static const char *const loader_names[] = {
#if defined(_WIN32)
    "vulkan-1.dll",
#elif defined(__APPLE__)
    "libvulkan.dylib",
    "libvulkan.1.dylib",
    "libMoltenVK.dylib",
#else
    "libvulkan.so.1",
    "libvulkan.so",
#endif
};

static bool open_loader(ikati_driver *driver) {
    for (size_t i = 0; i < sizeof(loader_names) / sizeof(loader_names[0]) && !driver->library;
         i++) {
        driver->library = ikati_library_open(loader_names[i]);
    }
    if (!driver->library) {
        return false;
    }
    driver->get_instance_proc_addr =
        (PFN_vkGetInstanceProcAddr)ikati_library_function(driver->library, "vkGetInstanceProcAddr");
    return driver->get_instance_proc_addr != NULL;
}

// Lists the instance's extensions; the caller frees them. NULL (and 0) if there are none.
static VkExtensionProperties *list_extensions(const ikati_driver *driver, uint32_t *out_num) {
    *out_num = 0;
    PFN_vkEnumerateInstanceExtensionProperties enumerate =
        (PFN_vkEnumerateInstanceExtensionProperties)driver->get_instance_proc_addr(
            NULL, "vkEnumerateInstanceExtensionProperties");
    uint32_t num = 0;
    if (!enumerate || enumerate(NULL, &num, NULL) != VK_SUCCESS || num == 0) {
        return NULL;
    }
    VkExtensionProperties *list = ikati_alloc(driver->host, num, sizeof(*list));
    if (list && enumerate(NULL, &num, list) >= VK_SUCCESS) {
        *out_num = num;
    }
    return list;
}

static bool has_extension(const VkExtensionProperties *list, uint32_t num, const char *name) {
    for (uint32_t i = 0; i < num; i++) {
        if (!strcmp(list[i].extensionName, name)) {
            return true;
        }
    }
    return false;
}

// The version to ask for: what the loader has, at most 1.3; 0 for a loader of Vulkan 1.0.
static uint32_t instance_version(const ikati_driver *driver) {
    PFN_vkEnumerateInstanceVersion enumerate =
        (PFN_vkEnumerateInstanceVersion)driver->get_instance_proc_addr(
            NULL, "vkEnumerateInstanceVersion");
    uint32_t version = 0;
    if (!enumerate || enumerate(&version) != VK_SUCCESS || version < VK_API_VERSION_1_1) {
        return 0;
    }
    return version < VK_API_VERSION_1_3 ? version : VK_API_VERSION_1_3;
}

static ikat_status create_instance(ikati_driver *driver) {
    PFN_vkCreateInstance create =
        (PFN_vkCreateInstance)driver->get_instance_proc_addr(NULL, "vkCreateInstance");
    driver->api_version = instance_version(driver);
    if (!create || driver->api_version == 0) {
        ikati_log(driver->host, IKAT_LOG_INFO, IKAT_MESSAGE_DEVICE,
                  "vulkan: the loader has Vulkan 1.0 only");
        return IKAT_NO_DEVICE;
    }
    uint32_t num_listed = 0;
    VkExtensionProperties *listed = list_extensions(driver, &num_listed);
    const char *extensions[2];
    uint32_t num_extensions = 0;
    VkInstanceCreateFlags flags = 0;
    if (has_extension(listed, num_listed, VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME)) {
        extensions[num_extensions++] = VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME;
        flags |= VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR;
    }
    if (has_extension(listed, num_listed, VK_EXT_DEBUG_UTILS_EXTENSION_NAME)) {
        extensions[num_extensions++] = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
        driver->debug_utils = true;
    }
    ikati_free(driver->host, listed);
    const VkApplicationInfo application = {
        .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
        .pEngineName = "ikat",
        .engineVersion =
            VK_MAKE_VERSION(IKAT_VERSION_MAJOR, IKAT_VERSION_MINOR, IKAT_VERSION_PATCH),
        .apiVersion = driver->api_version,
    };
    const VkInstanceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
        .flags = flags,
        .pApplicationInfo = &application,
        .enabledExtensionCount = num_extensions,
        .ppEnabledExtensionNames = extensions,
    };
    VkResult result = create(&info, NULL, &driver->instance);
    if (result == VK_ERROR_OUT_OF_HOST_MEMORY) {
        return ikati_fail(driver->host, IKAT_NO_MEMORY, IKAT_MESSAGE_MEMORY,
                          "vulkan: out of memory while creating an instance");
    }
    if (result != VK_SUCCESS) { // a loader without any driver says VK_ERROR_INCOMPATIBLE_DRIVER
        driver->instance = VK_NULL_HANDLE;
        ikati_log(driver->host, IKAT_LOG_INFO, IKAT_MESSAGE_DEVICE,
                  "vulkan: vkCreateInstance failed (%d)", (int)result);
        return IKAT_NO_DEVICE;
    }
    return IKAT_OK;
}

// Fills the function table. Where the instance has Vulkan 1.0 only, the 1.1 functions are missing.
static bool load_functions(ikati_driver *driver) {
    bool complete = true;
#define INSTANCE(name)                                                                            \
    driver->vk.name = (PFN_vk##name)driver->get_instance_proc_addr(driver->instance, "vk" #name); \
    complete = complete && driver->vk.name;
#include "functions.inc"
    if (driver->debug_utils) {
#define DEBUG(name)                                                                               \
    driver->vk.name = (PFN_vk##name)driver->get_instance_proc_addr(driver->instance, "vk" #name); \
    driver->debug_utils = driver->debug_utils && driver->vk.name;
#include "functions.inc"
    }
    return complete;
}

static ikat_status list_devices(ikati_driver *driver) {
    uint32_t num = 0;
    VkResult result = driver->vk.EnumeratePhysicalDevices(driver->instance, &num, NULL);
    if (result != VK_SUCCESS || num == 0) {
        return IKAT_NO_DEVICE;
    }
    VkPhysicalDevice *handles = ikati_alloc(driver->host, num, sizeof(VkPhysicalDevice));
    driver->devices = ikati_alloc(driver->host, num, sizeof(vk_physical));
    if (!handles || !driver->devices) {
        ikati_free(driver->host, handles);
        return IKAT_NO_MEMORY;
    }
    result = driver->vk.EnumeratePhysicalDevices(driver->instance, &num, handles);
    for (uint32_t i = 0; result >= VK_SUCCESS && i < num; i++) {
        vk_physical *physical = &driver->devices[driver->num_devices];
        const char *reason = "";
        ikat_status status = vk_physical_query(driver, handles[i], physical, &reason);
        if (status == IKAT_OK) {
            driver->num_devices++;
            continue;
        }
        if (status == IKAT_NO_MEMORY) {
            ikati_free(driver->host, handles);
            return status;
        }
        ikati_log(driver->host, IKAT_LOG_INFO, IKAT_MESSAGE_DEVICE, "vulkan: %s left out: %s",
                  physical->properties.deviceName, reason);
    }
    ikati_free(driver->host, handles);
    return driver->num_devices > 0 ? IKAT_OK : IKAT_NO_DEVICE;
}

ikat_status vk_driver_open(const ikati_host *host, ikati_driver **out_driver) {
    *out_driver = NULL;
    ikati_driver *driver = ikati_alloc(host, 1, sizeof(*driver));
    if (!driver) {
        return IKAT_NO_MEMORY;
    }
    driver->host = host;
    ikat_status status = IKAT_NO_DEVICE;
    if (!open_loader(driver)) {
        ikati_log(host, IKAT_LOG_DEBUG, IKAT_MESSAGE_DEVICE, "vulkan: no loader on this machine");
        goto fail;
    }
    if ((status = create_instance(driver)) != IKAT_OK) {
        goto fail;
    }
    driver->compiler = vk_compiler_open(host);
    if (!load_functions(driver)) {
        status = ikati_fail(host, IKAT_INTERNAL, IKAT_MESSAGE_DEVICE,
                            "vulkan: the loader lacks functions of Vulkan 1.1");
        goto fail;
    }
    if ((status = list_devices(driver)) != IKAT_OK) {
        goto fail;
    }
    *out_driver = driver;
    return IKAT_OK;

fail:
    vk_driver_close(driver);
    return status;
}

ikat_status vk_driver_adopt(const ikati_host *host,
                            PFN_vkGetInstanceProcAddr get_instance_proc_addr, VkInstance instance,
                            uint32_t api_version, bool debug_utils, bool compiler,
                            VkPhysicalDevice physical_device, ikati_driver **out_driver) {
    *out_driver = NULL;
    ikati_driver *driver = ikati_alloc(host, 1, sizeof(*driver));
    if (!driver) {
        return IKAT_NO_MEMORY;
    }
    driver->host = host;
    driver->get_instance_proc_addr = get_instance_proc_addr;
    driver->instance = instance;
    driver->api_version = api_version ? api_version : VK_API_VERSION_1_1;
    driver->debug_utils = debug_utils;
    driver->compiler = compiler ? vk_compiler_open(host) : NULL;
    ikat_status status = IKAT_UNSUPPORTED;
    const char *reason = "the instance has Vulkan 1.0 only";
    if (driver->api_version >= VK_API_VERSION_1_1 && load_functions(driver)) {
        driver->devices = ikati_alloc(host, 1, sizeof(vk_physical));
        status = driver->devices
                     ? vk_physical_query(driver, physical_device, driver->devices, &reason)
                     : IKAT_NO_MEMORY;
    }
    if (status != IKAT_OK) {
        if (status == IKAT_UNSUPPORTED) {
            ikati_fail(host, status, IKAT_MESSAGE_DEVICE,
                       "vulkan: this device cannot be adopted: %s", reason);
        }
        vk_driver_close(driver);
        return status;
    }
    driver->num_devices = 1;
    *out_driver = driver;
    return IKAT_OK;
}

void vk_driver_close(ikati_driver *driver) {
    if (!driver) {
        return;
    }
    const ikati_host *host = driver->host;
    if (driver->library) {
        if (driver->instance && driver->vk.DestroyInstance) {
            driver->vk.DestroyInstance(driver->instance, NULL);
        }
        ikati_library_close(driver->library);
    }
    vk_compiler_close(host, driver->compiler);
    ikati_free(host, driver->devices);
    ikati_free(host, driver);
}

uint32_t vk_driver_num_devices(const ikati_driver *driver) { return driver->num_devices; }

void vk_driver_describe(const ikati_driver *driver, uint32_t index, ikat_device_info *out_info) {
    *out_info = driver->devices[index].info;
}
