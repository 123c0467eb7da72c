// Blobs on disk: stored and loaded, and every kind of damage ignored.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "folder.h"

#include "src/cache_file.h"
#include "src/platform.h"

typedef struct fixture {
    folder folder; // made by the first store
    ikati_host host;
    int num_warnings;
} fixture;

static void count_warning(void *user, ikat_log_level level, ikat_message_id id, const char *text) {
    (void)text;
    fixture *f = user;
    f->num_warnings += level == IKAT_LOG_WARNING && id == IKAT_MESSAGE_CACHE;
}

static int make_folder(void **state) {
    fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    folder_create(&f->folder);
    f->host = (ikati_host){.log = count_warning,
                           .log_user = f,
                           .log_level = IKAT_LOG_WARNING,
                           .cache_dir = f->folder.path};
    *state = f;
    return 0;
}

static int remove_folder(void **state) {
    fixture *f = *state;
    folder_remove(&f->folder);
    free(f);
    return 0;
}

// The path of the only file of the folder.
static void only_file(const fixture *f, char out_path[FOLDER_PATH_SIZE]) {
    char paths[FOLDER_MAX_FILES][FOLDER_PATH_SIZE];
    assert_int_equal(folder_list(&f->folder, paths), 1);
    strcpy(out_path, paths[0]);
}

static void expect(const fixture *f, const char *key, const char *text) {
    void *blob = NULL;
    size_t size = 99;
    const bool found = ikati_cache_load(&f->host, "vulkan", key, &blob, &size);
    assert_int_equal(found, text != NULL);
    assert_int_equal(size, text ? strlen(text) : 0);
    if (text) {
        assert_memory_equal(blob, text, size);
    } else {
        assert_null(blob);
    }
    ikati_free(&f->host, blob);
}

static void store(const fixture *f, const char *key, const char *text) {
    ikati_cache_store(&f->host, "vulkan", key, text, strlen(text));
}

static void stored_and_loaded(void **state) {
    fixture *f = *state;
    char path[FOLDER_PATH_SIZE], paths[FOLDER_MAX_FILES][FOLDER_PATH_SIZE];
    expect(f, "a key", NULL);
    store(f, "a key", "a blob");
    expect(f, "a key", "a blob");
    expect(f, "another key", NULL);
    store(f, "a key", "replaced");
    expect(f, "a key", "replaced");
    store(f, "a key", "");
    expect(f, "a key", "");
    only_file(f, path); // no temporary file is left
    assert_non_null(strstr(path, "/vulkan-"));
    store(f, "another key", "x");
    assert_int_equal(folder_list(&f->folder, paths), 2);
    assert_int_equal(f->num_warnings, 0);
}

// Any one byte changed, any length, anything appended: no blob, and the next store repairs it.
static void damage_is_ignored(void **state) {
    fixture *f = *state;
    char path[FOLDER_PATH_SIZE], bytes[256];
    store(f, "key", "some bytes to keep");
    only_file(f, path);
    const size_t size = folder_read(path, bytes, sizeof(bytes) - 1);
    for (size_t i = 0; i < size; i++) {
        bytes[i] ^= 0x40;
        folder_write(path, bytes, size);
        expect(f, "key", NULL);
        bytes[i] ^= 0x40;
        folder_write(path, bytes, i);
        expect(f, "key", NULL);
    }
    bytes[size] = 'x';
    folder_write(path, bytes, size + 1);
    expect(f, "key", NULL);
    store(f, "key", "repaired");
    expect(f, "key", "repaired");
}

// A file of another key under this key's name, as when two hashes collide.
static void foreign_key_is_ignored(void **state) {
    fixture *f = *state;
    char path[FOLDER_PATH_SIZE], other[FOLDER_PATH_SIZE], bytes[256];
    store(f, "key A", "blob of A");
    only_file(f, path);
    const size_t size = folder_read(path, bytes, sizeof(bytes));
    assert_int_equal(remove(path), 0);
    store(f, "key B", "blob of B");
    only_file(f, other);
    folder_write(other, bytes, size);
    expect(f, "key B", NULL);
    store(f, "key B", "blob of B");
    expect(f, "key B", "blob of B");
}

static void without_folder(void **state) {
    fixture *f = *state;
    f->host.cache_dir = NULL;
    store(f, "key", "blob");
    expect(f, "key", NULL);
    assert_int_equal(f->num_warnings, 0);
    f->host.cache_dir = (char[]){"/nonexistent/folder"};
    store(f, "key", "blob");
    assert_int_equal(f->num_warnings, 1);
    expect(f, "key", NULL);
}

static void store_and_load(void *user, uint32_t worker) {
    const fixture *f = user;
    char text[2] = {(char)('a' + worker), 0};
    for (int i = 0; i < 50; i++) {
        store(f, "shared", text);
        void *blob = NULL;
        size_t size = 0;
        // Whole or absent (another system may refuse to replace an open file), never a mixture.
        if (ikati_cache_load(&f->host, "vulkan", "shared", &blob, &size) && size != 1) {
            abort();
        }
        ikati_free(&f->host, blob);
    }
}

static void threads_may_race(void **state) {
    fixture *f = *state;
    char path[FOLDER_PATH_SIZE];
    ikati_run_threads(4, store_and_load, f);
    only_file(f, path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(stored_and_loaded, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(damage_is_ignored, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(foreign_key_is_ignored, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(without_folder, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(threads_may_race, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
