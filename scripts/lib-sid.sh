# A Debian sid tree for the Pythons and compilers that this system lacks; sourced after lib.sh, not run.
#
# It is a folder outside of the checkout, kept between runs, entered with chroot: so it takes root, and Debian or a
# system like it. What is mounted in it is gone with the command that runs there.

sid_tree="${INTERPOOL_SID:-${XDG_CACHE_HOME:-$HOME/.cache}/interpool/sid}"
# Beside it, from before it is made: what is in that folder is ours.
sid_marker="$sid_tree.interpool"

sid_packages=(
  python3.14-dev python3.14-venv python3.14-dbg libpython3.14-testsuite
  python3.15-dev python3.15-venv python3.15-dbg libpython3.15-testsuite
  g++ clang cmake ninja-build ccache git pkg-config make dpkg-dev file
  libfmt-dev libspdlog-dev libgtest-dev libsqlite3-dev libsqlitecpp-dev libcli11-dev nlohmann-json3-dev
  librapidcheck-dev python3-numpy)

# Where this system's own apt takes Debian from.
sid_mirror() {
  apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' |
    sed -n 's/^Debian //p' | grep -v security | head -1
}

# check_sid: what follows may remove the folder, so it must be one that is made here.
check_sid() {
  [[ "$sid_tree" = /* ]] || die "INTERPOOL_SID is '$sid_tree': it must be an absolute path."
  [ -e "$sid_marker" ] || [ -z "$(ls -A "$sid_tree" 2>/dev/null)" ] ||
    die "$sid_tree is not a tree that interpool's scripts made: it is neither changed nor removed." \
      "Name another folder with INTERPOOL_SID, or remove that one yourself."
}

# ensure_sid: makes the tree, or brings it up to the list of packages above.
ensure_sid() {
  local stamp="$sid_tree/interpool-packages" mirror
  check_sid
  [ "$(cat "$stamp" 2>/dev/null)" != "${sid_packages[*]}" ] || return 0
  [ "$(id -u)" = 0 ] || die "cells with Python 3.14 or newer run in a Debian sid tree, which takes root to make and to enter."
  have_apt || die "cells with Python 3.14 or newer run in a Debian sid tree, which takes apt to make."
  need_packages debootstrap:debootstrap
  mirror="$(sid_mirror)"
  [ -n "$mirror" ] || die "this system's apt has no Debian archive to make a sid tree from."
  if [ ! -x "$sid_tree/usr/bin/apt-get" ] || [ -d "$sid_tree/debootstrap" ]; then
    say "making a Debian sid tree in $sid_tree (a minute)"
    rm -rf --one-file-system "${sid_tree:?}"
    mkdir -p "$sid_tree"
    touch "$sid_marker"
    debootstrap --variant=minbase sid "$sid_tree" "$mirror" >"$sid_tree.log" 2>&1 ||
      { tail -20 "$sid_tree.log" >&2; die "debootstrap failed; its log is $sid_tree.log"; }
  fi
  # A proxy, say; and where the archive is reached by a name that only this system knows.
  cp -r /etc/apt/apt.conf.d "$sid_tree/etc/apt/"
  cp /etc/resolv.conf /etc/hosts "$sid_tree/etc/"
  say "installing compilers and Pythons in the sid tree"
  {
    in_sid apt-get -o Acquire::Check-Valid-Until=false update &&
      in_sid apt-get -y --no-install-recommends install "${sid_packages[@]}"
  } >"$sid_tree.log" 2>&1 || { tail -20 "$sid_tree.log" >&2; die "the sid tree is not complete; its log is $sid_tree.log"; }
  printf '%s' "${sid_packages[*]}" >"$stamp"
}

# in_sid COMMAND...: runs it in the tree, in this checkout, which has the same path there.
in_sid() {
  # shellcheck disable=SC2016
  unshare --mount --fork --propagation private bash -c '
    set -e
    tree="$1" checkout="$2"
    shift 2
    mount -t proc proc "$tree/proc"
    mount --rbind /dev "$tree/dev"
    mkdir -p "$tree$checkout"
    mount --bind "$checkout" "$tree$checkout"
    exec chroot "$tree" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
      DEBIAN_FRONTEND=noninteractive CCACHE_NOHASHDIR=1 /bin/sh -c "cd \"\$0\" && exec \"\$@\"" "$checkout" "$@"
  ' sid "$sid_tree" "$INTERPOOL_ROOT" "$@"
}

# Nothing is mounted in it but while a command runs there.
clean_sid() {
  check_sid
  ! grep -qF " $sid_tree/" /proc/self/mounts || die "something is mounted below $sid_tree; it is not removed."
  rm -rf --one-file-system "${sid_tree:?}" "$sid_tree.log" "$sid_marker"
}
