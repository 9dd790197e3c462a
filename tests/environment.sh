# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# What every test finds in its environment; sourced by `make check`.

# Nothing of the person at the keyboard may leak into a test.
unset http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
unset NO_PROXY NODE_EXTRA_CA_CERTS SSL_CERT_FILE SSL_CERT_DIR DISPLAY
unset WAYLAND_DISPLAY DBUS_SESSION_BUS_ADDRESS NOTIFY_SOCKET LISTEN_FDS
LC_ALL=C.UTF-8
TZ=UTC
export LC_ALL TZ

G_DEBUG=fatal-criticals
G_ENABLE_DIAGNOSTIC=1
MALLOC_PERTURB_=165
export G_DEBUG G_ENABLE_DIAGNOSTIC MALLOC_PERTURB_

case $HOOP_SANITIZER in
no) ;;
*)
  unset MALLOC_PERTURB_
  # GLib's slices hide freed blocks from ASan and their locks from TSan.
  G_SLICE=always-malloc
  ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:abort_on_error=0
  UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
  # shellcheck disable=SC2089 # the sanitizers take these quotes off
  TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1:suppressions='$HOOP_SRCDIR/tests/tsan.supp'"
  # shellcheck disable=SC2089
  LSAN_OPTIONS="suppressions='$HOOP_SRCDIR/tests/lsan.supp':print_suppressions=0"
  # shellcheck disable=SC2090
  export G_SLICE ASAN_OPTIONS UBSAN_OPTIONS TSAN_OPTIONS LSAN_OPTIONS
  ;;
esac
