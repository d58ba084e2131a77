package main

import (
	"hash/crc32"
	"regexp"
	"sort"
	"strconv"
	"time"
)

var quantity = regexp.MustCompile(`^[0-9]{1,4}$`)

// serveQuotes prices baskets; the sick release compiles its pattern for every line of one.
func serveQuotes(sick bool) {
	every(2*time.Millisecond, 4, func(n int) { quote(n, sick) })
}

func quote(n int, sick bool) uint32 {
	basket := make([]string, 40)
	for i := range basket {
		basket[i] = strconv.Itoa((n*31 + i*17) % 9000)
	}
	sort.Strings(basket)
	sum := uint32(0)
	for _, line := range basket {
		if accepted(line, sick) {
			sum = price(line, sum)
		}
	}
	return sum
}

func accepted(line string, sick bool) bool {
	if sick {
		return regexp.MustCompile(`^[0-9]{1,4}$`).MatchString(line)
	}
	return quantity.MatchString(line)
}

func price(line string, sum uint32) uint32 {
	for range 400 {
		sum = crc32.Update(sum, crc32.IEEETable, []byte(line))
	}
	return sum
}
