"""Where a log comes from: files, folders, archives, streams, in any compression and encoding."""
