#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Prepares the source tree.
set -e
cd "$(dirname "$0")"
mkdir -p m4
exec autoreconf -fi
