package storm

import (
	"os"
	"slices"
	"strconv"
	"strings"
)

// neighStats is what the kernel counts of its ARP table, one line for each CPU.
// The table is one for all network namespaces, but only the first one shows it.
const neighStats = "/proc/1/net/stat/arp_cache"

// tableOverflows is how often the table was full since the kernel started; 0
// where that cannot be read.
func tableOverflows() uint64 {
	text, err := os.ReadFile(neighStats)
	if err != nil {
		return 0
	}
	return sumColumn(string(text), "table_fulls")
}

// sumColumn adds up a column of hexadecimal numbers below a line of names.
func sumColumn(text, name string) (sum uint64) {
	column := -1
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		switch {
		case column < 0:
			if column = slices.Index(fields, name); column < 0 {
				return 0
			}
		case column < len(fields):
			n, err := strconv.ParseUint(fields[column], 16, 64)
			if err == nil {
				sum += n
			}
		}
	}
	return sum
}
