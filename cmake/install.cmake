# cmake --install: headers, libraries, and what find_package and pkg-config read.
include(CMakePackageConfigHelpers)

foreach(header IN LISTS EPORE_HEADERS)
  get_filename_component(folder ${header} DIRECTORY)
  install(FILES ${header} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/epore/${folder})
endforeach()
install(TARGETS epore epore_poll epore_runtime EXPORT epore)
if(EPORE_TESTING)
  install(FILES ${EPORE_TESTING_HEADERS} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/epore/runtime/testing)
  install(TARGETS epore_testing EXPORT epore)
endif()

set(package "${CMAKE_INSTALL_LIBDIR}/cmake/epore")
install(EXPORT epore NAMESPACE epore:: FILE eporeTargets.cmake DESTINATION ${package})
configure_package_config_file(cmake/eporeConfig.cmake.in eporeConfig.cmake INSTALL_DESTINATION ${package})
# docs/versions.md: until 1.0 a minor version may change the API.
write_basic_package_version_file(eporeConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/eporeConfig.cmake" "${PROJECT_BINARY_DIR}/eporeConfigVersion.cmake"
        DESTINATION ${package})

# Abseil's targets and its pkg-config files have the same names.
list(TRANSFORM EPORE_ABSEIL REPLACE "absl::(.*)" "absl_\\1 >= ${EPORE_ABSEIL_VERSION}" OUTPUT_VARIABLE requires)
list(JOIN requires ", " requires)
foreach(folder LIBDIR INCLUDEDIR)
  if(IS_ABSOLUTE "${CMAKE_INSTALL_${folder}}")
    set(pc_${folder} "${CMAKE_INSTALL_${folder}}")
  else()
    set(pc_${folder} "\${prefix}/${CMAKE_INSTALL_${folder}}")
  endif()
endforeach()
# A system header gives no warnings. Abseil's files ask gcc for -Wnon-virtual-dtor, which blames each class with a friend
# and a protected destructor. The compiler's own folders are not to be named so: #include_next would miss them.
set(pc_INCLUDE "-isystem ")
if(CMAKE_INSTALL_FULL_INCLUDEDIR STREQUAL "/usr/include")
  set(pc_INCLUDE "-I")
endif()
configure_file(cmake/epore.pc.in epore.pc @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/epore.pc" DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
