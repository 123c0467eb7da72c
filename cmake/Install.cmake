# Headers, libraries, CMake package (find_package(ikat), targets ikat::ikat and ikat::static), pkg-config file.

include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/ikat)

install(DIRECTORY include/ikat DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
    FILES_MATCHING PATTERN "*.h"
    PATTERN vulkan.h EXCLUDE
    PATTERN opencl.h EXCLUDE)
foreach(backend vulkan opencl)
    string(TOUPPER ${backend} upper)
    if(IKAT_${upper})
        install(FILES include/ikat/${backend}.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/ikat)
    endif()
endforeach()

install(TARGETS ${IKAT_LIBRARIES} EXPORT ikatTargets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
if(BUILD_SHARED_LIBS)
    set_target_properties(ikat_static PROPERTIES EXPORT_NAME static)
endif()
install(EXPORT ikatTargets NAMESPACE ikat:: DESTINATION ${package_dir})

configure_package_config_file(cmake/ikatConfig.cmake.in ${PROJECT_BINARY_DIR}/ikatConfig.cmake
    INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/ikatConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/ikatConfig.cmake ${PROJECT_BINARY_DIR}/ikatConfigVersion.cmake
    DESTINATION ${package_dir})

# pkg-config: paths relative to the file where they can be, so that the folder may be moved.
set(pc_private "")
foreach(library IN LISTS CMAKE_THREAD_LIBS_INIT CMAKE_DL_LIBS)
    string(APPEND pc_private " ${library}")
endforeach()
string(REGEX REPLACE " ([^- ])" " -l\\1" pc_private "${pc_private}")
if(UNIX)
    string(APPEND pc_private " -lm")
endif()
if(IKAT_SHADERC)
    list(JOIN IKAT_SHADERC_LINK " " shaderc)
    string(REGEX REPLACE " ([^-/ ])" " -l\\1" shaderc " ${shaderc}")
    string(PREPEND pc_private "${shaderc}")
endif()
foreach(dir LIBDIR INCLUDEDIR)
    if(IS_ABSOLUTE "${CMAKE_INSTALL_${dir}}")
        set(pc_${dir} "${CMAKE_INSTALL_${dir}}")
    else()
        set(pc_${dir} "\${prefix}/${CMAKE_INSTALL_${dir}}")
    endif()
endforeach()
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
    set(pc_prefix "${CMAKE_INSTALL_PREFIX}")
else()
    file(RELATIVE_PATH up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
    string(REGEX REPLACE "/$" "" up "${up}")
    set(pc_prefix "\${pcfiledir}/${up}")
endif()
if(BUILD_SHARED_LIBS)
    set(pc_cflags "")
else()
    set(pc_cflags " -DIKAT_STATIC")
endif()
configure_file(cmake/ikat.pc.in ${PROJECT_BINARY_DIR}/ikat.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/ikat.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
