package bpf

// The objects are compiled by clang 14 (Debian 12's; clang-14 and llvm-14 in
// Ubuntu) from this directory alone, and are the same bytes wherever the
// checkout lies: TestObjectsMatchSource compiles them again. -mcpu=v2 has no
// registers of 32 bits: spilled to the stack they would be less than a word, which
// kernels before 6.13 refuse without CAP_PERFMON (map_key in maps.h).

//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -cflags "-O2 -g -mcpu=v2 -Wall -Wextra -Werror -Wno-unused-parameter" -no-global-types -output-stem pxe pxe pxe.c
