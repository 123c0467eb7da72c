# Language and warnings, for everything in this project.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

find_package(Threads REQUIRED)

# What every target of ours is compiled with; never part of what is installed.
add_library(ikat_compiler INTERFACE)
if(MSVC)
    target_compile_options(ikat_compiler INTERFACE /W4 $<$<BOOL:${IKAT_WERROR}>:/WX>)
else()
    target_compile_options(ikat_compiler INTERFACE
        -Wall -Wextra -Wshadow -Wpointer-arith -Wundef -Wvla
        $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wmissing-prototypes>
        $<$<BOOL:${IKAT_WERROR}>:-Werror>)
endif()
if(IKAT_SANITIZE)
    set(flags -fsanitize=${IKAT_SANITIZE} -fno-omit-frame-pointer -g)
    if(IKAT_SANITIZE MATCHES undefined)
        list(APPEND flags -fno-sanitize-recover=undefined)
    endif()
    target_compile_options(ikat_compiler INTERFACE ${flags})
    target_link_options(ikat_compiler INTERFACE ${flags})
endif()
