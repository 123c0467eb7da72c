// Prints a compute shader that calls the emitted functions; glsl.sh compiles it.

#include <stdio.h>
#include <stdlib.h>

#include "suite.h"

static const char head[] =
    "#version 450\n"
    "#extension GL_GOOGLE_include_directive : require\n"
    "#include \"lib/numbers.glsl\"\n"
    "layout(local_size_x = 64) in;\n"
    "layout(std430, binding = 0) readonly buffer Words { int expression_words[]; };\n"
    "layout(std430, binding = 1) readonly buffer Places { int places[]; };\n"
    "layout(std430, binding = 2) readonly buffer Scores { float scores[]; };\n"
    "layout(std430, binding = 3) writeonly buffer Results { int results[]; };\n"
    "#include \"lib/expression.glsl\"\n"
    "#include \"lib/expression_run.h\"\n"
    "#define CALL\n";
static const char main_text[] =
    "void main() {\n"
    "    int g = int(gl_GlobalInvocationID.x), p = g * 8;\n"
    "    Place at = Place(places[p], places[p + 1], places[p + 2], places[p + 3],\n"
    "                     places[p + 4], places[p + 5], places[p + 6], places[p + 7]);\n"
    "    CALLS\n"
    "}\n";

int main(void) {
    suite functions;
    suite_open(&functions);
    char *source = suite_source(&functions);
    printf("%s%s%s", head, source, main_text);
    free(source);
    suite_close(&functions);
    return EXIT_SUCCESS;
}
