"""Pages of HTML about data: each a file of its own that loads nothing."""
