# `cmake --install` and the wheel have one layout: bin, lib, include, lib/cmake under a prefix (in the
# wheel: the package folder). Everything finds its libraries relative to itself, so it may be moved.
include(CMakePackageConfigHelpers)

if(SKBUILD)
  set(prefix hayate/)
else()
  set(prefix "")
endif()
set(package_dir ${prefix}lib/cmake/hayate)

set_target_properties(hayate PROPERTIES INSTALL_RPATH "$ORIGIN")
set_target_properties(hayate_command PROPERTIES INSTALL_RPATH "$ORIGIN/../lib")
install(TARGETS hayate EXPORT hayateTargets LIBRARY DESTINATION ${prefix}lib
        INCLUDES DESTINATION ${prefix}include)
install(TARGETS hayate_command RUNTIME DESTINATION ${prefix}bin)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/src/hayate" DESTINATION ${prefix}include
        FILES_MATCHING PATTERN "*.h" PATTERN "*_internal.h" EXCLUDE)
install(EXPORT hayateTargets NAMESPACE hayate:: DESTINATION ${package_dir})

# Arrow out of a wheel is not where a consumer could find it, so it travels along, headers too: what
# is linked to hayate must see the very Arrow that hayate was built with.
if(ArrowWheel_FOUND)
  install(FILES ${ArrowWheel_LIBRARIES} DESTINATION ${prefix}lib)
  install(DIRECTORY "${ArrowWheel_ROOT}/include/arrow" "${ArrowWheel_ROOT}/include/parquet"
          DESTINATION ${prefix}include FILES_MATCHING PATTERN "*.h" PATTERN "python" EXCLUDE)
  set(HAYATE_CARRIES_ARROW TRUE)
  get_filename_component(HAYATE_ARROW_FILE "${ArrowWheel_ARROW}" NAME)
  get_filename_component(HAYATE_PARQUET_FILE "${ArrowWheel_PARQUET}" NAME)
else()
  set(HAYATE_CARRIES_ARROW FALSE)
endif()

configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/cmake/hayateConfig.cmake.in" "${PROJECT_BINARY_DIR}/hayateConfig.cmake"
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file("${PROJECT_BINARY_DIR}/hayateConfigVersion.cmake"
                                 COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/hayateConfig.cmake"
              "${PROJECT_BINARY_DIR}/hayateConfigVersion.cmake" DESTINATION ${package_dir})

if(HAYATE_BUILD_PYTHON)
  set_target_properties(hayate_python PROPERTIES INSTALL_RPATH "$ORIGIN/lib")
  install(TARGETS hayate_python LIBRARY DESTINATION hayate)
endif()
