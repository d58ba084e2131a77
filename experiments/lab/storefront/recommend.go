package main

// products are what the shop recommends with each receipt.
var products = []string{"teapot", "lamp", "notebook"}
