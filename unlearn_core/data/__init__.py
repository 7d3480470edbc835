"""Data sets: opening them, naming their classes, and cutting them into what is kept and what is forgotten."""
