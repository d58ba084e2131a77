module observatory.example/night

go 1.26
