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
    "#define CALL\n"
    "#define BITS(x) floatBitsToInt(x)\n";
static const char main_text[] =
    "void main() {\n"
    "    uint g = gl_GlobalInvocationID.x, p = g * 8u;\n"
    "    Place at = Place(places[p], places[p + 1u], places[p + 2u], places[p + 3u],\n"
    "                     places[p + 4u], places[p + 5u], places[p + 6u], places[p + 7u]);\n"
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
