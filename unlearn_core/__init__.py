"""Lethe's core: look inside a trained CNN classifier, make it forget classes, check that it has.

Importing this package imports no torch and no Streamlit; see CONTRIBUTING.md for the layers.
"""

__version__ = "0.1.0"
