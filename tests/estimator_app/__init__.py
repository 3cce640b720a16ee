"""Tests of `estimator_app`."""
