"""The work of a background run, one file a kind: from a plain request to artifacts and a plain result.

Every function takes the request, the run's folder and a `Report`; writes its artifacts into the folder, each whole or not
at all; and returns what the run's page shows. Repeated on the same machine and versions, it gives the same numbers.
"""
