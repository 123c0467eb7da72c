# Kernel text -> C: every GLSL row of shaders/variants/<kernel>.inc becomes SPIR-V and an array of words, every OpenCL
# source one array of characters, and so every GLSL source of a row that is compiled when a plan is made (COMPILED). No host
# program is built for it: glslang and `cmake -P` do all, so cross-compiling is no special case.
#
# Sets IKAT_SPIRV_TABLE, IKAT_GLSL_TABLE and IKAT_OPENCL_TABLE (generated C files) and IKAT_SHADER_DIR (where the .spv files lie).

set(IKAT_SHADER_DIR ${PROJECT_BINARY_DIR}/shaders)
set(IKAT_SPIRV_TABLE ${IKAT_SHADER_DIR}/spirv_table.c)
set(IKAT_GLSL_TABLE ${IKAT_SHADER_DIR}/glsl_table.c)
set(IKAT_OPENCL_TABLE ${IKAT_SHADER_DIR}/opencl_table.c)
file(MAKE_DIRECTORY ${IKAT_SHADER_DIR})

# Reads the kernels' names from src/kernels.inc.
function(ikat_read_kernels out_kernels)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS src/kernels.inc)
    file(STRINGS src/kernels.inc lines REGEX "^KERNEL\\(")
    list(TRANSFORM lines REPLACE "^KERNEL\\(([a-z0-9_]+)\\).*" "\\1")
    set(${out_kernels} ${lines} PARENT_SCOPE)
endfunction()

# Compiles one GLSL row; appends what the table needs to the caller's `spirv_words` and `spirv_rows`.
function(ikat_compile_glsl kernel name source defines)
    set(base ${IKAT_SHADER_DIR}/${kernel}.${name})
    separate_arguments(defines UNIX_COMMAND "${defines}")
    set(flags "")
    if(IKAT_GLSLANG_DEPFILE)
        set(flags --depfile ${base}.spv.d)
        set(depends DEPFILE ${base}.spv.d)
    else()
        file(GLOB_RECURSE lib CONFIGURE_DEPENDS shaders/glsl/lib/* shaders/lib/* shaders/params/*)
        set(depends DEPENDS ${lib})
    endif()
    add_custom_command(
        OUTPUT ${base}.spv ${base}.words
        COMMAND ${IKAT_GLSLANG} --quiet -V -g0 --target-env vulkan1.1 ${defines}
            -I${PROJECT_SOURCE_DIR}/shaders -I${PROJECT_SOURCE_DIR}/shaders/glsl ${flags}
            -o ${base}.spv ${PROJECT_SOURCE_DIR}/shaders/glsl/${source}
        COMMAND ${CMAKE_COMMAND} -DINPUT=${base}.spv -DOUTPUT=${base}.words
            -P ${PROJECT_SOURCE_DIR}/cmake/embed_spirv.cmake
        DEPENDS ${PROJECT_SOURCE_DIR}/shaders/glsl/${source}
            ${PROJECT_SOURCE_DIR}/cmake/embed_spirv.cmake
        ${depends}
        COMMENT "Compiling ${kernel}.${name}.spv"
        VERBATIM)
    string(MAKE_C_IDENTIFIER ${kernel}_${name} symbol)
    string(APPEND spirv_arrays
        "static const uint32_t ${symbol}[] = {\n#include \"${kernel}.${name}.words\"\n};\n")
    string(APPEND spirv_rows "    {\"${kernel}\", \"${name}\", ${symbol}, sizeof(${symbol})},\n")
    set(spirv_arrays "${spirv_arrays}" PARENT_SCOPE)
    set(spirv_rows "${spirv_rows}" PARENT_SCOPE)
    set(spirv_words ${spirv_words} ${base}.words PARENT_SCOPE)
endfunction()

# ikat_embed_sources(language prefix output source...): text with its includes in place.
function(ikat_embed_sources language prefix output)
    list(JOIN ARGN "," sources)
    list(TRANSFORM ARGN PREPEND ${PROJECT_SOURCE_DIR}/shaders/${language}/ OUTPUT_VARIABLE files)
    file(GLOB_RECURSE included CONFIGURE_DEPENDS shaders/${language}/lib/* shaders/lib/* shaders/params/*)
    add_custom_command(
        OUTPUT ${output}
        COMMAND ${CMAKE_COMMAND} -DSHADERS=${PROJECT_SOURCE_DIR}/shaders -DLANGUAGE=${language} -DPREFIX=${prefix}
            -DSOURCES=${sources} -DOUTPUT=${output} -P ${PROJECT_SOURCE_DIR}/cmake/embed_sources.cmake
        DEPENDS ${files} ${included} ${PROJECT_SOURCE_DIR}/cmake/embed_sources.cmake
        COMMENT "Embedding ${language} kernels"
        VERBATIM)
endfunction()

# Rows of shaders/variants/<kernel>.inc: the first line of each holds VARIANT(GLSL, name, "source", "defines".
function(ikat_compile_variants)
    ikat_read_kernels(kernels)
    foreach(kernel IN LISTS kernels)
        set(rows_file ${PROJECT_SOURCE_DIR}/shaders/variants/${kernel}.inc)
        set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${rows_file})
        file(STRINGS ${rows_file} rows REGEX "^ *VARIANT\\( *GLSL *,")
        foreach(row IN LISTS rows)
            if(NOT row MATCHES "^ *VARIANT\\( *GLSL *, *([a-z0-9_]+) *, *\"([^\"]+)\" *, *\"([^\"]*)\"")
                message(FATAL_ERROR "${rows_file}: a row's first line must be "
                    "VARIANT(GLSL, name, \"source\", \"defines\", ...: ${row}")
            endif()
            string(FIND "${CMAKE_MATCH_3}" "-DCOMPILED" compiled)
            if(compiled EQUAL -1)
                ikat_compile_glsl(${kernel} ${CMAKE_MATCH_1} ${CMAKE_MATCH_2} "${CMAKE_MATCH_3}")
            else()
                list(APPEND compiled_sources ${CMAKE_MATCH_2})
            endif()
        endforeach()
    endforeach()

    file(CONFIGURE OUTPUT ${IKAT_SPIRV_TABLE} @ONLY CONTENT
"// Made by cmake/Kernels.cmake.
#include \"spirv.h\"

@spirv_arrays@
const vk_spirv vk_spirv_table[] = {
@spirv_rows@};

const size_t vk_spirv_count = sizeof(vk_spirv_table) / sizeof(vk_spirv_table[0]);
")
    set_property(SOURCE ${IKAT_SPIRV_TABLE} PROPERTY OBJECT_DEPENDS "${spirv_words}")
    # Object files of other folders may be built before the words are: a target orders them.
    add_custom_target(ikat_spirv DEPENDS ${spirv_words})
    list(REMOVE_DUPLICATES compiled_sources)
    ikat_embed_sources(glsl vk ${IKAT_GLSL_TABLE} ${compiled_sources})
endfunction()

if(IKAT_VULKAN)
    execute_process(COMMAND ${IKAT_GLSLANG} --help OUTPUT_VARIABLE help ERROR_QUIET)
    string(FIND "${help}" "--depfile" IKAT_GLSLANG_DEPFILE)
    if(IKAT_GLSLANG_DEPFILE EQUAL -1)
        set(IKAT_GLSLANG_DEPFILE OFF)
    else()
        set(IKAT_GLSLANG_DEPFILE ON)
    endif()
    ikat_compile_variants()
endif()

if(IKAT_OPENCL)
    file(GLOB opencl_sources RELATIVE ${PROJECT_SOURCE_DIR}/shaders/opencl CONFIGURE_DEPENDS shaders/opencl/*.cl)
    ikat_embed_sources(opencl ocl ${IKAT_OPENCL_TABLE} ${opencl_sources})
endif()
