# What `cmake --install` puts where: the library, its headers, a CMake package, a pkg-config file. All of it may be
# moved afterwards; only libpython stays where it was found.
include(CMakePackageConfigHelpers)

# libpython may be in a folder where the loader does not look by itself.
set_target_properties(interpool PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)

set(package_directory "${CMAKE_INSTALL_LIBDIR}/cmake/interpool")
install(TARGETS interpool EXPORT interpool-targets
  ARCHIVE LIBRARY RUNTIME
  FILE_SET HEADERS)
install(EXPORT interpool-targets NAMESPACE interpool:: DESTINATION "${package_directory}")

# A consumer needs the Python that the library was built for, whichever folder it is in there.
string(REGEX MATCH "^[0-9]+\\.[0-9]+" INTERPOOL_PYTHON_MINOR "${INTERPOOL_PYTHON_VERSION}")
get_target_property(library_type interpool TYPE)
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/interpool-config.cmake.in"
  "${PROJECT_BINARY_DIR}/interpool-config.cmake"
  INSTALL_DESTINATION "${package_directory}" NO_SET_AND_CHECK_MACRO)
# Before 1.0 each minor version may change the interface.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/interpool-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/interpool-config.cmake"
  "${PROJECT_BINARY_DIR}/interpool-config-version.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/InterpoolFindPython.cmake"
  DESTINATION "${package_directory}")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" "${PROJECT_SOURCE_DIR}/README.md" DESTINATION "${CMAKE_INSTALL_DOCDIR}")

# ---- pkg-config. ----------------------------------------------------------------------------------------------------

# interpool_linker_flags(<variable> <library file>): what links it, in a folder that the linker may not know.
function(interpool_linker_flags variable file)
  get_filename_component(directory "${file}" DIRECTORY)
  get_filename_component(name "${file}" NAME)
  string(REGEX REPLACE "^lib(.*)\\.(so|a|dylib)(\\..*)?$" "\\1" name "${name}")
  set(flags "-l${name}")
  if(NOT "${directory}" IN_LIST CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES)
    set(flags "-L${directory} -Wl,-rpath,${directory} ${flags}")
  endif()
  set(${variable} "${flags}" PARENT_SCOPE)
endfunction()

# interpool_target_flags(<variable> <target>): the same for a library that was found as a target; "" for one that is
# headers only.
function(interpool_target_flags variable target)
  get_target_property(type ${target} TYPE)
  get_target_property(imported ${target} IMPORTED)
  get_target_property(file ${target} IMPORTED_LOCATION)
  if(NOT file)
    get_target_property(configurations ${target} IMPORTED_CONFIGURATIONS)
    foreach(configuration IN LISTS configurations)
      get_target_property(file ${target} IMPORTED_LOCATION_${configuration})
    endforeach()
  endif()
  if(file)
    interpool_linker_flags(flags "${file}")
  elseif(imported OR type STREQUAL "INTERFACE_LIBRARY")
    set(flags "")
  else()
    string(REGEX REPLACE ".*::" "-l" flags "${target}")  # the super-project builds it, and installs it with ours
  endif()
  set(${variable} "${flags}" PARENT_SCOPE)
endfunction()

# The static library does not know what it needs.
set(INTERPOOL_PC_LIBS "")
set(INTERPOOL_PC_CFLAGS "")
if(library_type STREQUAL "STATIC_LIBRARY")
  interpool_linker_flags(python_flags "${INTERPOOL_PYTHON_LIBRARY}")
  interpool_target_flags(spdlog_flags ${INTERPOOL_SPDLOG})
  interpool_target_flags(fmt_flags fmt::fmt)
  set(INTERPOOL_PC_LIBS "${spdlog_flags} ${fmt_flags} ${python_flags} -pthread -ldl")
else()
  set(INTERPOOL_PC_CFLAGS "-DINTERPOOL_SHARED")
endif()
file(RELATIVE_PATH INTERPOOL_PC_PREFIX
  "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
foreach(directory IN ITEMS LIBDIR INCLUDEDIR)
  # One that is absolute stays where it is when the rest is moved.
  set(INTERPOOL_PC_${directory} "${CMAKE_INSTALL_${directory}}")
  if(NOT IS_ABSOLUTE "${CMAKE_INSTALL_${directory}}")
    set(INTERPOOL_PC_${directory} "\${prefix}/${CMAKE_INSTALL_${directory}}")
  endif()
endforeach()
configure_file("${PROJECT_SOURCE_DIR}/cmake/interpool.pc.in" "${PROJECT_BINARY_DIR}/interpool.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/interpool.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

# ---- CPack: `scripts/package`. --------------------------------------------------------------------------------------

if(PROJECT_IS_TOP_LEVEL)
  set(CPACK_GENERATOR TGZ)
  set(CPACK_PACKAGE_CONTACT "the authors of interpool")
  set(CPACK_PACKAGE_FILE_NAME
    "interpool-${PROJECT_VERSION}-python${INTERPOOL_PYTHON_MINOR}-${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR}")
  set(CPACK_STRIP_FILES ON)
  set(CPACK_THREADS 0)

  # A .deb says which packages it needs, so the Python must be one of the system's.
  if(INTERPOOL_PYTHON_BASE_PREFIX STREQUAL "/usr")
    find_program(INTERPOOL_DPKG_SHLIBDEPS dpkg-shlibdeps DOC "Part of dpkg-dev; needed to make a .deb")
    mark_as_advanced(INTERPOOL_DPKG_SHLIBDEPS)
    if(INTERPOOL_DPKG_SHLIBDEPS)
      list(APPEND CPACK_GENERATOR DEB)
    endif()
  endif()
  # One at a time: they have the same files, for another Python each.
  set(CPACK_DEBIAN_PACKAGE_NAME "libinterpool-python${INTERPOOL_PYTHON_MINOR}-dev")
  set(CPACK_DEBIAN_PACKAGE_PROVIDES libinterpool-dev)
  set(CPACK_DEBIAN_PACKAGE_CONFLICTS libinterpool-dev)
  set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
  set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
  set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
  set(python_package "libpython${INTERPOOL_PYTHON_MINOR}")
  if(library_type STREQUAL "STATIC_LIBRARY")
    set(CPACK_DEBIAN_PACKAGE_DEPENDS "libfmt-dev, libspdlog-dev, ${python_package}-dev")
  else()
    set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
    set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
    # For programs that call CPython themselves.
    set(CPACK_DEBIAN_PACKAGE_SUGGESTS "${python_package}-dev")
  endif()
  include(CPack)
endif()
