"""Tests, in the tree of the packages that they test."""
