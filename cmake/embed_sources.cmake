# SOURCES, files of SHADERS/LANGUAGE separated by commas -> OUTPUT, a C file with one array of characters each, and a table
# of them, PREFIX_source_table, as PREFIX's source.h declares it.
#
# Lines `#include "..."` are replaced by the file's text, each file once: what is named lies beside the file, in SHADERS/LANGUAGE
# or in SHADERS. (So a file that two places include must not stand in a condition at the first.) Arrays, not literals: compilers limit the length of a literal.

cmake_minimum_required(VERSION 3.25)

function(expand file)
    get_property(seen GLOBAL PROPERTY seen)
    if(file IN_LIST seen)
        return()
    endif()
    set_property(GLOBAL APPEND PROPERTY seen ${file})
    file(READ ${file} text)
    while(text MATCHES "(^|\n)[ \t]*#[ \t]*include[ \t]+\"([^\"]+)\"[^\n]*\n")
        set(line "${CMAKE_MATCH_0}")
        set(name ${CMAKE_MATCH_2})
        string(FIND "${text}" "${line}" begin)
        string(LENGTH "${line}" length)
        math(EXPR end "${begin} + ${length}")
        string(SUBSTRING "${text}" 0 ${begin} before)
        string(SUBSTRING "${text}" ${end} -1 text)
        set(included "")
        get_filename_component(beside ${file} DIRECTORY)
        foreach(folder ${beside} ${SHADERS}/${LANGUAGE} ${SHADERS})
            if(EXISTS ${folder}/${name})
                get_filename_component(included ${folder}/${name} ABSOLUTE)
                break()
            endif()
        endforeach()
        if(NOT included)
            message(FATAL_ERROR "${file}: cannot find \"${name}\"")
        endif()
        set_property(GLOBAL APPEND_STRING PROPERTY expanded "${before}\n")
        expand(${included})
        # The line feed that ends the directive starts what follows, so that directives on neighbouring lines are both seen.
        string(PREPEND text "\n")
    endwhile()
    set_property(GLOBAL APPEND_STRING PROPERTY expanded "${text}\n")
endfunction()

string(REPLACE "," ";" sources "${SOURCES}")
set(arrays "")
set(rows "")
set(scratch ${OUTPUT}.text)
foreach(source IN LISTS sources)
    set(name ${source})
    set_property(GLOBAL PROPERTY seen "")
    set_property(GLOBAL PROPERTY expanded "")
    expand(${SHADERS}/${LANGUAGE}/${source})
    get_property(text GLOBAL PROPERTY expanded)
    if(text MATCHES "[^\t\n -~]")
        message(FATAL_ERROR "${source}: text must be plain ASCII, here or in what it includes: ${CMAKE_MATCH_0}")
    endif()
    file(WRITE ${scratch} "${text}")
    file(READ ${scratch} bytes HEX)
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
    string(REGEX REPLACE "(0x0a,)" "\\1\n" bytes "${bytes}")
    string(MAKE_C_IDENTIFIER ${name} symbol)
    string(APPEND arrays "static const char ${symbol}[] = {\n${bytes}0};\n")
    string(APPEND rows "    {\"${name}\", ${symbol}},\n")
endforeach()
file(REMOVE ${scratch})

file(WRITE ${OUTPUT} "// Made by cmake/embed_sources.cmake.
#include \"source.h\"

${arrays}
const ${PREFIX}_source ${PREFIX}_source_table[] = {
${rows}    {NULL, NULL},
};

const size_t ${PREFIX}_source_count = sizeof(${PREFIX}_source_table) / sizeof(${PREFIX}_source_table[0]) - 1;
")
