// Host services: memory through the caller's allocator, log lines, checked sizes, threads, names.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/host.h"
#include "src/platform.h"

// An allocator that counts its blocks, fills them with rubbish and can be told to fail.
typedef struct counter {
    int num_blocks;
    bool failing;
} counter;

static void *count_allocate(void *user, size_t size_bytes) {
    counter *c = user;
    void *block = c->failing ? NULL : malloc(size_bytes);
    if (block) {
        memset(block, 0xa5, size_bytes);
        c->num_blocks++;
    }
    return block;
}

static void *count_reallocate(void *user, void *block, size_t size_bytes) {
    const counter *c = user;
    return c->failing ? NULL : realloc(block, size_bytes);
}

static void count_release(void *user, void *block) {
    counter *c = user;
    c->num_blocks--;
    free(block);
}

typedef struct last_message {
    int count;
    ikat_log_level level;
    ikat_message_id id;
    char text[2048];
} last_message;

static void keep_message(void *user, ikat_log_level level, ikat_message_id id, const char *text) {
    last_message *message = user;
    message->count++;
    message->level = level;
    message->id = id;
    strncpy(message->text, text, sizeof(message->text) - 1);
}

static ikati_host make_host(counter *c, last_message *message) {
    return (ikati_host){
        .allocator = {count_allocate, count_reallocate, count_release, c},
        .log = keep_message,
        .log_user = message,
        .log_level = IKAT_LOG_WARNING,
    };
}

static void check_zero(const uint8_t *block, size_t size) {
    for (size_t i = 0; i < size; i++) {
        assert_int_equal(block[i], 0);
    }
}

static void memory_is_zeroed(void **state) {
    (void)state;
    counter c = {0};
    last_message message = {0};
    const ikati_host hosts[2] = {make_host(&c, &message), {.cache_dir = NULL}};
    for (int i = 0; i < 2; i++) {
        uint8_t *block = ikati_alloc(&hosts[i], 10, 30);
        assert_non_null(block);
        check_zero(block, 300);
        memset(block, 1, 300);
        block = ikati_resize(&hosts[i], block, 1000, 30);
        assert_non_null(block);
        assert_int_equal(block[299], 1);
        ikati_free(&hosts[i], block);
        block = ikati_resize(&hosts[i], NULL, 5, 1);
        assert_non_null(block);
        check_zero(block, 5);
        ikati_free(&hosts[i], block);
        block = ikati_alloc(&hosts[i], 0, 8);
        assert_non_null(block);
        ikati_free(&hosts[i], block);
        ikati_free(&hosts[i], NULL);
    }
    assert_int_equal(c.num_blocks, 0);
    assert_int_equal(message.count, 0);
}

static void memory_can_fail(void **state) {
    (void)state;
    counter c = {0};
    last_message message = {0};
    const ikati_host host = make_host(&c, &message);
    assert_null(ikati_alloc(&host, SIZE_MAX, 2));
    assert_int_equal(message.id, IKAT_MESSAGE_OVERFLOW);
    char *block = ikati_copy_text(&host, "kept");
    assert_string_equal(block, "kept");
    c.failing = true;
    assert_null(ikati_alloc(&host, 1, 2));
    assert_int_equal(message.id, IKAT_MESSAGE_MEMORY);
    assert_null(ikati_resize(&host, block, 100, 1));
    assert_null(ikati_resize(&host, block, SIZE_MAX, 8));
    assert_string_equal(block, "kept");
    assert_int_equal(message.count, 4);
    assert_null(ikati_copy_text(&host, "lost"));
    assert_null(ikati_copy_text(&host, NULL));
    assert_int_equal(message.count, 5);
    ikati_free(&host, block);
    assert_int_equal(c.num_blocks, 0);
}

static void log_lines(void **state) {
    (void)state;
    counter c = {0};
    last_message message = {0};
    ikati_host host = make_host(&c, &message);
    ikati_log(&host, IKAT_LOG_INFO, IKAT_MESSAGE_OTHER, "not wanted");
    assert_int_equal(message.count, 0);
    ikati_log(&host, IKAT_LOG_WARNING, IKAT_MESSAGE_CACHE, "two\nlines of %s", "a driver");
    assert_string_equal(message.text, "two lines of a driver");
    assert_int_equal(message.level, IKAT_LOG_WARNING);
    assert_int_equal(ikati_fail(&host, IKAT_IO, IKAT_MESSAGE_RANGE, "%d", 7), IKAT_IO);
    assert_int_equal(message.level, IKAT_LOG_ERROR);
    assert_int_equal(message.id, IKAT_MESSAGE_RANGE);
    char long_text[4000];
    memset(long_text, 'x', sizeof(long_text));
    long_text[sizeof(long_text) - 1] = '\0';
    ikati_log(&host, IKAT_LOG_ERROR, IKAT_MESSAGE_OTHER, "%s", long_text);
    assert_true(strlen(message.text) > 500);
    host.log = NULL;
    assert_int_equal(ikati_fail(&host, IKAT_INVALID, IKAT_MESSAGE_RANGE, "silent"), IKAT_INVALID);
    assert_int_equal(message.count, 3);
}

static void sizes_are_checked(void **state) {
    (void)state;
    uint64_t out = 5;
    assert_true(ikati_mul_size(UINT64_MAX / 3, 3, &out) && out == UINT64_MAX);
    assert_false(ikati_mul_size((uint64_t)1 << 32, (uint64_t)1 << 32, &out));
    assert_true(ikati_mul_size(0, UINT64_MAX, &out) && out == 0);
    assert_true(ikati_mul_size(UINT64_MAX, 0, &out) && out == 0);
    assert_true(ikati_add_size(UINT64_MAX - 1, 1, &out) && out == UINT64_MAX);
    assert_false(ikati_add_size(UINT64_MAX, 1, &out));
    assert_int_equal(ikati_round_up(0, 16), 0);
    assert_int_equal(ikati_round_up(17, 16), 32);
    assert_int_equal(ikati_divide_up(17, 16), 2);
}

enum { NUM_WORKERS = 300 }; // more than threads are started for

static void mark_worker(void *user, uint32_t worker) { ((uint8_t *)user)[worker]++; }

static void every_worker_runs_once(void **state) {
    (void)state;
    for (uint32_t num = 0; num <= NUM_WORKERS; num = num < 5 ? num + 1 : num + 59) {
        uint8_t marks[NUM_WORKERS + 1] = {0};
        ikati_run_threads(num, mark_worker, marks);
        for (uint32_t i = 0; i <= NUM_WORKERS; i++) {
            assert_int_equal(marks[i], i < num ? 1 : 0);
        }
    }
}

typedef struct shared_count {
    ikati_mutex mutex;
    int value;
} shared_count;

static void count_up(void *user, uint32_t worker) {
    (void)worker;
    shared_count *count = user;
    for (int i = 0; i < 1000; i++) {
        ikati_mutex_lock(count->mutex);
        count->value++;
        ikati_mutex_unlock(count->mutex);
    }
}

static void mutex_excludes(void **state) {
    (void)state;
    shared_count count = {.value = 0};
    assert_true(ikati_mutex_init(count.mutex));
    ikati_run_threads(8, count_up, &count);
    assert_int_equal(count.value, 8000);
    ikati_mutex_destroy(count.mutex);
}

static void machine(void **state) {
    (void)state;
    assert_true(ikati_num_processors() >= 1);
    const uint64_t start = ikati_now_ns();
    assert_true(ikati_now_ns() >= start);
    assert_null(ikati_library_open("libno-such-library-of-this-name.so.99"));
}

static void names(void **state) {
    (void)state;
    assert_string_equal(ikat_status_name(IKAT_INVALID), "IKAT_INVALID");
    assert_non_null(ikat_status_name((ikat_status)999));
    assert_string_equal(ikat_dtype_name(IKAT_FLOAT16), "float16");
    assert_non_null(ikat_dtype_name((ikat_dtype)999));
    assert_int_equal(ikat_dtype_size(IKAT_FLOAT16), 2);
    assert_int_equal(ikat_dtype_size(IKAT_DTYPE_NONE), 0);
    char version[32];
    snprintf(version, sizeof(version), "%d.%d.%d", IKAT_VERSION_MAJOR, IKAT_VERSION_MINOR,
             IKAT_VERSION_PATCH);
    assert_string_equal(ikat_version(), version);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed), cmocka_unit_test(memory_can_fail),
        cmocka_unit_test(log_lines),        cmocka_unit_test(sizes_are_checked),
        cmocka_unit_test(mutex_excludes),   cmocka_unit_test(every_worker_runs_once),
        cmocka_unit_test(machine),          cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
