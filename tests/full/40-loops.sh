#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The flow tests again with their long loops (HOOP_FULL=1), on the build that
# `make check-full` was called in.

set -u
# shellcheck disable=SC2016 # for make to expand
exec make -C "$HOOP_BUILDDIR" check TEST_TIMEOUT=3600 TESTS='$(FLOW_TESTS)'
