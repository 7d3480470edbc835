"""`python -m unlearn_core`: the command line."""

import sys

from unlearn_core.running.command.main import main

sys.exit(main())
