module parked

go 1.26
