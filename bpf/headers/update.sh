#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copies the libbpf headers that the program includes out of the installed
# libbpf-dev package (Debian, Ubuntu) and notes its version. Run `go generate
# ./bpf` afterwards and commit both.
set -eu
cd "$(dirname "$0")"
for header in bpf_helpers.h bpf_helper_defs.h bpf_endian.h; do
	install -m 644 "/usr/include/bpf/$header" "$header"
done
dpkg-query --show --showformat='libbpf-dev ${Version}\n' libbpf-dev >VERSION
