# Shared by the scripts beside it; sourced, not run. Sets strict mode and changes to the top of the tree.

set -euo pipefail

if [ -z "${BASH_VERSION:-}" ]; then
  echo "error: this script needs bash; run it as: bash $0" >&2
  exit 1
fi

# Where the user is: relative paths among the arguments start there.
INTERPOOL_CALLER_DIR="$PWD"
INTERPOOL_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$INTERPOOL_ROOT"

# One line per step, on stderr: stdout belongs to what the step prints.
say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }
[ -t 2 ] || say() { printf '== %s\n' "$*" >&2; }

die() {
  printf 'error: %s\n' "$1" >&2
  shift
  for line in "$@"; do printf '  %s\n' "$line" >&2; done
  exit 1
}

# Goes back to where the user is, and sets `tree` to what leads from there to the tree: nothing at the top of it.
back_to_caller() {
  cd "$INTERPOOL_CALLER_DIR"
  tree=""
  [ "$PWD" -ef "$INTERPOOL_ROOT" ] || tree="$INTERPOOL_ROOT/"
}

# How many things to do at once.
jobs_count() { nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 2; }

# The folders in build/ differ in a compiler or a Python, which most files do not see: they share what they compiled.
export CCACHE_NOHASHDIR=1

# For a build of what is installed and nothing else.
library_only=(-DINTERPOOL_BUILD_TESTS=OFF -DINTERPOOL_BUILD_EXAMPLES=OFF -DINTERPOOL_BUILD_BENCHMARKS=OFF)

# Runs a command as root: directly, or through sudo.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  else
    # sudo drops the environment, so what the command needs is set inside.
    sudo env DEBIAN_FRONTEND=noninteractive "$@"
  fi
}

can_be_root() { [ "$(id -u)" = 0 ] || command -v sudo >/dev/null 2>&1; }

have_apt() { command -v apt-get >/dev/null 2>&1 && command -v dpkg-query >/dev/null 2>&1; }

# The lists of packages are fetched at most once per run, and only when something is missing.
apt_updated=no
apt_update() {
  [ $apt_updated = no ] || return 0
  say "fetching the lists of packages"
  as_root apt-get -o DPkg::Lock::Timeout=300 -qq update >&2 ||
    die "apt-get update failed; see above." "Without it nothing can be installed."
  apt_updated=yes
}

apt_install() {
  apt_update
  say "installing: $*"
  # DPkg::Lock::Timeout: a machine that has just started may be installing its own updates.
  DEBIAN_FRONTEND=noninteractive as_root apt-get -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -qq -y \
    --no-install-recommends install "$@" </dev/null >&2 ||
    die "apt-get could not install: $*" "See its messages above."
}

# need_packages ITEM...: installs what is missing, and is quick when nothing is.
# An ITEM is a Debian package, or COMMAND:PACKAGE for a program: one that runs is good enough, wherever it is from.
need_packages() {
  local item command package missing=()
  for item in "$@"; do
    package="${item#*:}"
    if [ "$item" != "$package" ]; then
      command="${item%%:*}"
      "$command" --version >/dev/null 2>&1 || missing+=("$package")
    elif have_apt; then
      [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    fi
    # Without apt a library cannot be looked up here: CMake looks, and says what to install.
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if ! have_apt; then
    die "missing programs, and no apt-get to install them with." \
      "Install what provides these Debian packages, then run this again: ${missing[*]}"
  elif ! can_be_root; then
    die "missing packages, and neither root nor sudo to install them with." \
      "As root: apt-get update && apt-get install ${missing[*]}"
  fi
  apt_install "${missing[@]}"
}

# What configuring the whole tree looks for: CMake configures all of it, also to build a part. One call, so that a
# user who must install by hand gets one complete list.
need_all_packages() {
  need_packages c++:g++ cmake:cmake ninja:ninja-build ccache:ccache pkg-config:pkg-config git:git \
    libfmt-dev libspdlog-dev libgtest-dev libsqlite3-dev libsqlitecpp-dev libcli11-dev nlohmann-json3-dev \
    librapidcheck-dev "$@"
}

# find_python: asks CMake's own module, so that there is one opinion on which Python to take. Prints key=value lines.
find_python() { cmake -P cmake/InterpoolFindPython.cmake; }

# python_of_version MINOR: the newest interpreter of that version here, 3.12 say, that can be embedded; pyenv's come first.
python_of_version() {
  local candidate
  for candidate in $(ls -d "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/"python$1" 2>/dev/null | sort -rV) \
    $(type -ap "python$1" || true); do
    if INTERPOOL_PYTHON="$candidate" find_python >/dev/null 2>&1; then
      echo "$candidate"
      return
    fi
  done
  die "no Python $1 with a shared libpython and headers." \
    "With pyenv: PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install $1"
}

# Sets `unspread` to what a program with ThreadSanitizer is started with: that of older compilers refuses to start where
# the kernel spreads addresses widely (vm.mmap_rnd_bits > 28), so without that where it may be switched off.
find_unspread() {
  unspread=(setarch "$(uname -m)" -R)
  "${unspread[@]}" true 2>/dev/null || unspread=()
}

# python_fact KEY [PRESET]: executable, version, base_prefix, stdlib, library or include of the Python that a build tree uses.
python_fact() {
  local file="build/${2:-release}/interpool-python.txt"
  [ -f "$file" ] || die "$file is missing: configure first, with cmake --preset ${2:-release}"
  sed -n "s/^$1=//p" "$file"
}

# value_of KEY: what a line KEY=value on stdin says.
value_of() { sed -n "s/^$1=//p"; }

# ensure_python [PRESET]: makes sure that CMake will find a Python, with its whole standard library; installs one where
# apt has one that is new enough. A tree that is configured has found its own.
ensure_python() {
  local found facts="build/${1:-none}/interpool-python.txt"
  if [ -z "${INTERPOOL_PYTHON:-}" ] && [ -f "$facts" ]; then
    found="$(cat "$facts")"
  elif ! found="$(find_python 2>&1)"; then
    # Who named an interpreter wants that one: nothing is installed in its place.
    [ -n "${INTERPOOL_PYTHON:-}" ] || ! have_apt || install_python "$found"
    found="$(find_python 2>&1)" || no_python "$found"
  fi
  ensure_standard_library "$(value_of stdlib <<<"$found")"
}

# no_python WHAT_WAS_TRIED [LINE...]
no_python() {
  printf '%s\n' "$1" >&2
  die "no Python that interpool can embed; see above for what was tried and what to install." "${@:2}"
}

# has_candidate PACKAGE: apt could install it. A package that is only referred to by others has no candidate.
has_candidate() { [[ "$(apt-cache policy "$1" 2>/dev/null)" == *"Candidate: "[0-9]* ]]; }

# install_python WHAT_WAS_TRIED: installs the newest Python that apt has, if one is new enough.
install_python() {
  local version system
  can_be_root || no_python "$1" "There is neither root nor sudo to install one with."
  apt_update
  for version in 3.14 3.13 3.12; do
    if has_candidate "python$version-dev"; then
      apt_install "python$version-dev" "python$version-venv"
      return
    fi
  done
  # shellcheck disable=SC1091
  system="$(. /etc/os-release 2>/dev/null && printf %s "${PRETTY_NAME:-}")" || true
  no_python "$1" "apt has no Python 3.12 or newer for ${system:-this system}, so none was installed: use pyenv, as above."
}

# ensure_standard_library DIRECTORY: Debian and Ubuntu keep more than half of the standard library's files, its package
# `test`, in a package of their own. The demo and the tests that index the standard library count on them.
ensure_standard_library() {
  local stdlib="$1" package
  if [ -z "$stdlib" ] || [ -d "$stdlib/test/test_json" ]; then return 0; fi
  package="lib$(basename "$stdlib")-testsuite"
  if have_apt && dpkg-query -S "$stdlib/os.py" >/dev/null 2>&1; then
    if ! can_be_root; then
      say "$stdlib lacks its package 'test', which tests count on; as root: apt-get install $package"
      return 0
    fi
    apt_update
    if has_candidate "$package"; then
      say "$stdlib is the system's, which has its package 'test' in $package: the demo and tests index it"
      apt_install "$package"
      return 0
    fi
  fi
  say "$stdlib lacks its package 'test': the demo indexes fewer files, and tests that count them fail"
}

# configure PRESET [cmake arguments]: says only the line about Python, unless it fails.
configure() {
  local preset="$1" log
  shift
  mkdir -p build
  log="build/configure-$preset.log"
  if ! cmake --preset "$preset" "$@" >"$log" 2>&1; then
    cat "$log" >&2
    die "cmake --preset $preset failed; see above."
  fi
  sed -n 's/^-- \(Python [0-9].*\)/   \1/p' "$log" >&2
}

# build_preset NAME [TARGET...]
build_preset() {
  local preset="$1" targets=()
  shift
  [ $# = 0 ] || targets=(--target "$@")
  say "configuring build/$preset"
  configure "$preset"
  say "building build/$preset${*:+: $*}"
  # stdout of this script may be a result that someone parses.
  cmake --build "build/$preset" -j "$(jobs_count)" ${targets[@]+"${targets[@]}"} >&2 ||
    die "the build of build/$preset failed; see above."
}
