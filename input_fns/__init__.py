"""Examples in, `(features, labels)` out: zero-argument input functions over one schema."""
