"""The one exception for what a person can mend."""


class UnlearnError(Exception):
    """Something in the request, the file or the data is wrong, and the message says what to do.

    The message is a whole sentence in plain words: what was wrong, where, and what to do. It repeats the
    person's own input. The command line prints it and exits with status 2; a page shows it in a box.
    """
