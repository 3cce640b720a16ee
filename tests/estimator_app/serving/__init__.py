"""Tests of `estimator_app.serving`, on models that are really loaded."""
