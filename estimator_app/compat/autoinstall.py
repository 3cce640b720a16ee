"""`import estimator_app.compat.autoinstall` is `compat.install()`: the one line for notebooks, scripts and
PYTHONSTARTUP.

It may stand before `import tensorflow` or after.
"""

from estimator_app import compat

compat.install()
