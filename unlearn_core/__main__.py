"""`python -m unlearn_core`: the command line."""

import sys

from unlearn_core.cli import main

sys.exit(main())
