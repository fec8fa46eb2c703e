# interpool_need_target(<target> PACKAGE <package> DEBIAN <name> FEDORA <name> ARCH <name> HOMEBREW <name>)
#
# Makes sure that the target exists: the super-project's own if there is one, else from find_package(<package>),
# else an error that names what to install. A super-project that brings its own fmt must not end up with two.
function(interpool_need_target target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "PACKAGE;DEBIAN;FEDORA;ARCH;HOMEBREW" "")
  if(TARGET ${target})
    return()
  endif()
  find_package(${arg_PACKAGE} QUIET)
  if(TARGET ${target})
    return()
  endif()
  message(FATAL_ERROR
    "interpool needs ${arg_PACKAGE}, and found neither the target ${target} nor a CMake package of it.\n"
    "  Debian, Ubuntu   apt-get install ${arg_DEBIAN}\n"
    "  Fedora           dnf install ${arg_FEDORA}\n"
    "  Arch             pacman -S ${arg_ARCH}\n"
    "  macOS, Homebrew  brew install ${arg_HOMEBREW}\n"
    "  If it is installed elsewhere, pass -D${arg_PACKAGE}_DIR=<directory of its CMake package>, or define "
    "the target ${target} before interpool is added.")
endfunction()

# Sets INTERPOOL_SPDLOG to the target to use: spdlog's library was compiled with the system's fmt, so beside an fmt of
# the super-project's own it is spdlog's headers alone, compiled with that one.
function(interpool_choose_spdlog)
  set(spdlog spdlog::spdlog)
  get_target_property(fmt_imported fmt::fmt IMPORTED)
  get_target_property(spdlog_imported spdlog::spdlog IMPORTED)
  if(spdlog_imported AND NOT fmt_imported AND TARGET spdlog::spdlog_header_only)
    set(spdlog spdlog::spdlog_header_only)
  endif()
  set(INTERPOOL_SPDLOG ${spdlog} PARENT_SCOPE)

  # With a copy of fmt inside, next to the fmt that interpool uses, there would be two sets of the same symbols in one
  # program. So that is an error, not a surprise at run time.
  get_target_property(definitions ${spdlog} INTERFACE_COMPILE_DEFINITIONS)
  get_target_property(libraries ${spdlog} INTERFACE_LINK_LIBRARIES)
  if(NOT "${definitions};${libraries}" MATCHES "SPDLOG_FMT_EXTERNAL|SPDLOG_USE_STD_FORMAT|fmt::")
    message(FATAL_ERROR
      "The spdlog that was found (target ${spdlog}) has a copy of fmt inside, which clashes with the fmt "
      "that interpool uses.\n"
      "  Use an spdlog built with -DSPDLOG_FMT_EXTERNAL=ON; the packages of Debian, Ubuntu, Fedora, Arch and "
      "Homebrew are.")
  endif()
endfunction()
