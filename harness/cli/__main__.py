"""`python -m harness.cli` is `rdzv-harness`."""

import sys

from harness.cli import main

sys.exit(main())
