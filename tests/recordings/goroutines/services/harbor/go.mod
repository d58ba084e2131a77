module git.example.net/port/harbor

go 1.26
