# The installed package. consume/CMakeLists.txt is a project of its own, so these tests are declared here.
set(consume_dir ${CMAKE_CURRENT_SOURCE_DIR}/consume)
set(prefix ${CMAKE_CURRENT_BINARY_DIR}/consume/prefix)

ikat_test(consume.install LABELS ci
    COMMAND ${IKAT_CTEST_SHELL} ${consume_dir}/install.sh ${CMAKE_COMMAND} ${PROJECT_BINARY_DIR} ${prefix})
set_tests_properties(consume.install PROPERTIES FIXTURES_SETUP ikat_installed)

# Every program of the consuming project is built, then run.
ikat_test(consume.cmake LABELS ci
    COMMAND ${CMAKE_CTEST_COMMAND} --build-and-test ${consume_dir} ${CMAKE_CURRENT_BINARY_DIR}/consume/cmake
        --build-generator ${CMAKE_GENERATOR} --build-makeprogram ${CMAKE_MAKE_PROGRAM}
        --build-options -DCMAKE_PREFIX_PATH=${prefix} -DCMAKE_C_COMPILER=${CMAKE_C_COMPILER} --build-noclean
        --test-command ${IKAT_CTEST_SHELL} -e -c "for program in ./use_*; do $program; done")
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
