//go:build !v2

package main

const wrongOf3000 = 0
