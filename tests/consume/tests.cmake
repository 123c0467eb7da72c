# The installed package. consume/CMakeLists.txt is a project of its own, so these tests are declared here.
set(consume_dir ${CMAKE_CURRENT_SOURCE_DIR}/consume)
set(prefix ${CMAKE_CURRENT_BINARY_DIR}/consume/prefix)

ikat_test(consume.install LABELS ci
    COMMAND ${IKAT_CTEST_SHELL} ${consume_dir}/install.sh ${CMAKE_COMMAND} ${PROJECT_BINARY_DIR} ${prefix})
set_tests_properties(consume.install PROPERTIES FIXTURES_SETUP ikat_installed)

ikat_test(consume.cmake LABELS ci
    COMMAND ${IKAT_CTEST_SHELL} ${consume_dir}/cmake.sh ${CMAKE_COMMAND} ${prefix} ${CMAKE_CURRENT_BINARY_DIR}/consume/cmake)
set_tests_properties(consume.cmake PROPERTIES FIXTURES_REQUIRED ikat_installed)

find_program(IKAT_PKG_CONFIG NAMES pkg-config pkgconf)
if(IKAT_PKG_CONFIG)
    ikat_test(consume.pkg_config LABELS ci
        COMMAND ${IKAT_CTEST_SHELL} ${consume_dir}/pkg_config.sh ${prefix} ${CMAKE_CURRENT_BINARY_DIR}/consume/pkg_config)
    set_tests_properties(consume.pkg_config PROPERTIES FIXTURES_REQUIRED ikat_installed)
endif()

if(BUILD_SHARED_LIBS)
    ikat_test(consume.symbols LABELS ci
        COMMAND ${IKAT_CTEST_SHELL} ${consume_dir}/symbols.sh $<TARGET_FILE:ikat> $<TARGET_FILE:ikat_static>)
endif()
