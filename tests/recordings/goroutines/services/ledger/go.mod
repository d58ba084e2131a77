module ledger.example.org/v2

go 1.26
