"""What a log is written in: header layouts, named fields, blocks of lines."""
