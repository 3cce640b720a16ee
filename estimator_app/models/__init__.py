"""Estimators by name: premade on feature columns, and Keras models turned into Estimators."""
