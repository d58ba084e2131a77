module code.example.net/infra/fleet

go 1.27
