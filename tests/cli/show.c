// ikat show: pictures of who sees whom, in three formats.
//
//   test_cli_show IKAT

#include "shell.h"

#include <ikat/ikat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#ifdef IKAT_HAVE_PNG
#include <png.h>
#endif

#define LEGEND "\nqueries down, keys across: # visible, + computed and masked, . not computed\n"

static void expect_text(const char *arguments, const char *text) {
    char expected[4096];
    snprintf(expected, sizeof(expected), "%s%s", text, LEGEND);
    assert_int_equal(shell_run("show %s", arguments), 0);
    assert_string_equal(shell_output(), expected);
    assert_string_equal(shell_errors(), "");
}

static void test_text(void **state) {
    (void)state;
    expect_text("dense --shape q=1,1,3,4 --shape k=1,1,5,4 --set causal=1", "dense\n"
                                                                            "###++\n"
                                                                            "####+\n"
                                                                            "#####\n");
    expect_text("longformer --n 8 --set window=1 --heads 4 --set dilation=1,3,1,1 -o -",
                "longformer, heads 0, 2-3  longformer, head 1\n"
                "##++++++                  #..#..+.\n"
                "###+++++                  .#..#..+\n"
                "+###++++                  ..#..#..\n"
                "++###+++                  #..#..#.\n"
                "+++###++                  .#..#..#\n"
                "++++###+                  ..#..#..\n"
                "+++++###                  +..#..#.\n"
                "++++++##                  .+..#..#\n");
    expect_text("longformer --n 8 --set window=1 --heads 4 --set dilation=1,3,1,1 --head 1",
                "longformer, head 1\n"
                "#..#..+.\n"
                ".#..#..+\n"
                "..#..#..\n"
                "#..#..#.\n"
                ".#..#..#\n"
                "..#..#..\n"
                "+..#..#.\n"
                ".+..#..#\n");
    expect_text("bigbird --n 8 --set block_size=2 --set num_random_blocks=0", "bigbird\n"
                                                                              "########\n"
                                                                              "########\n"
                                                                              "########\n"
                                                                              "########\n"
                                                                              "########\n"
                                                                              "########\n"
                                                                              "########\n"
                                                                              "########\n");
}

// Keys of both inputs, the global ones first; coarse keys are all that they stand for, and tiles tell them.
static void test_several(void **state) {
    (void)state;
    expect_text("etc --shape q=1,1,6,8 --shape q_global=1,1,2,8 --set radius=1", "etc\n"
                                                                                 "########\n"
                                                                                 "########\n"
                                                                                 "####+++.\n"
                                                                                 "#####++.\n"
                                                                                 "##+###+.\n"
                                                                                 "##++###.\n"
                                                                                 "##...###\n"
                                                                                 "##...+##\n");
    expect_text("hierarchical --n 9 --set block_size=4 --set causal=1", "hierarchical\n"
                                                                        "#++++++++\n"
                                                                        "##+++++++\n"
                                                                        "###++++++\n"
                                                                        "####+++++\n"
                                                                        "#####++++\n"
                                                                        "######+++\n"
                                                                        "#######++\n"
                                                                        "########+\n"
                                                                        "#########\n");
}

// Structure comes from a file; the rest follows its shape.
static void test_structure(void **state) {
    (void)state;
    const int32_t mask[] = {0, 0, 0, 0, 0, 0, 0, 1, 0, 0};
    shell_write_npy("mask.npy", "<i4", false, "(2, 5)", mask, sizeof(mask));
    expect_text("longformer --in global_mask=mask.npy --batch 1 --set window=0",
                "longformer, batch 1\n"
                "#+#++\n"
                "+##++\n"
                "#####\n"
                "++##+\n"
                "++#+#\n");
}

// Every mechanism has a picture, or the program says that it has none.
static void test_examples(void **state) {
    (void)state;
    static const char *const shown[] = {"dense",  "longformer",  "bigbird", "sparse",
                                        "custom", "blockwise",   "local",   "axial",
                                        "etc",    "hierarchical"};
    const ikat_mechanism_info *info;
    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
        assert_int_equal(shell_run("show %s", shown[i]), 0);
        assert_non_null(strstr(shell_output(), shown[i]));
    }
    for (uint32_t i = 0; (info = ikat_mechanism_at(i)); i++) {
        const int code = shell_run("show %s", info->name);
        assert_true(code == 0 || (code == 3 && shell_num_errors() == 1));
    }
    assert_int_equal(shell_run("show longformer --case dilation_heads"), 0);
    assert_non_null(strstr(shell_output(), "longformer, heads 1, 3"));
}

static void test_refusals(void **state) {
    (void)state;
    static const struct {
        const char *arguments;
        int code;
        const char *named;
    } wrong[] = {
        {"nosuch", 2, "nosuch"},
        {"dense dense", 2, "dense"},
        {"dense -o p.bmp", 2, "p.bmp"},
        {"dense -o", 2, "-o"},
        {"dense -o nosuch/p.svg", 2, "nosuch/p.svg"},
        {"dense --case nosuch", 2, "nosuch"},
        {"dense --case self --n 5", 2, "--case"},
        {"--n 5", 2, "mechanism"},
        {"dense --n 5000", 2, "--n"},
        {"dense --shape q=1,1,5000,4", 2, "5000"},
        {"dense --n 5 --head x", 2, "--head"},
        {"dense --n 5 --heads 2 --head 2", 2, "--head"},
        {"dense --shape q=1,2,5,4 --head 2", 2, "--head"},
        {"dense --shape q=1,2,5,4 --batch 1", 2, "--batch"},
        {"dense --n 5 --set foo=1", 2, "foo"},
        {"dense --n 5 --device cpu", 3, "null"},
    };
    const int num_files = shell_num_files();
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const int code = shell_run("show %s", wrong[i].arguments);
        if (code != wrong[i].code || shell_num_errors() != 1 ||
            !strstr(shell_errors(), wrong[i].named)) {
            fail_msg("ikat show %s: exit status %d, %s", wrong[i].arguments, code, shell_errors());
        }
    }
    assert_int_equal(shell_num_files(), num_files);
}

// Every element that begins ends, in order; attributes are quoted.
static void expect_well_formed(const char *text) {
    char open[16][32];
    int depth = 0;
    for (const char *at = strchr(text, '<'); at; at = strchr(at, '<')) {
        const char *end = strchr(at, '>');
        assert_non_null(end);
        const bool closes = at[1] == '/', empty = end[-1] == '/';
        char name[32] = "";
        int quotes = 0;
        for (const char *c = at; c < end; c++) {
            quotes += *c == '"';
        }
        assert_int_equal(quotes % 2, 0);
        sscanf(at + 1 + closes, "%31[a-z]", name);
        if (closes) {
            assert_true(depth > 0);
            assert_string_equal(open[--depth], name);
        } else if (!empty) {
            assert_true(depth < 16);
            strcpy(open[depth++], name);
        }
        at = end;
    }
    assert_int_equal(depth, 0);
}

static void test_svg(void **state) {
    (void)state;
    size_t size;
    assert_int_equal(shell_run("show -o all.svg"), 0);
    assert_string_equal(shell_output(), "");
    char *all = (char *)shell_read("all.svg", &size);
    all[size - 1] = '\0'; // the last character ends the last line
    assert_int_equal(strncmp(all, "<svg ", 5), 0);
    expect_well_formed(all);
    free(all);

    assert_int_equal(shell_run("show dense --shape q=1,1,2,4 --set causal=1 -o two.svg"), 0);
    char *two = (char *)shell_read("two.svg", &size);
    two[size - 1] = '\0';
    assert_non_null(strstr(two, "<path class=\"m\" d=\"M0 .5m1 0h1\"/>"));
    assert_non_null(strstr(two, "<path class=\"v\" d=\"M0 .5m0 0h1m-1 1h2\"/>"));
    assert_non_null(strstr(two, "M0 0h2v2h-2z"));
    free(two);
}

#ifdef IKAT_HAVE_PNG
static void test_png(void **state) {
    (void)state;
    // 20 x 10 pairs of 12 pixels each, 12 around them, 16 for the caption.
    assert_int_equal(
        shell_run("show dense --shape q=1,1,10,4 --shape k=1,1,20,4 --set causal=1 -o p.png"), 0);
    png_image image = {.version = PNG_IMAGE_VERSION};
    assert_true(png_image_begin_read_from_file(&image, "p.png"));
    assert_int_equal(image.width, 12 + 20 * 12 + 12);
    assert_int_equal(image.height, 12 + 16 + 10 * 12 + 12);
    image.format = PNG_FORMAT_RGB;
    uint8_t *pixels = malloc(PNG_IMAGE_SIZE(image));
    assert_true(png_image_finish_read(&image, NULL, pixels, 0, NULL));
    const uint8_t *seen = pixels + 3 * ((12 + 16 + 6) * image.width + 12 + 10 * 12 + 6);
    const uint8_t *masked = seen + 3 * 12;
    assert_memory_equal(seen, ((uint8_t[]){0x1f, 0x4e, 0x8c}), 3);
    assert_memory_equal(masked, ((uint8_t[]){0xa9, 0xc4, 0xe4}), 3);
    free(pixels);
}
#else
static void test_png(void **state) {
    (void)state;
    assert_int_equal(shell_run("show dense -o p.png"), 2);
    assert_non_null(strstr(shell_errors(), "IKAT_PNG"));
    assert_false(shell_exists("p.png"));
}
#endif

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),     cmocka_unit_test(test_structure),
        cmocka_unit_test(test_several),  cmocka_unit_test(test_examples),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_svg),
        cmocka_unit_test(test_png),
    };
    if (argc != 2) {
        return EXIT_FAILURE;
    }
    shell_open(argv[1]);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    shell_close();
    return failed;
}
