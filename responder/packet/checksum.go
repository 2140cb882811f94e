package packet

import "encoding/binary"

// sum16 adds the big-endian 16-bit words of b to sum, an odd last byte padded
// with zero. It adds 32-bit words, which is the same sum modulo 2^16-1 (RFC
// 1071 §2) and cannot overflow below 2^32 of them.
func sum16(sum uint64, b []byte) uint64 {
	for len(b) >= 16 {
		sum += uint64(binary.BigEndian.Uint32(b)) + uint64(binary.BigEndian.Uint32(b[4:])) +
			uint64(binary.BigEndian.Uint32(b[8:])) + uint64(binary.BigEndian.Uint32(b[12:]))
		b = b[16:]
	}
	for len(b) >= 2 {
		sum += uint64(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		sum += uint64(b[0]) << 8
	}
	return sum
}

// checksum returns the Internet checksum (RFC 1071) of b on top of sum: 0 when
// b holds its own, correct, checksum.
func checksum(sum uint64, b []byte) uint16 {
	sum = sum16(sum, b)
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
