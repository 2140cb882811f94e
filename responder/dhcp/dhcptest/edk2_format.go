package dhcptest

import "fmt"

// format is what Dhcp4Option.c DhcpOptionFormats says of one option: data in
// units of size bytes, between min and max of them.
type format struct {
	size, min, max int
	boolean        bool
}

const unbounded = 1 << 16

// formats of the options that edk2 checks; it does not look at others.
var formats = func() map[byte]format {
	m := make(map[byte]format)
	add := func(f format, codes ...byte) {
		for _, c := range codes {
			m[c] = f
		}
	}
	add(format{size: 4, min: 1, max: 1}, 1, 54)
	add(format{size: 4, min: 1, max: unbounded}, 3, 4, 5, 6, 7, 8, 9, 10, 11, 16, 28, 32, 41, 42, 44, 45, 48, 49, 50, 65,
		68, 69, 70, 71, 72, 73, 74, 75, 76)
	add(format{size: 2, min: 1, max: 1}, 13, 22, 26, 57)
	add(format{size: 2, min: 1, max: unbounded}, 25)
	add(format{size: 4, min: 1, max: 1}, 2, 24, 35, 38, 51, 58, 59)
	add(format{size: 1, min: 1, max: 1, boolean: true}, 19, 20, 27, 29, 30, 31, 34, 36, 39)
	add(format{size: 8, min: 1, max: unbounded}, 21, 33)
	add(format{size: 1, min: 1, max: 1}, 23, 37, 46, 52, 53)
	add(format{size: 1, min: 1, max: unbounded}, 12, 14, 15, 17, 18, 40, 43, 47, 55, 56, 60, 64, 66, 67)
	add(format{size: 1, min: 2, max: unbounded}, 61)
	add(format{size: 1, min: 5, max: unbounded}, 121)
	return m
}()

// validOption is DhcpOptionIsValid.
func validOption(code byte, value []byte) error {
	f, ok := formats[code]
	if !ok {
		return nil
	}
	n := len(value) / f.size
	if len(value)%f.size != 0 || n < f.min || n > f.max {
		return fmt.Errorf("option %d has %d bytes", code, len(value))
	}
	if f.boolean && value[0] > 1 {
		return fmt.Errorf("option %d is the switch %d", code, value[0])
	}
	return nil
}
