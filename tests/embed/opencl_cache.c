// The program of opencl_host.c run time and again with one cache folder. Its OpenCL counts what is
// compiled from source, and can pretend to be of another version.

#include <stdlib.h>
#include <string.h>

#include "folder.h"
#include "support/opencl_functions.h"
#include "support/opencl_program.h"

static struct {
    int num_sources;
    int num_binaries;
    const char *driver_version; // NULL: the driver's own
} driver;

static cl_program CL_API_CALL count_source(cl_context context, cl_uint num, const char **texts,
                                           const size_t *sizes, cl_int *out_error) {
    driver.num_sources++;
    return clCreateProgramWithSource(context, num, texts, sizes, out_error);
}

static cl_program CL_API_CALL count_binary(cl_context context, cl_uint num,
                                           const cl_device_id *devices, const size_t *sizes,
                                           const unsigned char **binaries, cl_int *out_statuses,
                                           cl_int *out_error) {
    driver.num_binaries++;
    return clCreateProgramWithBinary(context, num, devices, sizes, binaries, out_statuses,
                                     out_error);
}

static cl_int CL_API_CALL tell_version(cl_device_id device, cl_device_info name, size_t size,
                                       void *value, size_t *out_size) {
    if (name != CL_DRIVER_VERSION || !driver.driver_version) {
        return clGetDeviceInfo(device, name, size, value, out_size);
    }
    const size_t needed = strlen(driver.driver_version) + 1;
    if (out_size) *out_size = needed;
    if (value && size < needed) return CL_INVALID_VALUE;
    if (value) memcpy(value, driver.driver_version, needed);
    return CL_SUCCESS;
}

typedef struct fixture {
    program *program;
    folder folder;
} fixture;

static int create_fixture(void **state) {
    fixture *f = calloc(1, sizeof(*f));
    void *made = NULL;
    assert_non_null(f);
    program_create(&made);
    f->program = made;
    folder_create(&f->folder);
    driver.driver_version = NULL;
    *state = f;
    return 0;
}

static int destroy_fixture(void **state) {
    fixture *f = *state;
    void *made = f->program;
    folder_remove(&f->folder);
    program_destroy(&made);
    free(f);
    return 0;
}

// What a process does from its start to its end. Returns how many programs were compiled from
// source.
static int run_process(const fixture *f) {
    program *self = f->program;
    opencl_functions functions = {
        .replacements = {{"clCreateProgramWithSource", (ikat_opencl_function)count_source},
                         {"clCreateProgramWithBinary", (ikat_opencl_function)count_binary},
                         {"clGetDeviceInfo", (ikat_opencl_function)tell_version}}};
    ikat_opencl_adopt_params params = program_params(self);
    params.get_function = opencl_functions_find;
    params.get_function_user = &functions;
    driver.num_sources = driver.num_binaries = 0;
    ikat_context_destroy(&self->ikat);
    recorder_create_context(&self->messages, IKAT_LOG_WARNING, f->folder.path, &self->ikat);
    guest g;
    program_invite(self, &params, &g);
    program_write_inputs(self, self->queue, NULL);
    guest_run_and_check(&g);
    guest_leave(&g);
    return driver.num_sources;
}

// The first process: everything is compiled and kept. Returns the number of
// files, 0 if this driver gives no binaries away.
static size_t fill_folder(const fixture *f) {
    char paths[FOLDER_MAX_FILES][FOLDER_PATH_SIZE];
    assert_true(run_process(f) > 0);
    assert_int_equal(driver.num_binaries, 0);
    return folder_list(&f->folder, paths);
}

static void expect_files(const fixture *f, size_t num) {
    char paths[FOLDER_MAX_FILES][FOLDER_PATH_SIZE];
    assert_int_equal(folder_list(&f->folder, paths), num);
}

static void second_process_compiles_nothing(void **state) {
    const fixture *f = *state;
    const size_t num_files = fill_folder(f);
    if (num_files == 0) skip();
    assert_int_equal(run_process(f), 0);
    assert_int_equal(driver.num_binaries, num_files);
    expect_files(f, num_files);
}

static void damaged_files_are_replaced(void **state) {
    const fixture *f = *state;
    const size_t num_files = fill_folder(f);
    if (num_files == 0) skip();
    for (size_t from_end = 1; from_end <= 2; from_end++) {
        folder_damage(&f->folder, from_end);
        assert_int_equal(run_process(f), num_files);
        assert_int_equal(driver.num_binaries, 0); // the driver never sees the damage
        assert_int_equal(run_process(f), 0);
    }
    expect_files(f, num_files);
}

// Each driver has files of its own; those of the other are ignored even under its own names.
static void other_drivers_compile_again(void **state) {
    const fixture *f = *state;
    const size_t num_files = fill_folder(f);
    if (num_files == 0) skip();
    driver.driver_version = "another version";
    assert_int_equal(run_process(f), num_files);
    assert_int_equal(driver.num_binaries, 0);
    expect_files(f, 2 * num_files);
    assert_int_equal(run_process(f), 0);
    folder_rotate(&f->folder);
    assert_int_equal(run_process(f), num_files);
    assert_int_equal(driver.num_binaries, 0);
    driver.driver_version = NULL;
    assert_int_equal(run_process(f), num_files);
    assert_int_equal(driver.num_binaries, 0);
    assert_int_equal(run_process(f), 0);
    expect_files(f, 2 * num_files);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, create_fixture, destroy_fixture)
        TEST(second_process_compiles_nothing),
        TEST(damaged_files_are_replaced),
        TEST(other_drivers_compile_again),
#undef TEST
    };
    return program_run_tests(tests, sizeof(tests) / sizeof(tests[0]));
}
