module github.example/acme/notify

go 1.27
