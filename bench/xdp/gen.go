package xdp

// As in package bpf, whose kernel.h and libbpf headers are used here. Paths are
// relative, so the objects are the same bytes wherever the checkout lies.

//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -cflags "-O2 -g -mcpu=v3 -Wall -Wextra -Werror -Wno-unused-parameter -I../../bpf" -no-global-types -output-stem gun gun gun.c
