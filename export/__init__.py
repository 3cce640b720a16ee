"""SavedModel version directories: what goes in, how they are named, how they load."""
