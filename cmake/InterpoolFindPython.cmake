# Finds the CPython that interpool embeds: version 3.12 or newer, with a shared libpython and its headers.
#
# The order of the search:
#   1. INTERPOOL_PYTHON, the path of an interpreter (cache variable or environment variable). If it does not
#      fit, that is an error: who names an interpreter wants that one and no other.
#   2. python3.15, python3.14, python3.13, python3.12 and python3 on PATH. Each is run before it is believed: a
#      pyenv shim is on PATH for every version that is installed, and fails for those that are not selected.
#   3. the newest version that pyenv has installed, selected or not.
#   4. pkg-config's python-3.1x-embed, for systems that have the library without the interpreter.
#
# Why not CMake's own FindPython: it does not run the interpreter before it chooses one, mixes the headers of
# one installation with the library of another, and keeps its answer when another interpreter is asked for.
#
# Defines
#   interpool_python               imported target: libpython, and its headers as system headers
#   INTERPOOL_PYTHON_EXECUTABLE    the interpreter (for a virtual environment: the one that it is based on);
#                                  empty when pkg-config found a library that comes without one
#   INTERPOOL_PYTHON_VERSION       for example 3.13.0
#   INTERPOOL_PYTHON_BASE_PREFIX   where its standard library is looked for at run time
#   INTERPOOL_PYTHON_STDLIB        the directory of its standard library
#   INTERPOOL_PYTHON_LIBRARY       libpython
#   INTERPOOL_PYTHON_INCLUDE_DIRS  its headers
#
# Beside an installed interpool-config.cmake it looks only for the version that the library was built for
# (INTERPOOL_PYTHON_FOR, for example 3.13), and what goes wrong is left in INTERPOOL_PYTHON_PROBLEM.
#
# Run as a script it only searches, and prints what it found as `key=value` lines on stdout:
#   cmake -P cmake/InterpoolFindPython.cmake

if(CMAKE_SCRIPT_MODE_FILE)
  cmake_minimum_required(VERSION 3.25)
elseif(NOT INTERPOOL_PYTHON_FOR)
  include_guard(DIRECTORY)  # not for find_package, which may have failed before and must fail again
endif()

set(_interpool_python_minimum 3.12)

# What a candidate is asked. Isolated mode (-I), so that neither PYTHON* variables nor the working directory
# have a say. One line per answer, because a path may contain a semicolon, a blank or a quote, but hardly ever
# a line feed. A virtual environment answers for the installation it is based on: the library and its standard
# library live there, and which environment to use is decided at run time.
set(_interpool_python_query [=[
import os, sys, sysconfig
var = sysconfig.get_config_var
version = '%d.%d' % sys.version_info[:2]
flags = getattr(sys, 'abiflags', '')
if getattr(sys, 'implementation', None) is None or sys.implementation.name != 'cpython':
    print('problem=it is %s, not CPython' % getattr(getattr(sys, 'implementation', None), 'name', 'something else'))
    sys.exit(0)
prefix = sys.base_prefix
include = [var('INCLUDEPY'), var('CONFINCLUDEPY'), os.path.join(prefix, 'include', 'python' + version + flags)]
include = [d for d in include if d and os.path.isfile(os.path.join(d, 'Python.h'))]
plat = [d for d in (var('CONFINCLUDEPY'),) if d and os.path.isfile(os.path.join(d, 'pyconfig.h'))]
directories = [var('LIBDIR'), os.path.join(var('LIBDIR') or '', var('MULTIARCH') or ''), var('LIBPL'),
               os.path.join(prefix, 'lib'), var('PYTHONFRAMEWORKPREFIX')]
names = [var('INSTSONAME'), var('LDLIBRARY')]
for suffix in ('.so.1.0', '.so', '.dylib'):
    names.append('libpython' + version + flags + suffix)
library = ''
for d in directories:
    for n in names:
        if not d or not n or n.endswith('.a') or library:
            continue
        if os.path.isfile(os.path.join(d, n)):
            library = os.path.join(d, n)
print('version=%d.%d.%d' % sys.version_info[:3])
print('release=' + sys.version.split()[0])
print('executable=' + (getattr(sys, '_base_executable', None) or sys.executable or ''))
print('base_prefix=' + prefix)
print('stdlib=' + sysconfig.get_path('stdlib', vars={'installed_base': prefix, 'base': prefix}))
print('include=' + (include[0] if include else ''))
print('platinclude=' + (plat[0] if plat else ''))
print('library=' + library)
print('shared=' + str(int(bool(var('Py_ENABLE_SHARED') or var('PYTHONFRAMEWORK')))))
print('free_threaded=' + str(int(bool(var('Py_GIL_DISABLED')))))
print('debug=' + str(int(hasattr(sys, 'gettotalrefcount'))))
]=])

# Splits `key=value` lines into variables <prefix>_<key> of the caller.
macro(_interpool_python_read_answers prefix text)
  string(REPLACE ";" "\\;" _answers "${text}")
  string(REPLACE "\n" ";" _answers "${_answers}")
  foreach(_answer IN LISTS _answers)
    if(_answer MATCHES "^([a-z_]+)=(.*)$")
      set(${prefix}_${CMAKE_MATCH_1} "${CMAKE_MATCH_2}")
    endif()
  endforeach()
endmacro()

# Hands what a function has found about a candidate, and its _problem, to the function's caller.
macro(_interpool_python_return_found)
  foreach(key IN ITEMS version release executable base_prefix stdlib include platinclude library debug)
    set(_found_${key} "${_found_${key}}" PARENT_SCOPE)
  endforeach()
  set(_problem "${_problem}" PARENT_SCOPE)
endmacro()

# Asks one interpreter. Sets _found_* in the caller's scope, and _problem to why it does not fit, or to "".
function(_interpool_python_try executable)
  set(_problem "")
  foreach(key IN ITEMS version release executable base_prefix stdlib include platinclude library shared
                       free_threaded debug problem)
    set(_found_${key} "")
  endforeach()

  if(NOT EXISTS "${executable}")
    set(_problem "there is no such file")
  elseif(IS_DIRECTORY "${executable}")
    set(_problem "it is a directory, not an interpreter")
  else()
    # Without the launcher variable a framework Python on macOS would answer for whoever started CMake.
    execute_process(
      COMMAND "${CMAKE_COMMAND}" -E env --unset=__PYVENV_LAUNCHER__
              "${executable}" -I -c "${_interpool_python_query}"
      RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE errors
      OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_STRIP_TRAILING_WHITESPACE TIMEOUT 30)
    if(NOT status STREQUAL "0")
      string(REGEX REPLACE "\n.*" "" errors "${errors}")
      set(_problem "it does not run (exit status ${status})")
      if(errors)
        string(APPEND _problem ": ${errors}")
      endif()
    else()
      _interpool_python_read_answers(_found "${output}")
      if(_found_problem)
        set(_problem "${_found_problem}")
      elseif(NOT _found_version)
        set(_problem "it does not answer like a Python interpreter")
      elseif(_found_version VERSION_LESS _interpool_python_minimum)
        set(_problem "it is Python ${_found_release}, older than ${_interpool_python_minimum}")
      elseif(INTERPOOL_PYTHON_FOR AND NOT _found_version MATCHES "^${INTERPOOL_PYTHON_FOR}\\.")
        set(_problem "it is Python ${_found_release}, and this interpool was built for ${INTERPOOL_PYTHON_FOR}")
      elseif(_found_free_threaded)
        set(_problem "it is a free-threaded build; interpool needs the interpreters' own GILs")
      elseif(NOT _found_library)
        if(_found_shared)
          set(_problem "Python ${_found_release}: its shared libpython is not installed")
        else()
          set(_problem "Python ${_found_release}: it was built without a shared libpython (--enable-shared)")
        endif()
      elseif(NOT _found_include)
        set(_problem "Python ${_found_release}: its headers (Python.h) are not installed")
      endif()
    endif()
  endif()

  _interpool_python_return_found()
endfunction()

# Tries one candidate of the search: on success sets _chosen in the caller, else notes why it was skipped.
# An interpreter that is reachable by two names is run once.
macro(_interpool_python_candidate executable how)
  if(NOT _chosen)
    file(REAL_PATH "${executable}" _real)
    # A shim decides by the name it is called by, so the name is part of what was tried.
    get_filename_component(_name "${executable}" NAME)
    if(NOT "${_name}|${_real}" IN_LIST _tried)
      list(APPEND _tried "${_name}|${_real}")
      _interpool_python_try("${executable}")
      if(_problem)
        string(APPEND _skipped "  ${executable} (${how}): ${_problem}\n")
      else()
        set(_chosen "${how}")
      endif()
    endif()
  endif()
endmacro()

macro(_interpool_python_search_path)
  string(REPLACE ":" ";" _directories "$ENV{PATH}")
  foreach(_program IN ITEMS python3.15 python3.14 python3.13 python3.12 python3)
    set(_program_found FALSE)
    # Every directory, not the first hit: behind a shim that fails there may be one that runs.
    foreach(_directory IN LISTS _directories)
      if(_directory AND EXISTS "${_directory}/${_program}" AND NOT IS_DIRECTORY "${_directory}/${_program}")
        set(_program_found TRUE)
        _interpool_python_candidate("${_directory}/${_program}" "PATH")
      endif()
    endforeach()
    if(NOT _program_found AND NOT _chosen)
      string(APPEND _skipped "  ${_program}: not on PATH\n")
    endif()
  endforeach()
endmacro()

macro(_interpool_python_search_pyenv)
  if(NOT _chosen)
    set(_pyenv_root "$ENV{PYENV_ROOT}")
    if(NOT _pyenv_root)
      find_program(_pyenv pyenv NO_CACHE)
      if(_pyenv)
        execute_process(COMMAND "${_pyenv}" root OUTPUT_VARIABLE _pyenv_root ERROR_QUIET
                        OUTPUT_STRIP_TRAILING_WHITESPACE TIMEOUT 30)
      endif()
    endif()
    if(NOT _pyenv_root)
      # pyenv is often set up by an interactive shell's profile only.
      set(_pyenv_root "$ENV{HOME}/.pyenv")
    endif()
    # What `pyenv versions --bare` prints, without needing a pyenv that runs.
    file(GLOB _versions LIST_DIRECTORIES TRUE RELATIVE "${_pyenv_root}/versions" "${_pyenv_root}/versions/*")
    # Releases before pre-releases and variants: "3.13.0rc1" would sort as newer than "3.13.0".
    set(_releases "${_versions}")
    list(FILTER _releases INCLUDE REGEX "^3\\.[0-9]+\\.[0-9]+$")
    list(FILTER _versions INCLUDE REGEX "^3\\.[0-9]+")
    list(FILTER _versions EXCLUDE REGEX "^3\\.[0-9]+\\.[0-9]+$")
    list(SORT _releases COMPARE NATURAL ORDER DESCENDING)
    list(SORT _versions COMPARE NATURAL ORDER DESCENDING)
    set(_pyenv_any FALSE)
    foreach(_version IN LISTS _releases _versions)
      string(REGEX MATCH "^3\\.[0-9]+" _minor "${_version}")
      if(_minor VERSION_GREATER_EQUAL _interpool_python_minimum)
        set(_pyenv_any TRUE)
        set(_executable "${_pyenv_root}/versions/${_version}/bin/python${_minor}")
        if(NOT EXISTS "${_executable}")
          set(_executable "${_pyenv_root}/versions/${_version}/bin/python3")
        endif()
        _interpool_python_candidate("${_executable}" "pyenv")
      endif()
    endforeach()
    if(NOT _pyenv_any)
      string(APPEND _skipped
             "  pyenv: no version ${_interpool_python_minimum} or newer in ${_pyenv_root}/versions\n")
    endif()
  endif()
endmacro()

macro(_interpool_python_search_pkg_config)
  if(NOT _chosen)
    find_program(_pkg_config NAMES pkg-config pkgconf NO_CACHE)
    if(NOT _pkg_config)
      string(APPEND _skipped "  pkg-config: not on PATH\n")
    else()
      foreach(_minor IN ITEMS 3.15 3.14 3.13 3.12)
        _interpool_python_try_pkg_config("${_pkg_config}" "${_minor}")
        if(_problem)
          string(APPEND _skipped "  pkg-config python-${_minor}-embed: ${_problem}\n")
        else()
          set(_chosen "pkg-config")
          break()
        endif()
      endforeach()
    endif()
  endif()
endmacro()

function(_interpool_python_try_pkg_config pkg_config minor)
  set(package "python-${minor}-embed")
  foreach(variable IN ITEMS prefix libdir includedir)
    execute_process(COMMAND "${pkg_config}" --variable=${variable} ${package}
                    RESULT_VARIABLE status OUTPUT_VARIABLE ${variable} ERROR_QUIET
                    OUTPUT_STRIP_TRAILING_WHITESPACE)
    if(NOT status STREQUAL "0")
      set(_problem "not installed" PARENT_SCOPE)
      return()
    endif()
  endforeach()

  # With an interpreter beside it, that one's own word is better than what can be pieced together here.
  if(EXISTS "${prefix}/bin/python${minor}")
    _interpool_python_try("${prefix}/bin/python${minor}")
  else()
    set(_problem "")
    set(_found_executable "")
    set(_found_base_prefix "${prefix}")
    set(_found_stdlib "${prefix}/lib/python${minor}")
    set(_found_include "${includedir}/python${minor}")
    set(_found_platinclude "")
    set(_found_library "")
    set(_found_version "")
    set(_found_debug 0)
    find_library(_library NAMES "python${minor}" PATHS "${libdir}" NO_DEFAULT_PATH NO_CACHE)
    if(_library MATCHES "\\.(so|dylib)$")
      set(_found_library "${_library}")
    endif()
    if(EXISTS "${_found_include}/patchlevel.h")
      file(STRINGS "${_found_include}/patchlevel.h" line REGEX "^#define[ \t]+PY_VERSION[ \t]")
      string(REGEX REPLACE ".*\"([0-9.]+[0-9])[^\"]*\".*" "\\1" _found_version "${line}")
    endif()
    set(_found_release "${_found_version}")
    if(NOT _found_version)
      set(_problem "its headers are not in ${_found_include}")
    elseif(NOT _found_library)
      set(_problem "its shared libpython is not in ${libdir}")
    elseif(NOT EXISTS "${_found_stdlib}/os.py")
      set(_problem "its standard library is not in ${_found_stdlib}")
    endif()
  endif()
  _interpool_python_return_found()
endfunction()

# Indented, because CMake re-wraps what is not.
set(_interpool_python_advice [=[
  interpool needs Python 3.12 or newer with a shared libpython and its headers. To install one:
    Debian 13+, Ubuntu 24.04+  apt-get install python3-dev     (or python3.12-dev, python3.13-dev, ...)
    Fedora                     dnf install python3-devel
    Arch                       pacman -S python
    macOS, Homebrew            brew install python@3.13
    anywhere, with pyenv       PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install 3.13
  The packages of Debian 12 and Ubuntu 22.04 are older than 3.12: there it is pyenv
  (https://github.com/pyenv/pyenv).
  An interpreter somewhere else can be named: INTERPOOL_PYTHON=/path/to/python3, as an environment
  variable, or cmake -DINTERPOOL_PYTHON=/path/to/python3.]=])

# Ends a search in vain: in an installed package the package was not found, else it is an error.
macro(_interpool_python_fail)
  if(INTERPOOL_PYTHON_FOR)
    return()
  endif()
  message(FATAL_ERROR "${INTERPOOL_PYTHON_PROBLEM}")
endmacro()

# The interpreter that the user named, in _named, and where in _named_by.
#
# What is named once must last: Ninja runs CMake again by itself, in a shell that may lack the variable. So the
# environment's value is kept in the cache, and is heard again only when it changes. A -D on the command line
# beats it.
macro(_interpool_python_read_choice)
  set(_named "${INTERPOOL_PYTHON}")
  set(_named_by "the CMake variable INTERPOOL_PYTHON")
  set(_environment "$ENV{INTERPOOL_PYTHON}")
  if(_named STREQUAL "" OR ("${_named}" STREQUAL "${INTERPOOL_PYTHON_SEEN_CACHE}"
                            AND NOT "${_environment}" STREQUAL "${INTERPOOL_PYTHON_SEEN_ENVIRONMENT}"))
    if(_environment)
      set(_named "${_environment}")
    endif()
  endif()
  if(_named AND "${_named}" STREQUAL "${_environment}")
    set(_named_by "the environment variable INTERPOOL_PYTHON")
  endif()
endmacro()

macro(_interpool_python_keep_choice)
  if(NOT CMAKE_SCRIPT_MODE_FILE)
    set(INTERPOOL_PYTHON "${_named}" CACHE STRING
        "The Python interpreter whose libpython is embedded; empty: search for one" FORCE)
    set(INTERPOOL_PYTHON_SEEN_CACHE "${_named}" CACHE INTERNAL "INTERPOOL_PYTHON at the last run")
    set(INTERPOOL_PYTHON_SEEN_ENVIRONMENT "${_environment}" CACHE INTERNAL
        "INTERPOOL_PYTHON in the environment at the last run")
    # What the search found is kept too, so that a build tree does not change its Python because PATH did.
    set(INTERPOOL_PYTHON_SEARCHED "${_searched}" CACHE INTERNAL "What the search for a Python found")
  endif()
endmacro()

macro(_interpool_python_find)
  set(_chosen "")
  set(_tried "")
  set(_skipped "")
  set(_searched "")
  _interpool_python_read_choice()

  if(_named)
    set(_executable "${_named}")
    if(NOT _executable MATCHES "/")
      find_program(_on_path "${_executable}" NO_CACHE)
      if(_on_path)
        set(_executable "${_on_path}")
      endif()
      unset(_on_path)
    elseif(NOT IS_ABSOLUTE "${_executable}")
      get_filename_component(_executable "${_executable}" ABSOLUTE BASE_DIR "$ENV{PWD}")
    endif()
    _interpool_python_try("${_executable}")
    if(_problem)
      string(CONCAT INTERPOOL_PYTHON_PROBLEM
             "INTERPOOL_PYTHON does not fit:\n"
             "  ${_executable}: ${_problem}.\n"
             "  It was named by ${_named_by}. Name another one, or unset it\n"
             "  (and pass -UINTERPOOL_PYTHON to cmake) to have one searched for.\n"
             "${_interpool_python_advice}")
      _interpool_python_fail()
    endif()
    set(_named "${_executable}")
    set(_chosen "INTERPOOL_PYTHON")
  else()
    if(INTERPOOL_PYTHON_SEARCHED AND EXISTS "${INTERPOOL_PYTHON_SEARCHED}")
      _interpool_python_candidate("${INTERPOOL_PYTHON_SEARCHED}" "found before")
    endif()
    _interpool_python_search_path()
    _interpool_python_search_pyenv()
    _interpool_python_search_pkg_config()
    if(NOT _chosen)
      string(CONCAT INTERPOOL_PYTHON_PROBLEM
             "No suitable Python was found. Tried, in this order:\n${_skipped}${_interpool_python_advice}")
      _interpool_python_fail()
    endif()
    set(_searched "${_found_executable}")
  endif()
  _interpool_python_keep_choice()

  set(INTERPOOL_PYTHON_EXECUTABLE "${_found_executable}")
  set(INTERPOOL_PYTHON_VERSION "${_found_version}")
  set(INTERPOOL_PYTHON_BASE_PREFIX "${_found_base_prefix}")
  set(INTERPOOL_PYTHON_STDLIB "${_found_stdlib}")
  set(INTERPOOL_PYTHON_LIBRARY "${_found_library}")
  set(INTERPOOL_PYTHON_INCLUDE_DIRS "${_found_include}")
  if(_found_platinclude)
    list(APPEND INTERPOOL_PYTHON_INCLUDE_DIRS "${_found_platinclude}")
    list(REMOVE_DUPLICATES INTERPOOL_PYTHON_INCLUDE_DIRS)
  endif()
  set(_kind "")
  if(_found_debug)
    set(_kind ", debug build")
  endif()
endmacro()

_interpool_python_find()

set(_interpool_python_report "executable=${INTERPOOL_PYTHON_EXECUTABLE}
version=${INTERPOOL_PYTHON_VERSION}
base_prefix=${INTERPOOL_PYTHON_BASE_PREFIX}
stdlib=${INTERPOOL_PYTHON_STDLIB}
library=${INTERPOOL_PYTHON_LIBRARY}
include=${INTERPOOL_PYTHON_INCLUDE_DIRS}
")

if(CMAKE_SCRIPT_MODE_FILE)
  execute_process(COMMAND "${CMAKE_COMMAND}" -E echo_append "${_interpool_python_report}")
  return()
endif()

if(NOT interpool_FIND_QUIETLY)
  message(STATUS "Python ${_found_release}${_kind}: ${INTERPOOL_PYTHON_LIBRARY} (${_chosen})")
endif()

# For scripts that need the Python of a build tree.
if(NOT INTERPOOL_PYTHON_FOR)
  file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/interpool-python.txt" CONTENT "${_interpool_python_report}" @ONLY)
endif()

# GLOBAL, so that a super-project can link what is linked with interpool. As an imported shared library it
# brings the run path of the build tree with it: libpython is often outside of the loader's directories.
if(NOT TARGET interpool_python)
  add_library(interpool_python SHARED IMPORTED GLOBAL)
endif()
# Debian's headers of a debug build are links to those of the other one, beside a pyconfig.h of their own. GCC goes by
# where a system header really is, and so would take the other pyconfig.h: references would go uncounted.
set(_options "")
if(_found_debug)
  set(_options "$<$<CXX_COMPILER_ID:GNU>:-fno-canonical-system-headers>")
endif()
set_target_properties(interpool_python PROPERTIES
  INTERFACE_COMPILE_OPTIONS "${_options}"
  IMPORTED_LOCATION "${INTERPOOL_PYTHON_LIBRARY}"
  INTERFACE_INCLUDE_DIRECTORIES "${INTERPOOL_PYTHON_INCLUDE_DIRS}"
  INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${INTERPOOL_PYTHON_INCLUDE_DIRS}")
