module media

go 1.26
