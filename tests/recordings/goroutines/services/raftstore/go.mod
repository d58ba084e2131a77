module raftstore.dev

go 1.26
