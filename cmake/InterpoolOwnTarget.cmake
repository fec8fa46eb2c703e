# interpool_own_target(<target>)
#
# What holds for every target of this project and for nobody else's: warnings, the language level, hidden symbols,
# the sanitizer that was chosen. Applied PRIVATE, so that none of it reaches a program that uses the library.

if(NOT INTERPOOL_SANITIZE MATCHES "^(address|thread)?$")
  message(FATAL_ERROR "INTERPOOL_SANITIZE is '${INTERPOOL_SANITIZE}': it must be empty, address or thread.")
endif()

set(_interpool_sanitize_flags "")
if(INTERPOOL_SANITIZE STREQUAL "address")
  set(_interpool_sanitize_flags -fsanitize=address,undefined)
elseif(INTERPOOL_SANITIZE STREQUAL "thread")
  set(_interpool_sanitize_flags -fsanitize=thread)
endif()

set(_interpool_warnings -Wall -Wextra -Wpedantic -Wshadow -Wconversion)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  list(APPEND _interpool_warnings -Wthread-safety)
elseif(INTERPOOL_SANITIZE STREQUAL "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # It warns of every fence, also of those inside the standard library.
  list(APPEND _interpool_warnings -Wno-tsan)
endif()
if(INTERPOOL_WARNINGS_AS_ERRORS)
  list(APPEND _interpool_warnings -Werror)
endif()

function(interpool_own_target target)
  target_compile_features(${target} PRIVATE cxx_std_20)
  target_compile_options(${target} PRIVATE ${_interpool_warnings})
  set_target_properties(${target} PROPERTIES
    CXX_STANDARD_REQUIRED ON
    CXX_EXTENSIONS OFF
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON)
  if(_interpool_sanitize_flags)
    # After the build type's own. -O1: enough to be quick, not enough to lose the frames of a report. -g1: those frames
    # have names and lines, and compiling takes two thirds of the time that it does with all variables.
    target_compile_options(${target} PRIVATE ${_interpool_sanitize_flags} -fno-omit-frame-pointer -g1 -O1)
    # Whoever links the instrumented library needs the sanitizer's runtime too.
    get_target_property(type ${target} TYPE)
    if(type STREQUAL "EXECUTABLE")
      target_link_options(${target} PRIVATE ${_interpool_sanitize_flags})
    else()
      target_link_options(${target} PUBLIC ${_interpool_sanitize_flags})
    endif()
  endif()
endfunction()
