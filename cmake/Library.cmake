# The library: compiled once, as position-independent objects with hidden visibility, and put into a shared and a
# static library. `ikat` (ikat::ikat) is the one that BUILD_SHARED_LIBS asks for, `ikat_static` (ikat::static) is always static.

file(GLOB core_sources CONFIGURE_DEPENDS src/*.c src/expression/*.c src/mechanisms/*.c backends/null/*.c)
add_library(ikat_objects OBJECT ${core_sources})
target_link_libraries(ikat_objects PRIVATE ikat_compiler)
target_include_directories(ikat_objects PUBLIC ${PROJECT_SOURCE_DIR}/include)
target_compile_definitions(ikat_objects PRIVATE IKAT_BUILDING)
set_target_properties(ikat_objects PROPERTIES POSITION_INDEPENDENT_CODE ON)

# ikat_backend(name HEADERS folder...): adds a backend's sources, its switch for backends/backends.inc and the folders of the headers
# that it alone may include.
function(ikat_backend name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "HEADERS")
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/backends/${name}/*.c)
    target_sources(ikat_objects PRIVATE ${sources})
    string(TOUPPER ${name} upper)
    target_compile_definitions(ikat_objects PUBLIC IKAT_HAVE_${upper})
    if(arg_HEADERS)
        set_property(SOURCE ${sources} APPEND PROPERTY INCLUDE_DIRECTORIES ${arg_HEADERS})
    endif()
endfunction()

if(IKAT_VULKAN)
    ikat_backend(vulkan HEADERS ${IKAT_VULKAN_INCLUDE})
    target_sources(ikat_objects PRIVATE ${IKAT_SPIRV_TABLE} ${IKAT_GLSL_TABLE})
    set_property(SOURCE ${IKAT_SPIRV_TABLE} ${IKAT_GLSL_TABLE}
        PROPERTY INCLUDE_DIRECTORIES ${PROJECT_SOURCE_DIR}/backends/vulkan)
endif()
if(IKAT_OPENCL)
    ikat_backend(opencl HEADERS ${IKAT_OPENCL_INCLUDE})
    target_sources(ikat_objects PRIVATE ${IKAT_OPENCL_TABLE})
    set_property(SOURCE ${IKAT_OPENCL_TABLE} PROPERTY INCLUDE_DIRECTORIES ${PROJECT_SOURCE_DIR}/backends/opencl)
endif()
if(IKAT_CPU)
    ikat_backend(cpu)
endif()

# What the library needs of the system; pkg-config's Libs.private is made of the same list.
set(IKAT_SYSTEM_LIBRARIES Threads::Threads ${CMAKE_DL_LIBS})
if(UNIX)
    list(APPEND IKAT_SYSTEM_LIBRARIES m)
endif()

if(IKAT_SHADERC)
    set_property(SOURCE ${PROJECT_SOURCE_DIR}/backends/vulkan/compiler.c APPEND PROPERTY COMPILE_DEFINITIONS IKAT_SHADERC_LINKED)
    set(IKAT_SHADERC_LINK ${IKAT_SHADERC_LIBRARY} ${IKAT_SHADERC_ARCHIVES} ${IKAT_SHADERC_ARCHIVES} ${CMAKE_CXX_IMPLICIT_LINK_LIBRARIES})
    list(PREPEND IKAT_SYSTEM_LIBRARIES ${IKAT_SHADERC_LINK})
endif()

function(ikat_library target type)
    add_library(${target} ${type} $<TARGET_OBJECTS:ikat_objects>)
    target_include_directories(${target} PUBLIC
        $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    target_link_libraries(${target} PRIVATE ${IKAT_SYSTEM_LIBRARIES})
    target_link_options(${target} PRIVATE $<TARGET_PROPERTY:ikat_compiler,INTERFACE_LINK_OPTIONS>)
    set_target_properties(${target} PROPERTIES
        OUTPUT_NAME ikat
        LINKER_LANGUAGE C
        ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}
        LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}
        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
endfunction()

function(ikat_static_library target)
    ikat_library(${target} STATIC)
    target_compile_definitions(${target} INTERFACE IKAT_STATIC)
    if(WIN32)
        set_target_properties(${target} PROPERTIES OUTPUT_NAME ikat_static)
    endif()
endfunction()

if(BUILD_SHARED_LIBS)
    ikat_library(ikat SHARED)
    # Until 1.0 every minor version may break the interface, so the soname holds it.
    set_target_properties(ikat PROPERTIES
        VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
    if(CMAKE_SYSTEM_NAME STREQUAL Linux AND NOT IKAT_SANITIZE)
        target_link_options(ikat PRIVATE LINKER:--no-undefined)
    endif()
    if(IKAT_SHADERC AND UNIX AND NOT APPLE)
        target_link_options(ikat PRIVATE LINKER:--exclude-libs,ALL) # its names stay inside
    endif()
    ikat_static_library(ikat_static)
    set(IKAT_LIBRARIES ikat ikat_static)
else()
    ikat_static_library(ikat)
    add_library(ikat_static ALIAS ikat)
    set(IKAT_LIBRARIES ikat)
endif()
add_library(ikat::ikat ALIAS ikat)
if(BUILD_SHARED_LIBS)
    add_library(ikat::static ALIAS ikat_static)
else()
    add_library(ikat::static ALIAS ikat)
endif()
